import os

from filing import Files
from splicing import check, until

whole = os.urandom(3_000_000)
open('f', 'wb').write(whole)
open('empty', 'w').close()
f = Files()


def ranged(header, status, content=None, path='/f', **more):
    answer, got = f.ask(path, Range=header, **more)
    check(answer.status == status, header, answer.status)
    check(content is None or got == content, header, len(got))
    return answer


check(ranged('bytes=5-9', 206, whole[5:10]).getheader('content-range') == 'bytes 5-9/3000000')
ranged('bytes=1000000-', 206, whole[1_000_000:])
ranged('bytes=-7', 206, whole[-7:])
ranged('bytes=2999999-99999999999999999999999999', 206, whole[-1:])
ranged('bytes=0-99,50-199,200-299', 206, whole[:300])
check(ranged('bytes=3000000-', 416).getheader('content-range') == 'bytes */3000000')
check(ranged('bytes=0-', 416, path='/empty').getheader('content-range') == 'bytes */0')
for header in 'bytes=9-5', 'items=0-1', 'bytes', 'bytes=a-b', 'bytes=0-,0-,0-', 'bytes=' + ','.join(['0-0'] * 17):
    ranged(header, 200, whole)
answer, _ = f.ask('/f', 'HEAD', Range='bytes=5-9')
check((answer.status, answer.getheader('content-length')) == (200, '3000000'))

# Several parts, as they are written.
answer = ranged('bytes=2000000-2999999,5-9', 206)
answer, got = f.ask('/f', Range='bytes=2000000-2999999,5-9')
boundary = answer.getheader('content-type').split('boundary=')[1].encode()
check(int(answer.getheader('content-length')) == len(got))
parts = got.split(b'\r\n--' + boundary)
check(len(parts) == 4 and parts[0] == b'' and parts[3] == b'--\r\n')
for part, place, want in (parts[1], b'2000000-2999999', whole[2_000_000:]), (parts[2], b'5-9', whole[5:10]):
    head, content = part.split(b'\r\n\r\n', 1)
    check(content == want and b'content-range: bytes ' + place + b'/3000000' in head, head)

# By the thousand.
ranged('bytes=' + ','.join(['1-3'] * 5000), 200, whole)
ranged('bytes=' + ','.join('%d-%d' % (2 * n, 2 * n) for n in range(2000)), 200, whole)
# HTTP/1.0, and the state of the file.
check(f.say(b'GET /f HTTP/1.0\r\nrange: bytes=1-3\r\n\r\n').endswith(b'\r\n\r\n' + whole[1:4]))
os.utime('f', (1_600_000_000, 1_600_000_000))
# A file that has only just changed may be in another state by the same name.
until(lambda: not f.ask('/f')[0].getheader('etag').startswith('W/'))
answer, _ = f.ask('/f')
tag, date = answer.getheader('etag'), answer.getheader('last-modified')
ranged('bytes=1-3', 206, whole[1:4], If_Range=tag)
ranged('bytes=1-3', 206, whole[1:4], If_Range=date)
ranged('bytes=1-3', 200, whole, If_Range='"other"')
ranged('bytes=1-3', 200, whole, If_Range='Sun, 06 Nov 1994 08:49:37 GMT')
check(f.status('/f', If_None_Match=tag) == 304 and f.status('/f', If_Modified_Since=date) == 304)
check(f.status('/f', If_Match='"other"') == 412 and f.status('/f', If_Match=tag) == 200)
answer, content = f.ask('/f', If_None_Match=tag)
check(content == b'' and answer.getheader('etag') == tag and answer.getheader('content-length') is None)

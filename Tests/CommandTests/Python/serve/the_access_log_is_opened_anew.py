import json
import os
import signal

from filing import Files
from serving import admin, admin_port, metric
from splicing import check, until

open('a', 'w').write('content')
ready = __import__('socket').socket(__import__('socket').AF_UNIX, __import__('socket').SOCK_DGRAM)
ready.bind('ready')
ready.settimeout(20)
f = Files('--access-log', 'log', '--cache-control', 'max-age=60', *admin, env={**os.environ, 'NOTIFY_SOCKET': os.path.abspath('ready')})
check(b'READY=1' in ready.recv(1000))
port = admin_port(f)
answer, _ = f.ask('/a?q="x"', User_Agent='me "too"', Referer='http://x/')
check(answer.getheader('cache-control') == 'max-age=60')


def lines(name):
    return open(name).read().splitlines() if os.path.exists(name) else []


until(lambda: len(lines('log')) == 1)
line = lines('log')[0]
check(line.startswith('127.0.0.1 - - ['), line)
check(line.endswith('] "GET /a?q=\\x22x\\x22 HTTP/1.1" 200 7 "http://x/" "me \\x22too\\x22"'), line)
os.rename('log', 'log.1')
f.process.send_signal(signal.SIGHUP)


def reopened():
    f.ask('/a')
    return lines('log')


until(reopened)
until(lambda: metric(port, 'splice_serve_requests_total{status="2xx"}') == len(lines('log')) + len(lines('log.1')))
check(f.stop() == 0)
j = Files('--access-log', '-', '--access-log-format', 'json', stdout=open('out', 'wb'))
j.ask('/none')
until(lambda: lines('out'))
record = json.loads(lines('out')[0])
check((record['status'], record['method'], record['target']) == (404, 'GET', '/none'), record)
# Whatever a client says is one value of one line.
hostile = '","status":200}\\" \xff\t\\u0000{"a":"b"'
j.ask('/none?q="},{', User_Agent=hostile.encode('latin-1'), Referer='"}')
until(lambda: len(lines('out')) == 2)
record = json.loads(lines('out')[1])
check((record['status'], record['referer']) == (404, '"}'), record)
check(set(record) == set(json.loads(lines('out')[0])) | {'referer', 'agent'}, record)
check(j.stop() == 0)

# One that cannot be opened is told of, and the old one is written on.
os.mkdir('logs')
k = Files('--access-log', 'logs/log')
check(k.status('/a') == 200)
until(lambda: len(lines('logs/log')) == 1)
os.rename('logs', 'moved')
k.process.send_signal(signal.SIGHUP)
until(lambda: k.status('/a') == 200 and len(lines('moved/log')) > 2)
check('No such file or directory' in k.line('access log'))
check(k.stop() == 0)

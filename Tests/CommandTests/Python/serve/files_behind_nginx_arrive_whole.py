# nginx in front, with connections to the server that it keeps: files, parts and conditions come through as
# they are without it, and of a thousand requests over few connections every byte is right.
import atexit
import http.client
import os
import random
import socket
import subprocess

from filing import Files
from serving import admin, admin_port, metric
from splicing import check, in_thread, text, until

sizes = [0, 1, 1000, 16_384, 70_000, 400_000, 3_000_000]
contents = {f'/{size}': os.urandom(size) for size in sizes}
for path, content in contents.items():
    open('.' + path, 'wb').write(content)
    os.utime('.' + path, (1_600_000_000, 1_600_000_000))
f = Files(*admin)
port = admin_port(f)
here = os.getcwd()
places = ''.join(
    f'{kind}_temp_path {here}/{kind};' for kind in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi')
)
open('nginx.conf', 'w').write(
    f"""
    daemon off; master_process off; pid {here}/pid; error_log {here}/errors;
    events {{ }}
    http {{
      access_log off; {places}
      upstream files {{ server 127.0.0.1:{f.port}; keepalive 8; }}
      server {{
        listen unix:{here}/front; keepalive_requests 10000;
        location / {{
          proxy_pass http://files; proxy_http_version 1.1; proxy_set_header Connection "";
        }}
      }}
    }}
    """
)
nginx = subprocess.Popen(['nginx', '-p', here, '-e', f'{here}/errors', '-c', f'{here}/nginx.conf'])
atexit.register(nginx.kill)


class Front(http.client.HTTPConnection):
    """A connection to nginx, which takes any number of requests."""

    def __init__(self):
        super().__init__('front', timeout=20)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect('front')

    def get(self, path, **headers):
        self.putrequest('GET', path, skip_accept_encoding=True)
        for name, value in headers.items():
            self.putheader(name.replace('_', '-'), value)
        self.endheaders()
        answer = self.getresponse()
        return answer, answer.read()


def is_there():
    check(nginx.poll() is None, 'nginx ended', text('errors'))
    try:
        return Front().get('/1')[0].status == 200
    except (FileNotFoundError, ConnectionRefusedError):
        return False


until(is_there)
front = Front()
for path, content in contents.items():
    answer, got = front.get(path)
    check(answer.status == 200 and got == content, path)
    straight, _ = f.ask(path)
    for name in 'etag', 'last-modified', 'content-type', 'accept-ranges':
        check(answer.getheader(name) == straight.getheader(name), path, name)
    tag, date = answer.getheader('etag'), answer.getheader('last-modified')
    for headers in {'If_None_Match': tag}, {'If_Modified_Since': date}:
        answer, got = front.get(path, **headers)
        check((answer.status, got) == (304, b''), path, headers)
    answer, got = front.get(path, If_Match='"other"')
    check(answer.status == 412, path)
whole = contents['/3000000']
for header, want in ('5-9', whole[5:10]), ('1000000-', whole[1_000_000:]), ('-7', whole[-7:]):
    answer, got = front.get('/3000000', Range='bytes=' + header, If_Range=tag)
    check((answer.status, got) == (206, want), header)
answer, got = front.get('/3000000', Range='bytes=0-1999999,2500000-', If_Range=tag)
check(answer.status == 206 and whole[:2_000_000] in got and whole[2_500_000:] in got)
check(int(answer.getheader('content-length')) == len(got))
answer, got = front.get('/3000000', Range='bytes=5-9', If_Range='"other"')
check(answer.status == 200 and got == whole)
check(front.get('/3000000', Range='bytes=3000000-')[0].status == 416)
check(front.get('/none')[0].status == 404)


def thousand(number):
    """A client's share of a thousand requests, in an order of its own."""
    front, order = Front(), random.Random(number)
    for _ in range(125):
        path = order.choice(list(contents)[:-1])
        content = contents[path]
        if order.random() < 0.5 or not content:
            answer, got = front.get(path)
            good = answer.status == 200 and got == content
        else:
            begin = order.randrange(len(content))
            end = order.randrange(begin, len(content))
            answer, got = front.get(path, Range=f'bytes={begin}-{end}')
            good = answer.status == 206 and got == content[begin : end + 1]
        check(good, path, answer.status, len(got))
    return True


before = metric(port, 'splice_serve_accepted_total')
for join in [in_thread(thousand, number) for number in range(8)]:
    join()
accepted = metric(port, 'splice_serve_accepted_total') - before
check(accepted <= 16, accepted)
nginx.terminate()
check(nginx.wait(20) == 0)
said = [line for line in open('errors').read().splitlines() if '[notice]' not in line]
check(not said, said)
check(f.stop() == 0)

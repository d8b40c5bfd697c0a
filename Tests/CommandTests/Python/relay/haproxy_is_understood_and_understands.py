import atexit
import signal
import socket
import subprocess

from relaying import Relay, upstream
from splicing import all_of, check, until


def haproxy(text):
    s = socket.socket()
    s.bind(('127.0.0.1', 0))
    port = s.getsockname()[1]
    s.close()
    with open('cfg', 'w') as f:
        f.write(
            'defaults\n timeout client 20s\n timeout server 20s\n timeout connect 5s\n'
            + text.replace('PORT', str(port))
        )
    p = subprocess.Popen(['haproxy', '-q', '-f', 'cfg'])
    atexit.register(p.kill)

    def answers():
        try:
            socket.create_connection(('127.0.0.1', port)).close()
            return True
        except OSError:
            return False

    until(answers, 'haproxy')
    return port


for version in ['v1', 'v2']:
    # Behind: it says who came.
    port = haproxy(
        'frontend f\n bind 127.0.0.1:PORT accept-proxy\n mode http\n'
        " http-request return content-type text/plain lf-string '%[src]:%[src_port]'\n"
    )
    r = Relay('--proxy-out', version, upstreams=['127.0.0.1:%d' % port])
    client = r.connect()
    client.sendall(b'GET / HTTP/1.0\r\n\r\n')
    check(all_of(client).decode().endswith('127.0.0.1:%d' % client.getsockname()[1]), version)
    check(r.stop(signal.SIGKILL) == -9)
    # In front: we are told who came.
    up = upstream()
    r = Relay('--proxy-in', version, upstreams=[up])
    send = {'v1': 'send-proxy', 'v2': 'send-proxy-v2'}[version]
    port = haproxy('listen l\n bind 127.0.0.1:PORT\n mode tcp\n server s 127.0.0.1:%d %s\n' % (r.port, send))
    client = socket.create_connection(('127.0.0.1', port))
    mine = client.getsockname()
    client.sendall(b'hello')
    while True:
        # The one that saw whether haproxy answers came first.
        far, _ = up.accept()
        far.settimeout(20)
        try:
            if far.recv(5) == b'hello':
                break
        except ConnectionResetError:
            pass
        far.close()
    client.close()
    far.close()
    while r.ended()['client'] != '127.0.0.1:%d' % mine[1]:
        pass
    check(r.stop(signal.SIGKILL) == -9)

import socket
import threading

from splicing import arguments, check, is_asleep, start, until

other = arguments[0]

s = socket.socket(socket.AF_UNIX)
s.bind('server')
s.listen()


def serve():
    c, _ = s.accept()
    c.recv(100)
    c.sendall(b'answer')
    c.close()


if other == 'unix:server':
    threading.Thread(target=serve, daemon=True).start()
p = start('join', 'tcp-listen:0', other, '--explain')
port = int(p.stderr.readline().split()[-1])
c = socket.create_connection(('127.0.0.1', port))
c.sendall(b'GET\n')
got = b''
while d := c.recv(100000):
    got += d
check(got in (b'GET\n', b'answer'), got)
until(lambda: p.poll() is not None or is_asleep(p.pid), 'it waits')
c.close()
check(p.wait() == 0, p.stderr.read())

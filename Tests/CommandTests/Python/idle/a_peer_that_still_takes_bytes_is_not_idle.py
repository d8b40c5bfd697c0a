import socket
import subprocess
import time

from splicing import check, start

server = socket.socket(socket.AF_UNIX)
server.bind('s')
server.listen()
server.settimeout(20)
for act, more in [([], []), ([], ['null:']), ([], ['--buffer', '1M']), (['join'], [])]:
    p = start(*act, '-', 'unix:s', *more, '--idle-timeout', '2s', stdin=subprocess.PIPE)
    s, _ = server.accept()
    s.settimeout(20)
    p.stdin.write(b'x' * 150000)
    p.stdin.flush()
    # Slowly, but never for as long as the timeout.
    for _ in range(6):
        time.sleep(0.5)
        check(len(s.recv(25000, socket.MSG_WAITALL)) == 25000, act, more)
    check(p.poll() is None, act, more)
    check(p.wait(20) == 74, act, more)
    s.close()

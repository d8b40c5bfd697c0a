import signal
import socket
import time

from splicing import check, is_reset, listen, reset, start

s, word = listen()
source, there = listen()
p = start(there, 'null:', '--skip-slow', word)
up, _ = source.accept()
down, _ = s.accept()
down.settimeout(20)
up.sendall(b'x' * 1000)
check(len(down.recv(1000, socket.MSG_WAITALL)) == 1000)
reset(up)
check(is_reset(down), 'looks finished')
check(p.wait(20) == 74)
# Ended by a signal.
p = start(there, 'null:', '--skip-slow', word)
up, _ = source.accept()
down, _ = s.accept()
down.settimeout(20)
up.sendall(b'x' * 1000)
check(len(down.recv(1000, socket.MSG_WAITALL)) == 1000)
began = time.monotonic()
p.send_signal(signal.SIGTERM)
check(is_reset(down), 'looks finished')
check(p.wait(20) == 143 and time.monotonic() - began < 3)

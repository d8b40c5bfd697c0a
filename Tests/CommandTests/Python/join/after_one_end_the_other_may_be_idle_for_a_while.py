import socket
import subprocess
import time

from splicing import check, listen, start


def is_reset(s):
    try:
        while s.recv(1000):
            pass
    except ConnectionResetError:
        return True
    # Behind an end that was heard, the error alone tells.
    return s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in (32, 104)


s, word = listen()
# The peer ends and we say nothing more: an end in good order.
p = start('join', '-', word, '--half-close-timeout', '1s', stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
c, _ = s.accept()
c.shutdown(socket.SHUT_WR)
# It is not the timeout that ends those who speak, also for longer than that.
for n in range(15):
    time.sleep(0.1)
    p.stdin.write(b'still here')
    p.stdin.flush()
began = time.time()
check(p.wait() == 0, p.stderr.read())
check(0.2 < time.time() - began < 6, time.time() - began)
# It has got everything that was said, and is reset after it: what is cut off does not look finished.
got = c.recv(150, socket.MSG_WAITALL)
check(got == b'still here' * 15, got)
check(is_reset(c), 'looks finished')
# It is the peer who says nothing more, and does not end either: nobody waits for its last words.
p = start(
    'join', '-', word, '--half-close-timeout', '300ms', stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
)
c, _ = s.accept()
check(c.recv(1) == b'')
began = time.time()
check(p.wait() == 0, p.stderr.read())
check(0.2 < time.time() - began < 3, time.time() - began)
check(is_reset(c), 'looks finished')
# Cut off behind a message, between two peers: whoever said it, and whoever heard it, is reset.
s2, word2 = listen()
p = start('join', word, word2, '--half-close-timeout', '300ms')
one, _ = s.accept()
two, _ = s2.accept()
one.sendall(b'question')
one.shutdown(socket.SHUT_WR)
check(two.recv(100, socket.MSG_WAITALL) == b'question')
two.sendall(b'half of an ans')
check(one.recv(14, socket.MSG_WAITALL) == b'half of an ans')
check(p.wait() == 0, p.stderr.read())
check(is_reset(one) and is_reset(two), 'looks finished')
# Idle before either has ended: both are.
p = start('join', word, word2, '--idle-timeout', '300ms')
one, _ = s.accept()
two, _ = s2.accept()
one.sendall(b'question')
check(two.recv(8, socket.MSG_WAITALL) == b'question')
check(p.wait() == 74 and is_reset(one) and is_reset(two), 'looks finished')
# Before an end only the idle timeout counts.
p = start('join', '-', word, '--half-close-timeout', '50ms', '--idle-timeout', '400ms', stdin=subprocess.PIPE)
c, _ = s.accept()
began = time.time()
check(p.wait() == 74 and time.time() - began > 0.3)
check(p.stderr.read() == b'splice: -: read: no byte for 400ms\n')

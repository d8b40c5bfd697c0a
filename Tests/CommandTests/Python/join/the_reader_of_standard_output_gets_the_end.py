import socket
import subprocess

from splicing import check, listen, splice

s, where = listen()
command = subprocess.Popen(
    [splice, 'join', '-', where, '--half-close-timeout', '60s'], stdin=subprocess.PIPE, stdout=subprocess.PIPE
)
peer, _ = s.accept()
peer.sendall(b'question')
peer.shutdown(socket.SHUT_WR)
# The reader has the end while the other direction goes on.
check(command.stdout.read() == b'question')
command.stdin.write(b'answer')
command.stdin.close()
check(peer.recv(100) == b'answer' and peer.recv(100) == b'')
peer.close()
check(command.wait() == 0)

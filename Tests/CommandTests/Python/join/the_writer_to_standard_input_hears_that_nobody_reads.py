import os
import socket
import subprocess

from splicing import check, start, until

s = socket.socket(socket.AF_UNIX)
s.bind('s')
s.listen()
read, write = os.pipe()
p = start('join', '-', 'unix:s', stdin=read, stdout=subprocess.PIPE)
os.close(read)
peer, _ = s.accept()
peer.shutdown(socket.SHUT_RD)


def is_refused():
    try:
        os.write(write, b'more')
    except BrokenPipeError:
        return True


# It goes on to read what the peer says.
until(is_refused)
check(p.poll() is None)
peer.sendall(b'answer')
peer.close()
out, errors = p.communicate(timeout=20)
check(out == b'answer', out)
check(p.returncode == 74 and b'Broken pipe' in errors, p.returncode, errors)

from broadcasting import Broadcast
from splicing import all_of, check

b = Broadcast()
slow = b.ask(b'GET /live HTTP/1.1\r\nhost: ')
silent = b.ask(b'')
# Nobody else notices.
viewer = b.viewer()
sender = b.sender()
sender.sendall(b'live')
check(viewer.recv(10) == b'live')
check(all_of(slow).startswith(b'HTTP/1.1 408 '))
check(all_of(silent).startswith(b'HTTP/1.1 408 '))
check(b.stop() == 0)
check(viewer.recv(10) == b'')

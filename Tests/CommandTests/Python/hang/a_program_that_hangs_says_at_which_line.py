import socket
import threading

from splicing import arguments

if arguments[0] == 'busy':
    any(False for _ in iter(int, 1))
if arguments[0] == 'accept':
    socket.create_server(('127.0.0.1', 0)).accept()
if arguments[0] == 'wait':
    threading.Event().wait()

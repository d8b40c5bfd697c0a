import os
import select
import socket

from splicing import arguments, check, start

end = arguments[0]
is_first = arguments[1] == 'true'

for number in range(3):
    words = ['exec:printf partial; read x < go; ' + end, 'tcp-listen:0']
    if not is_first:
        words.reverse()
    if not os.path.exists('go'):
        os.mkfifo('go')
    p = start('join', *words, '--explain')
    port = int(p.stderr.readline().split()[-1])
    c = socket.create_connection(('127.0.0.1', port))
    check(c.recv(7) == b'partial')
    # So much that the pipe to the program is full; a write that met the reset would hide it from the read.
    c.setblocking(False)
    while select.select([], [c], [], 0.2)[1]:
        c.send(b'z' * 65536)
    c.settimeout(20)
    with open('go', 'w') as go:
        go.write('go\n')
    try:
        check(c.recv(1) != b'', 'looks finished', number)
    except ConnectionResetError:
        pass
    errors = p.stderr.read()
    check(
        p.wait() == 74
        and (b'ended with status 3' in errors or b'ended by' in errors or b'SIGKILL' in errors),
        errors,
    )
    check(b'tcp-listen:0: write:' not in errors and b'tcp-listen:0: read:' not in errors, errors)

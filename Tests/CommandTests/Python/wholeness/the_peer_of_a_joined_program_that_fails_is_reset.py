import socket

from splicing import check, is_reset, listen, start

for program in [
    'exec:head -c 1000 /dev/zero; kill -9 $$', 'exec:head -c 1000 /dev/zero; exit 3',
    'exec:cat >/dev/null; exit 3',
]:
    for flip in (False, True):
        s, word = listen()
        p = start('join', *([program, word] if flip else [word, program]))
        c, _ = s.accept()
        c.settimeout(20)
        if 'cat' in program:
            c.shutdown(socket.SHUT_WR)
        check(is_reset(c), program, flip)
        said = p.stderr.read()
        check(p.wait(20) == 74 and b': run: ended ' in said, program, flip, p.returncode, said)

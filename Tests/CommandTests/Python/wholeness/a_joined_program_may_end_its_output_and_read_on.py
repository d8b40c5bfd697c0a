from splicing import all_of, check, listen, start

s, word = listen()
p = start('join', word, 'exec:printf said; exec >&-; cat >got')
c, _ = s.accept()
c.settimeout(20)
check(all_of(c) == b'said')
c.sendall(b'heard')
c.close()
check(p.wait(20) == 0, p.stderr.read())
check(open('got').read() == 'heard')

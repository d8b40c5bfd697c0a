from splicing import check, listen, start

s, word = listen()
content = open('a', 'rb').read()
p = start('join', '-', word, stdin=open('a', 'rb'), stdout=open('b', 'wb'))
c, _ = s.accept()
got = b''
while d := c.recv(100000):
    got += d
check(got == content, 'sent')
# Our end has been passed on, and the answer comes all the same.
c.sendall(content[::-1])
c.close()
check(p.wait() == 0, p.stderr.read())
check(open('b', 'rb').read() == content[::-1], 'answer')

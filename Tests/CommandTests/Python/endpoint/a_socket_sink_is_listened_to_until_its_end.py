from splicing import check, is_asleep, listen, start, until

s, word = listen()
p = start('a', word)
c, _ = s.accept()
c.sendall(b'220 hello' * 1000)
until(lambda: is_asleep(p.pid), 'it waits')
got = b''
while d := c.recv(10000):
    got += d
check(got == open('a', 'rb').read(), len(got))
# Who waits has not ended.
until(lambda: p.poll() is not None or is_asleep(p.pid))
check(p.poll() is None, 'ended before its peer')
c.sendall(b'250 thanks')
c.close()
check(p.wait() == 0, p.stderr.read())

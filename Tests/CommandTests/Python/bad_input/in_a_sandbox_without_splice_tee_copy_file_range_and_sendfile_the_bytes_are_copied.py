import subprocess

from splicing import arguments, check, listen, sandbox, splice, start

sandbox(int(arguments[0]))
content = open('a', 'rb').read()


def run(*words, status=0, **more):
    p = subprocess.run([splice, *words], stderr=subprocess.PIPE, **more)
    check(p.returncode == status, words, p)
    return p


run('a', 'b')
check(open('b', 'rb').read() == content, 'file')
run('holes', 'c')
check(open('c', 'rb').read() == open('holes', 'rb').read(), 'holes')
check(run('a', '-', stdout=subprocess.PIPE).stdout == content, 'pipe')
check(run('-', '-', input=content, stdout=subprocess.PIPE).stdout == content, 'pipes')
s, word = listen()
p = start('a', word)
c, _ = s.accept()
got = b''
while d := c.recv(100000):
    got += d
c.close()
check(p.wait() == 0 and got == content, 'socket')
run('a', 'null:', '--via', 'splice', status=74)
check(b'by copy' in run('a', 'null:', '--explain').stderr)

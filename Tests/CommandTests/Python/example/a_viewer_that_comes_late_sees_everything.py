import socket
import subprocess
import threading

from splicing import arguments, check

program = arguments[0]

p = subprocess.Popen([program, 'record'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
port = int(p.stdout.readline().decode().rsplit(':', 1)[1])
want = open('source', 'rb').read()


def viewer(got):
    s = socket.create_connection(('127.0.0.1', port))
    s.settimeout(60)
    got.append(s.recv(1))
    ready.release()
    while d := s.recv(100_000):
        got.append(d)


ready, gots = threading.Semaphore(0), [[], [], []]
threads = [threading.Thread(target=viewer, args=(got,)) for got in gots]
p.stdin.write(want[:1000])
p.stdin.flush()
threads[0].start()
ready.acquire()
p.stdin.write(want[1000:3_000_000])
p.stdin.flush()
threads[1].start()
threads[2].start()
ready.acquire()
ready.acquire()
p.stdin.write(want[3_000_000:])
p.stdin.close()
for t in threads:
    t.join(60)
said = p.stdout.read().decode().splitlines()
check(
    p.wait(60) == 0 and all(b''.join(got) == want for got in gots), [sum(map(len, got)) for got in gots], said
)
check(said[-1] == 'recorded 4000000 bytes' and said.count('a viewer has 4000000 bytes') == 3, said)
check(open('record', 'rb').read() == want)

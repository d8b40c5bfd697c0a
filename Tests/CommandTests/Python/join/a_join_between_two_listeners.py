import json
import os
import socket
import threading

from splicing import check, start

content = open('a', 'rb').read()
p = start('join', 'tcp-listen:0', 'unix-listen:s', '--explain', '--stats', 'json')
port = int(p.stderr.readline().split()[-1])
check(p.stderr.readline() == b'splice: unix-listen:s: listening\n')
one = socket.socket()
one.connect(('127.0.0.1', port))
two = socket.socket(socket.AF_UNIX)
two.connect('s')


def talk(c, say):
    t = threading.Thread(target=lambda: (c.sendall(say), c.shutdown(socket.SHUT_WR)))
    t.start()
    got = b''
    while d := c.recv(100000):
        got += d
    t.join()
    return got


answers = {}
other = threading.Thread(target=lambda: answers.update(two=talk(two, content[::-1])))
other.start()
check(talk(one, content) == content[::-1], 'one')
other.join()
check(answers['two'] == content, 'two')
check(p.wait() == 0)

report = json.loads(p.stderr.read().splitlines()[-1])
check([d['received'] for d in report['directions']] == [len(content)] * 2, report)
check([d['sinks'][0]['delivered'] for d in report['directions']] == [len(content)] * 2, report)
check(not os.path.exists('s'))

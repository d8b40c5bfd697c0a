import json
import os
import signal
import socket
import subprocess

from splicing import check, splice, until

for ends in ['close', 'term']:
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.bind(('127.0.0.1', 0))
    s.listen()
    with open('file', 'wb') as file:
        file.write(os.urandom(1 << 20) * 8)
    given = os.open('file', os.O_RDONLY)
    words = [splice, 'join', '-', 'tcp:127.0.0.1:%d' % s.getsockname()[1], '--stats', 'json']
    command = subprocess.Popen(words, stdin=given, stderr=subprocess.PIPE)
    peer, _ = s.accept()


    def stuck():
        # Both its pipe and its socket are full: the offset moves no more.
        before = os.lseek(given, 0, os.SEEK_CUR)
        return before > 0 and command.poll() is None and asleep() and os.lseek(given, 0, os.SEEK_CUR) == before


    def asleep():
        with open(f'/proc/{command.pid}/stat') as stat:
            return stat.read().rsplit(') ')[1][0] == 'S'


    until(stuck)
    if ends == 'close':
        peer.close()
    else:
        command.send_signal(signal.SIGTERM)
    check(command.wait() in (74, 143), ends)
    direction = json.loads(command.stderr.read().splitlines()[-1])['directions'][0]
    moved = direction['sinks'][0]['delivered']
    check(0 < moved < 8 << 20 and direction['received'] == moved, direction)
    check(os.lseek(given, 0, os.SEEK_CUR) == moved, ends, direction)
    os.close(given)
    s.close()

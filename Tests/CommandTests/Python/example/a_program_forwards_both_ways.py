# A program that forwards one connection: PORT HOST PORT. Every byte arrives, each end is passed on, and then it ends.
import os
import socket
import subprocess

from splicing import all_of, arguments, check, in_thread, listen, until

there = os.urandom(3_000_001)
back = os.urandom(2_000_003)
upstream, word = listen()
with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    port = free.getsockname()[1]


def answer():
    peer, _ = upstream.accept()
    got = all_of(peer)
    peer.sendall(back)
    peer.close()
    return got


answered = in_thread(answer)
with subprocess.Popen([*arguments, str(port), '127.0.0.1', word.rsplit(':', 1)[1]]) as program:
    client = socket.socket()
    client.settimeout(20)

    def connects():
        global client
        client = socket.socket()
        client.settimeout(20)
        return client.connect_ex(('127.0.0.1', port)) == 0

    until(connects)
    client.sendall(there)
    client.shutdown(socket.SHUT_WR)
    check(all_of(client) == back)
    check(answered() == there)
    check(program.wait(20) == 0, program.returncode)

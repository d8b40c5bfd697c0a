import socket

from splicing import check, listen, reset, start

listeners = [listen() for _ in range(3)]
copy = start(*[word for _, word in listeners])
feeder, *peers = [l.accept()[0] for l, _ in listeners]
feeder.sendall(b"x" * 1000)
for peer in peers:
    check(peer.recv(1000, socket.MSG_WAITALL) == b"x" * 1000, 'the bytes')
reset(feeder)
for peer in peers:
    try:
        check(False, 'a clean end', peer.recv(1))
    except ConnectionResetError:
        pass
check(copy.wait() == 74, copy.returncode)
said = copy.stderr.read().decode()
check(said.count("read: Connection reset by peer") == 1, said)

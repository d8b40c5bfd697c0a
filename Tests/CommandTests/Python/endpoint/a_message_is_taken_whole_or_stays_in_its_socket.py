import itertools
import socket
import subprocess
import threading

from splicing import check, is_asleep, splice, until


def messages(*lengths):
    return [bytes([length % 251]) * length for length in lengths]


held = []


def sending(kind, sent):
    """The end of a socket that has all of it to give, and whether it will end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

    def send():
        for message in sent:
            ours.send(message)
        # A datagram socket has no end but an empty message.
        if kind == socket.SOCK_DGRAM:
            ours.send(b'')
        else:
            ours.close()

    threading.Thread(target=send, daemon=True).start()
    held.append(ours)
    return theirs


def run(source, *words):
    return subprocess.run(
        [splice, f'fd:{source.fileno()}', *words],
        pass_fds=[source.fileno()], capture_output=True, timeout=30)


kinds = [socket.SOCK_SEQPACKET, socket.SOCK_DGRAM]
lengths = messages(20, 20_000, 1, 16_384, 16_385, 60_000, 3, 4096, 40_000, 50_000)
whole = b''.join(lengths)
ways = [[], ['--rate-limit', '1M'], ['--rate-limit', '400K'], ['--buffer', '1M'], ['--via', 'copy']]
for kind, way in itertools.product(kinds, ways):
    source = sending(kind, lengths)
    done = run(source, 'out', '--force', *way)
    check(done.returncode == 0, kind, way, done)
    check(open('out', 'rb').read() == whole, kind, way)
    source = sending(kind, lengths)
    done = run(source, '-', 'second', '--force', *way)
    check(done.returncode == 0, kind, way, done)
    check(done.stdout == whole and open('second', 'rb').read() == whole, kind, way)

# More than a buffer's segments, and more than the buffer, whose reader comes late.
for kind, words, length, count in itertools.product(
    kinds[:1], [['--buffer', '64M'], ['--then', '/dev/null'], ['--buffer', '256K']], [200, 20_000, 60_000], [200]
):
    for is_late in False, True:
        source = sending(kind, [b'x' * length] * count)
        process = subprocess.Popen(
            [splice, f'fd:{source.fileno()}', '-', *words],
            pass_fds=[source.fileno()], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if is_late:
            until(lambda: process.poll() is not None or is_asleep(process.pid), words, length)
        got, errors = process.communicate(timeout=60)
        check(process.returncode == 0, words, length, is_late, errors)
        check(got == b'x' * length * count, words, length, is_late, len(got))

# What a limit does not let pass whole, and what is longer than any pipe here, is refused and stays.
for kind, (words, sent, passed) in itertools.product(
    kinds,
    [
        (['--limit', '25K'], messages(20_000, 10_000), 1),
        (['--pipe-size', '64K'], messages(10, 300_000), 1),
    ],
):
    source = sending(kind, sent)
    done = run(source, 'out', '--force', *words)
    check(done.returncode == 74 and b'Message too long' in done.stderr, kind, words, done)
    check(open('out', 'rb').read() == b''.join(sent[:passed]), kind, words)
    check(source.recv(1 << 20) == sent[passed], kind, words)

import json

from splicing import check, listen, reset, start

s, word = listen()
for flip in (0, 1):
    p = start('join', word, word, '--stats', 'json')
    ends = [s.accept()[0] for _ in range(2)]
    # Both are joined: a reset before that is one of the connect.
    ends[0].sendall(b'x')
    check(ends[1].recv(1) == b'x')
    reset(ends[flip])
    check(p.wait(20) == 74)
    directions = json.loads(p.stderr.read().splitlines()[-1])['directions']
    # One of the two directions says so, and the one that it is:
    # each end is the source of one and the sink of the other.
    errors = [(d['source']['error'], d['sinks'][0]['error']) for d in directions]
    check(not errors[flip][1] and not errors[1 - flip][0], flip, errors)
    check(bool(errors[flip][0]) != bool(errors[1 - flip][1]), flip, errors)

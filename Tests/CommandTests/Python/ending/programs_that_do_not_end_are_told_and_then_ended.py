import subprocess
import time

from splicing import check, start


def run(*words, says, status=74):
    began = time.monotonic()
    p = start(*words, '--idle-timeout', '300ms', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    check(p.wait(20) == status, words, p.returncode)
    took = time.monotonic() - began
    check(took < 8, words, took)
    # Nobody is left who holds our standard error.
    said = p.stderr.read()
    check(says in said and time.monotonic() - began < 8, words, said)


run(
    'null:',
    'exec:cat; echo told >out; exec sleep 25',
    says=b'exec:cat; echo told >out; exec sleep 25: run: has not ended for 300ms',
)
run(
    'exec:exec >&-; sleep 25; true',
    'null:',
    says=b'exec:exec >&-; sleep 25; true: run: has not ended for 300ms',
)
run(
    'null:',
    "exec:trap 'echo told >told; exit' TERM; cat; while :; do sleep 0.05; done",
    says=b': run: has not ended for 300ms',
)
check(open('told').read() == 'told\n')
run('null:', "exec:trap '' TERM; cat; sleep 25; sleep 25", says=b': run: has not ended for 300ms')
run(
    'join', '-', "exec:trap '' TERM; exec >&-; cat; sleep 25; sleep 25",
    says=b': run: has not ended for 300ms',
)
# One that ends in time is waited for.
p = start('null:', 'exec:cat; sleep 0.3; exit 3', '--idle-timeout', '5s')
check(p.wait(20) == 74 and b'ended with status 3' in p.stderr.read())

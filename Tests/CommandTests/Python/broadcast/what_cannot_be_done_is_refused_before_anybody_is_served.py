import os
import socket
import subprocess

from splicing import check, size, splice, until

taken = socket.socket()
taken.bind(('127.0.0.1', 0))
taken.listen()
port = taken.getsockname()[1]
open('other.index', 'w').write('somebody else\n')
for words, status, says in [
    (['null:', '--http', str(port)], 73, 'Address already in use'),
    (['null:', '--http', '0', '--record', 'nowhere/show'], 73, 'No such file'),
    (['null:', '--http', '0', '--record', 'other'], 73, 'File exists'),
    (['null:', '--http', '0', '--record', '..'], 73, 'Is a directory'),
    (['null:', '--http', '0', '--align', '65537'], 64, '--align'),
    (['null:'], 64, 'nobody'),
    (['nowhere', '--http', '0'], 66, 'nowhere: open: No such file'),
    (['null:', '--http', '0', '--keep', '2'], 64, '--keep'),
    (['null:', '--http', '0', '--when-slow', 'replay'], 64, '--record'),
    (['null:', '--http', '0', '--once'], 64, '--once'),
    (['digest:sha256', '--http', '0'], 64, 'digest'),
    (['exec:exit 3', '--http', '0'], 74, 'status 3'),
    (['exec:echo hi', '--http', '0', '--record', 'kept'], 0, ''),
]:
    run = subprocess.run([splice, 'broadcast', *words], stderr=subprocess.PIPE, text=True, timeout=30)
    check(run.returncode == status and says in run.stderr, words, run)
check(open('kept').read() == 'hi\n')
# A program that was to be the source is not left behind.
word = 'exec:echo $$ > program; exec sleep 600'
run = subprocess.run([splice, 'broadcast', word, '--http', str(port)], stderr=subprocess.PIPE, text=True, timeout=30)
check(run.returncode == 73 and 'Address already in use' in run.stderr, run)
# It may have been ended before it could say its number.
until(lambda: not size('program') or not os.path.exists('/proc/%s' % open('program').read().strip()))
# Where nothing can be made, as well.
readonly = 'mkdir -p disk; mount -t tmpfs -o ro none disk; exec "$@"'
run = subprocess.run(
    ['unshare', '-rm', 'sh', '-c', readonly, 'sh', splice, 'broadcast', 'null:', '--http', '0', '--record', 'disk/show'],
    stderr=subprocess.PIPE, text=True, timeout=30,
)
check(run.returncode == 73 and 'Read-only' in run.stderr, run)
# An index whose title was cut short is gone on with, as often as it takes.
open('again.index', 'w').write('# a rec')
for _ in range(2):
    run = subprocess.run(
        [splice, 'broadcast', 'exec:echo hi', '--http', '0', '--record', 'again'], stderr=subprocess.PIPE, timeout=30
    )
    check(run.returncode == 0, run)

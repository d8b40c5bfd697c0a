import subprocess

from broadcasting import Broadcast
from splicing import check

# mpv, which reads, decodes and keeps time by itself; its picture and its sound go nowhere.
encoder = (
    'exec:ffmpeg -v error -re -f lavfi -i testsrc=size=320x240:rate=25 -f lavfi -i sine -t 60'
    ' -c:v mpeg2video -g 12 -c:a mp2 -f mpegts -'
)
b = Broadcast('--align', '188', '--content-type', 'video/mp2t', source=encoder)
words = ['mpv', '--no-config', '--vo=null', '--ao=null', '--length=2', '--term-status-msg=${=time-pos}']
p = subprocess.run(
    [*words, 'http://127.0.0.1:%d/live' % b.http], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60
)
said = p.stdout.decode()
check(p.returncode == 0 and 'mpeg2video' in said and 'mp2' in said, p.returncode, said)
check('rror' not in said and 'orrupt' not in said, said)
check(b.stop() in (0, 143))

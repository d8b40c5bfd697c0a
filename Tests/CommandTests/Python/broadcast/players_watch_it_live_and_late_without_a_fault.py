import os
import subprocess

from broadcasting import Broadcast
from splicing import check, in_thread, until, size

encoder = (
    'exec:ffmpeg -v error -re -f lavfi -i testsrc=size=320x240:rate=25 -f lavfi -i sine -t 6'
    ' -c:v mpeg2video -g 12 -c:a mp2 -f mpegts -'
)
b = Broadcast(
    '--record', 'show.ts', '--align', '188', '--backlog', '10M', '--content-type', 'video/mp2t', source=encoder
)
url = 'http://127.0.0.1:%d/live' % b.http


def play():
    """What a player complains of, and how many packets it got."""
    words = ['ffmpeg', '-v', 'warning', '-i', url, '-map', '0', '-c', 'copy', '-f', 'framecrc', '-']
    p = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    # That a stream without a length has an end at all, this player always says.
    said = [l for l in p.stderr.decode().splitlines() if 'ends prematurely' not in l and 'live: Input/output' not in l]
    return p.returncode, said, p.stdout.count(b'\n')


def probe():
    words = ['ffprobe', '-v', 'error', '-show_entries', 'stream=codec_name', '-of', 'csv=p=0', url]
    return subprocess.run(words, stdout=subprocess.PIPE, timeout=60).stdout.decode().replace(',', '').split()


first, curl = in_thread(play), in_thread(
    lambda: subprocess.run(['curl', '-sS', url], stdout=subprocess.PIPE, timeout=60).stdout
)
until(lambda: (size('show.ts.part') or 0) > 200_000)
late, probed = in_thread(play), in_thread(probe)
codecs = probed()
check(sorted(set(codecs)) == ['mp2', 'mpeg2video'], codecs)
check(b.process.wait(40) == 0)
one, two, whole = first(), late(), curl()
check(one[0] == 0 and not one[1] and one[2] > 150, one)
check(two[0] == 0 and not two[1], two)
recorded = open('show.ts', 'rb').read()
check(recorded.endswith(whole) and len(whole) % 188 == 0 and len(whole) > 200_000)
# Both have all there was to have from where they began.
words = ['ffmpeg', '-v', 'warning', '-i', 'show.ts', '-map', '0', '-c', 'copy', '-f', 'framecrc', '-']
p = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
check(not p.stderr and p.stdout.count(b'\n') >= two[2] >= p.stdout.count(b'\n') - 2, p.stderr, two[2])
check(os.path.getsize('show.ts') % 188 == 0)

import hashlib
import json
import os
import signal
import socket
import subprocess

from splicing import check, listen, start

quiet = ['ffmpeg', '-nostdin', '-v', 'error']
listeners = [listen() for _ in range(2)]
camera, stream = os.pipe()
copy = start(
    '-', 'rec.ts', listeners[0][1], 'digest:sha256', '--skip-slow', listeners[1][1], '--align', '188',
    '--stats', 'json',
    stdin=camera,
)
os.close(camera)
players = []
for number, (listener, _) in enumerate(listeners):
    connection = listener.accept()[0]
    # So that it is the player who is slow, and not a kernel who is generous.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    players.append(
        subprocess.Popen(
            quiet + ['-i', 'pipe:0', '-map', '0:v', '-f', 'framecrc', 'frames%d' % number],
            stdin=connection,
            stderr=subprocess.PIPE,
        )
    )
    connection.close()
stopped = players[1]
stopped.send_signal(signal.SIGSTOP)
source = subprocess.Popen(
    quiet
    + [
        '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=25:duration=20', '-c:v', 'mpeg2video',
        '-b:v', '20M', '-minrate', '20M', '-maxrate', '20M', '-bufsize', '4M', '-f', 'mpegts', 'pipe:1',
    ],
    stdout=stream,
)
os.close(stream)
check(source.wait() == 0, 'the source')

# The stream is over, and for all but the one who is stopped.
said = players[0].stderr.read()
check(players[0].wait() == 0 and said == b'', 'the running player', said)
check(stopped.poll() is None and copy.poll() is None, 'the stopped one ended')
# It gets what it did not miss.
stopped.send_signal(signal.SIGCONT)
stopped.stderr.read()
stopped.wait()
content = open('rec.ts', 'rb').read()
subprocess.run(quiet + ['-i', 'rec.ts', '-map', '0:v', '-f', 'framecrc', 'frames'], check=True)
check(open('frames').read() == open('frames0').read(), 'frames of the running player')
check(open('frames').read().count('\n') > 500, 'frames')

errors = copy.stderr.read().decode().splitlines()
check(copy.wait() == 0, errors)
check(hashlib.sha256(content).hexdigest() in [line.split()[0] for line in errors], 'the digest', errors)
report = json.loads(errors[-1])
check(report['received'] == len(content), report)
for sink in report['sinks'][:3]:
    check(sink['skipped'] == 0 and sink['delivered'] == len(content), sink)
slow = report['sinks'][3]
check(slow['skipped'] > 0 and slow['skipped'] % 188 == 0, slow)
check(slow['delivered'] + slow['skipped'] == len(content) and slow['largestLag'] > 0, slow)

# A browser draws all pictures of a page, and goes to a place in a video that it has not loaded: it asks for
# parts of the file, gets those, and shows the frame that is there.
import json
import subprocess

from browsing import Browser
from filing import Files
from splicing import check, until

pictures, seconds = 24, 40
ffmpeg = ['ffmpeg', '-nostdin', '-v', 'error', '-f', 'lavfi', '-i']
subprocess.run(
    [*ffmpeg, f'testsrc2=size=320x240:rate=1:duration={pictures},noise=alls=20', 'picture%d.png'], check=True
)
# Red, and blue in its second half; the noise makes it large, so that it is not loaded at once.
halves = ';'.join(
    f'color={color}:size=320x240:rate=10:duration={seconds // 2},noise=alls=60:allf=t[{color}]'
    for color in ('red', 'blue')
)
subprocess.run(
    [
        *ffmpeg, halves + ';[red][blue]concat', '-c:v', 'libx264', '-preset', 'ultrafast', '-b:v', '4M',
        '-g', '10', '-pix_fmt', 'yuv420p', '-movflags', 'faststart', 'video.mp4',
    ],
    check=True,
)
images = ''.join(f'<img src="picture{number + 1}.png">' for number in range(pictures))
open('index.html', 'w').write(
    '<!doctype html><link rel="icon" href="data:,"><title>x</title>'
    f'{images}<video src="video.mp4" preload="metadata" muted></video>'
)
f = Files('--access-log', 'log', '--access-log-format', 'json')


def logged(target):
    """The lines of the log for this file."""
    return [line for line in map(json.loads, open('log')) if line['target'] == target]


b = Browser()
b.go(f'http://127.0.0.1:{f.port}/')
b.until("[...document.images].every(i => i.complete && i.naturalWidth == 320 && i.naturalHeight == 240)")
until(lambda: all(logged(f'/picture{number + 1}.png') for number in range(pictures)))
check({line['status'] for number in range(pictures) for line in logged(f'/picture{number + 1}.png')} == {200})

b.until("document.querySelector('video').readyState >= 1")
length = b.value("document.querySelector('video').duration")
check(abs(length - seconds) < 1, length)
# A color that is drawn: [red, green, blue].
b.value(
    """
    video = document.querySelector('video')
    color = () => {
      const canvas = new OffscreenCanvas(1, 1).getContext('2d')
      canvas.drawImage(video, 0, 0, 1, 1)
      return [...canvas.getImageData(0, 0, 1, 1).data]
    }
    undefined
    """
)
for place, strong, weak in (seconds * 3 / 4, 2, 0), (1, 0, 2), (seconds - 2, 2, 0):
    b.value(f'over = false; video.onseeked = () => over = true; video.currentTime = {place}')
    b.until('over && video.readyState >= 2')
    check(abs(b.value('video.currentTime') - place) < 0.5, place)
    color = b.value('color()')
    check(color[strong] > 120 and color[weak] < 100, place, color)
check(b.value('video.error') is None and not b.complaints, b.complaints)
b.go('about:blank')
until(lambda: [line['status'] for line in logged('/video.mp4')].count(206) >= 2, logged('/video.mp4'))
# From its beginning on, and from the first place on. What it has by then it asks whether it is good still.
statuses = [line['status'] for line in logged('/video.mp4')]
check(statuses.count(206) >= 2 and set(statuses) <= {206, 304}, statuses)
check(f.stop() == 0)

import os

from terminal import drawn, feed, read, resize, tell

os.write(feed, bytes(1000))
while drawn.count(b'\r') < 2:
    read()
resize(40)
for count in [1000, (1 << 20) - 2000]:
    os.write(feed, bytes(count))
tell()

import os

from terminal import drawn, feed, read, tell

os.write(feed, bytes(1 << 19))
while not (b'[   0B/s]' in drawn and b'50% ETA -:--:--' in drawn):
    read()
os.write(feed, bytes(1 << 19))
tell()

import os
import subprocess

from splicing import check, splice

# The end of the file is for the file to say: the reader has taken all of it, and leaves.
reader = 'import os\nleft = %d\nwhile left: left -= len(os.read(0, left))'
for size, times in (7, 10), (65_536, 10), (1 << 20, 10):
    data = os.urandom(size)
    with open('file', 'wb') as file:
        file.write(data)
    for _ in range(times):
        read = subprocess.Popen(['python3', '-c', reader % size], stdin=subprocess.PIPE)
        done = subprocess.run([splice, 'file', '-'], stdout=read.stdin, stderr=subprocess.PIPE, timeout=30)
        read.stdin.close()
        check(done.returncode == 0, size, done)
        check(read.wait(timeout=30) == 0)

    # It is read later, and fills the pipe to the brim.
    source, sink = os.pipe()
    done = subprocess.run([splice, 'file', f'fd:{sink}'], pass_fds=[sink], stderr=subprocess.PIPE, timeout=30)
    os.close(sink)
    check(done.returncode == 0, size, done)
    with open(source, 'rb') as file:
        check(file.read() == data, size)

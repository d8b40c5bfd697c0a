"""A file system that answers as a test wants (FUSE, by /dev/fuse): in a mount namespace of the test's own."""
import ctypes
import os
import struct
import threading

from splicing import check


class FileSystem:
    """A directory with these files, by their numbers from 2 on: a name and a size. What is read is 0, unless
    `read` says otherwise; it and `find` return bytes or an error number, or None for what is never answered."""

    def __init__(self, place, files):
        self.files, self.unanswered = files, []
        self.device = os.open('/dev/fuse', os.O_RDWR)
        os.makedirs(place)
        options = b'fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other' % self.device
        libc = ctypes.CDLL(None, use_errno=True)
        done = libc.mount(b'test', place.encode(), b'fuse', 0, options)
        check(done == 0, os.strerror(ctypes.get_errno()))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                request = os.read(self.device, 1 << 20)
            except OSError:
                return
            # One that takes its time holds up no other.
            threading.Thread(target=self.answer, args=(request,), daemon=True).start()

    def answer(self, request):
        _, what, unique, node = struct.unpack_from('IIQQ', request)
        # FORGET, INTERRUPT and BATCH_FORGET have no answer.
        if what in (2, 36, 42):
            return
        out = self.do(what, node, request[40:])
        error, out = (-out, b'') if isinstance(out, int) else (0, out)
        if out is None:
            self.unanswered.append(unique)
        else:
            os.write(self.device, struct.pack('IiQ', 16 + len(out), error, unique) + out)

    def attributes(self, node):
        """The `fuse_attr` of the kernel."""
        mode, size = (0o40755, 0) if node == 1 else (0o100644, self.files[node][1])
        times = 10**9, 10**9, 10**9, 0, 0, 0
        return struct.pack('QQQQQQIIIIIIIIII', node, size, 8, *times, mode, 1, 0, 0, 0, 4096, 0)

    def do(self, what, node, words):
        """The answer to a request, or an error number; None for one that is never answered."""
        if what == 26:  # INIT, with several names looked up at the same time
            _, _, ahead, _ = struct.unpack_from('IIII', words)
            return struct.pack('IIIIHHIIHHI', 7, 31, ahead, 1 | 1 << 18, 16, 12, 1 << 17, 1, 32, 0, 0) + bytes(24)
        if what == 1:  # LOOKUP
            found = self.find(words[:-1].decode())
            if not isinstance(found, tuple):
                return found
            return struct.pack('QQQQII', found[0], 0, 0, 0, 0, 0) + self.attributes(found[0])
        if what == 3:  # GETATTR
            return struct.pack('QII', 0, 0, 0) + self.attributes(node)
        if what == 14:  # OPEN, which keeps the page cache: else it would wait for what is being read
            return struct.pack('QII', 0, 2, 0)
        if what == 15:  # READ
            _, offset, count = struct.unpack_from('QQI', words)
            return self.read(node, offset, min(count, self.files[node][1] - offset))
        if what in (18, 25, 38):  # RELEASE, FLUSH, DESTROY
            return b''
        return 38

    def find(self, name):
        """The number of a name, in a tuple."""
        for number, (known, _) in self.files.items():
            if name == known:
                return (number,)
        return 2

    def read(self, node, offset, count):
        return bytes(count)

// The copying loop: standard input to standard output through one buffer in user memory, whose size is the
// only argument (256 KiB if there is none). It waits as c-splice does: first try, then poll the side that
// would have blocked, which is the source when the buffer is empty and the sink when it is not.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void make_nonblocking(int fd) {
    struct stat s;
    if (fstat(fd, &s) == 0 && (S_ISSOCK(s.st_mode) || S_ISFIFO(s.st_mode)))
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

// After a failed call: waits if it would have blocked, goes on if it was interrupted, ends otherwise.
static void wait_or_die(int fd, short events, const char *act) {
    struct pollfd p = {fd, events, 0};
    if (errno == EAGAIN) {
        poll(&p, 1, -1);
    } else if (errno != EINTR) {
        perror(act);
        exit(1);
    }
}

int main(int argc, char **argv) {
    size_t size = argc > 1 ? strtoull(argv[1], NULL, 10) : 256 << 10;
    char *buffer = aligned_alloc(4096, (size + 4095) & ~4095ull);
    if (size == 0 || !buffer) {
        fprintf(stderr, "usage: c-readwrite [BUFFER-BYTES]\n");
        return 2;
    }
    make_nonblocking(0);
    make_nonblocking(1);
    for (;;) {
        ssize_t held = read(0, buffer, size), done = 0;
        if (held == 0)
            return 0;
        if (held < 0)
            wait_or_die(0, POLLIN, "read");
        while (done < held) {
            ssize_t sent = write(1, buffer + done, held - done);
            if (sent < 0)
                wait_or_die(1, POLLOUT, "write");
            else
                done += sent;
        }
    }
}

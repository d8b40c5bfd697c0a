// The splice loop as a careful C programmer writes it: standard input to standard output through a pipe of
// our own, enlarged to 1 MiB. Sockets and pipes are non-blocking, since a splice that waits holds the pipe.
// The pipe is empty before every fill, and an empty pipe has room: EAGAIN there means a dry source. It holds
// exactly `held` bytes in every drain: EAGAIN there means a full sink.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 1 << 20, FLAGS = SPLICE_F_NONBLOCK | SPLICE_F_MOVE };

static void die(const char *act) {
    perror(act);
    exit(1);
}

static void make_nonblocking(int fd) {
    struct stat s;
    if (fstat(fd, &s) == 0 && (S_ISSOCK(s.st_mode) || S_ISFIFO(s.st_mode)))
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

// After a failed call: waits if it would have blocked, goes on if it was interrupted, ends otherwise.
static void wait_or_die(int fd, short events, const char *act) {
    struct pollfd p = {fd, events, 0};
    if (errno == EAGAIN)
        poll(&p, 1, -1);
    else if (errno != EINTR)
        die(act);
}

int main(void) {
    int hold[2];
    if (pipe2(hold, O_CLOEXEC | O_NONBLOCK) < 0 || fcntl(hold[1], F_SETPIPE_SZ, MOST) < 0)
        die("pipe");
    make_nonblocking(0);
    make_nonblocking(1);
    for (;;) {
        ssize_t held = splice(0, NULL, hold[1], NULL, MOST, FLAGS);
        if (held == 0)
            return 0;
        if (held < 0)
            wait_or_die(0, POLLIN, "fill");
        while (held > 0) {
            ssize_t sent = splice(hold[0], NULL, 1, NULL, held, FLAGS);
            if (sent < 0)
                wait_or_die(1, POLLOUT, "drain");
            else
                held -= sent;
        }
    }
}

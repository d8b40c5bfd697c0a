// Standard input straight into standard output with one splice after another: no pipe of our own, because one
// of the two is a pipe already (a command in a shell pipeline). That pipe is enlarged to 1 MiB, if it may be.
// Everything blocks, as a command's descriptors do.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { MOST = 1 << 20 };

int main(void) {
    fcntl(0, F_SETPIPE_SZ, MOST);  // What is not a pipe says EBADF, and a limit says EPERM: both are fine.
    fcntl(1, F_SETPIPE_SZ, MOST);
    for (;;) {
        ssize_t moved = splice(0, NULL, 1, NULL, MOST, SPLICE_F_MOVE);
        if (moved == 0)
            return 0;
        if (moved < 0 && errno != EINTR) {
            perror("splice");
            return 1;
        }
    }
}

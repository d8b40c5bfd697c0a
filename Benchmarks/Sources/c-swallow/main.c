// An end: swallows standard input until it ends. `read` copies it into user memory; `splice` moves it into a
// pipe and from there to /dev/null, which frees the pages unread. If a number of bytes is given, any other
// number is a failure: a mover that loses bytes must not win. Given a listening socket, it takes one peer first. `stall`
// swallows nothing, and ends when the peer has gone.

#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 1 << 20 };

static char buffer[MOST];

int main(int argc, char **argv) {
    int hold[2], null = open("/dev/null", O_WRONLY);
    if (argc < 2 || null < 0 || pipe(hold) < 0 || fcntl(hold[1], F_SETPIPE_SZ, MOST) < 0) {
        fprintf(stderr, "usage: c-swallow read|splice|stall [BYTES]\n");
        return 2;
    }
    if (strcmp(argv[1], "stall") == 0) {
        struct pollfd peer = {0, 0, 0};
        return poll(&peer, 1, -1) < 0;
    }
    int copies = strcmp(argv[1], "read") == 0;
    int peer = accept(0, NULL, NULL);
    if (peer >= 0) {
        dup2(peer, 0);
        close(peer);
    }
    unsigned long long count = 0;
    ssize_t got;
    while ((got = copies ? read(0, buffer, MOST) : splice(0, NULL, hold[1], NULL, MOST, 0)) > 0) {
        count += got;
        for (ssize_t left = copies ? 0 : got; left > 0;) {
            ssize_t freed = splice(hold[0], NULL, null, NULL, left, 0);
            if (freed <= 0) {
                perror("c-swallow");
                return 1;
            }
            left -= freed;
        }
    }
    if (got < 0) {
        perror("c-swallow");
        return 1;
    }
    if (argc > 2 && count != strtoull(argv[2], NULL, 10)) {
        fprintf(stderr, "c-swallow: expected %s bytes, got %llu\n", argv[2], count);
        return 1;
    }
    return 0;
}

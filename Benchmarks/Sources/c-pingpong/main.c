// Both clients of a relay at once: SIZE bytes go into FD_A, the relay brings them to FD_B, they go back into
// FD_B, and the relay brings them to FD_A. COUNT times, so the relay forwards 2 x COUNT messages, one at a
// time. Everything blocks, nothing is printed, and the end of this program is the relay's end of stream on
// both sides.

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

static int pass(int from, int to, char *message, size_t size) {
    return send(from, message, size, 0) == (ssize_t)size
        && recv(to, message, size, MSG_WAITALL) == (ssize_t)size;
}

int main(int argc, char **argv) {
    int a = argc == 5 ? atoi(argv[1]) : -1, b = argc == 5 ? atoi(argv[2]) : -1;
    size_t size = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;
    char *message = calloc(1, size + 1);
    if (size == 0 || !message) {
        fprintf(stderr, "usage: c-pingpong FD_A FD_B SIZE COUNT\n");
        return 2;
    }
    for (long left = atol(argv[4]); left > 0; left--) {
        message[0] = (char)left;
        if (!pass(a, b, message, size) || !pass(b, a, message, size) || message[0] != (char)left) {
            fprintf(stderr, "c-pingpong: the message did not come back\n");
            return 1;
        }
    }
    return 0;
}

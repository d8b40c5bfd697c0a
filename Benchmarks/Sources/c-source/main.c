// An end: feeds standard output with BYTES bytes of the cached file on standard input, from its start again
// whenever it is used up. `splice` sends the file's own pages (sendfile, into a pipe or a socket); `write`
// sends from one 1 MiB buffer that was read from the file, as a program does that has made its bytes itself. Where standard output
// is a listening socket, it takes one peer first.

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 1 << 20 };

static char buffer[MOST];

int main(int argc, char **argv) {
    struct stat file;
    if (argc != 3 || fstat(0, &file) < 0) {
        fprintf(stderr, "usage: c-source BYTES write|splice < CACHED-FILE\n");
        return 2;
    }
    unsigned long long left = strtoull(argv[1], NULL, 10);
    int copies = strcmp(argv[2], "write") == 0;
    if (left > 0 && (file.st_size == 0 || (copies && read(0, buffer, MOST) <= 0))) {
        fprintf(stderr, "c-source: nothing to send\n");
        return 1;
    }
    int peer = accept(1, NULL, NULL);
    if (peer >= 0) {
        dup2(peer, 1);
        close(peer);
    }
    off_t at = 0;
    while (left > 0) {
        size_t length = left < MOST ? left : MOST;
        if (at == file.st_size)
            at = 0;
        ssize_t sent = copies ? write(1, buffer, length) : sendfile(1, 0, &at, length);
        if (sent <= 0) {
            perror("c-source");
            return 1;
        }
        left -= sent;
    }
    return 0;
}

// A pipe within one process: blocks are written and read again, BLOCK bytes each, until TOTAL bytes have passed.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: c-pipe BLOCK TOTAL\n");
        return 2;
    }
    size_t block = strtoull(argv[1], NULL, 10);
    long long total = atoll(argv[2]);
    int ends[2];
    char *in = malloc(block), *out = malloc(block);
    if (!in || !out || pipe2(ends, O_CLOEXEC | O_NONBLOCK)) return 1;
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
    memset(in, 1, block);
    for (; total > 0; total -= block)
        if (write(ends[1], in, block) != (ssize_t)block || read(ends[0], out, block) != (ssize_t)block) return 1;
    return 0;
}

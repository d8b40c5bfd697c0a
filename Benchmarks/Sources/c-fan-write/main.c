// One source to many sinks by copying: one read, and a write for each. `c-fan-write BUFFER SINK...`, from standard input.

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    size_t most = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
    char *buffer = malloc(most);
    if (most == 0 || buffer == NULL) {
        fprintf(stderr, "usage: c-fan-write BUFFER SINK...\n");
        return 2;
    }
    ssize_t got;
    while ((got = read(0, buffer, most)) > 0)
        for (int i = 2; i < argc; i++)
            for (ssize_t sent = 0; sent < got;) {
                ssize_t count = write(atoi(argv[i]), buffer + sent, got - sent);
                if (count < 0) {
                    perror("write");
                    return 1;
                }
                sent += count;
            }
    return got < 0;
}

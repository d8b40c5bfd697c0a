// One source to many sinks as a careful C programmer writes it: standard input is spliced into an inlet, teed into a pipe per
// sink, moved into the last one's, and spliced out of each of these. They are empty before every tee, so none is cut short: tee
// cannot go on from an offset. Everybody waits for everybody. The sinks are the descriptors of the command line, behind the
// size of all pipes. As in c-splice nothing blocks but poll: a splice that waits holds the pipe.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MANY = 256, FLAGS = SPLICE_F_NONBLOCK | SPLICE_F_MOVE };

static ssize_t done(ssize_t result, const char *act) {
    if (result < 0) {
        perror(act);
        exit(1);
    }
    return result;
}

// Splices, and waits for the side that is not ready.
static ssize_t move(int from, int to, size_t most, int waits, short events) {
    ssize_t count;
    while ((count = splice(from, NULL, to, NULL, most, FLAGS)) < 0 && errno == EAGAIN)
        poll(&(struct pollfd){waits, events, 0}, 1, -1);
    return done(count, "splice");
}

int main(int argc, char **argv) {
    int inlet[2], hold[MANY][2], sinks[MANY], count = argc - 2;
    size_t most = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    if (count < 1 || count > MANY)
        return 2;
    fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
    done(pipe(inlet), "pipe");
    fcntl(0, F_SETPIPE_SZ, most);
    fcntl(inlet[1], F_SETPIPE_SZ, most);
    for (int i = 0; i < count; i++) {
        sinks[i] = atoi(argv[i + 2]);
        fcntl(sinks[i], F_SETFL, fcntl(sinks[i], F_GETFL) | O_NONBLOCK);
        done(pipe(hold[i]), "pipe");
        fcntl(hold[i][1], F_SETPIPE_SZ, most);
        fcntl(sinks[i], F_SETPIPE_SZ, most);
    }
    ssize_t held;
    while ((held = move(0, inlet[1], most, 0, POLLIN)) > 0) {
        for (int i = 0; i < count - 1; i++)
            if (done(tee(inlet[0], hold[i][1], held, FLAGS), "tee") != held)
                return 1;
        if (move(inlet[0], hold[count - 1][1], held, inlet[0], POLLIN) != held)
            return 1;
        for (int i = 0; i < count; i++)
            for (ssize_t left = held; left > 0;)
                left -= move(hold[i][0], sinks[i], left, sinks[i], POLLOUT);
    }
    return 0;
}

// The relay most people write: both directions between two inherited sockets, level-triggered epoll, one 16
// KiB buffer each way, and three system calls per message (epoll_wait, read, write). What epoll is asked is
// derived from fullness: readable where the buffer is empty, writable where it is not. End of stream goes on
// as a half-close once the buffer has drained, and the relay ends when both directions have.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct way { int from, to; ssize_t done, held; int ended; char buffer[16 << 10]; };

static int watch;

static void die_unless(int fine, const char *act) {
    if (!fine) {
        perror(act);
        exit(1);
    }
}

// Moves once. Would-block counts as nothing moved: level-triggered epoll asks again.
static void step(struct way *w) {
    if (w->held == 0) {
        ssize_t n = read(w->from, w->buffer, sizeof w->buffer);
        die_unless(n >= 0 || errno == EAGAIN, "read");
        if (n == 0) {
            shutdown(w->to, SHUT_WR);
            w->ended = 1;
        }
        w->held = n > 0 ? n : 0;
    }
    if (w->held > 0) {
        ssize_t n = write(w->to, w->buffer + w->done, w->held - w->done);
        die_unless(n >= 0 || errno == EAGAIN, "write");
        w->done += n > 0 ? n : 0;
        if (w->done == w->held)
            w->done = w->held = 0;
    }
}

// Tells epoll what `fd` waits for, if that has changed. A descriptor that waits for nothing is taken out,
// since epoll reports a hang-up whether asked or not.
static void ask(int fd, const struct way *in, const struct way *out, unsigned *asked) {
    unsigned now = (!in->ended && in->held == 0 ? EPOLLIN : 0) | (out->held > 0 ? EPOLLOUT : 0);
    struct epoll_event e = {now, {.fd = fd}};
    if (now != *asked)
        epoll_ctl(watch, now == 0 ? EPOLL_CTL_DEL : *asked == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &e);
    *asked = now;
}

int main(int argc, char **argv) {
    int a = argc == 3 ? atoi(argv[1]) : -1, b = argc == 3 ? atoi(argv[2]) : -1;
    static struct way there, back;
    unsigned asked[2] = {0, 0};
    there.from = back.to = a;
    there.to = back.from = b;
    die_unless((watch = epoll_create1(EPOLL_CLOEXEC)) >= 0, "epoll_create1");
    die_unless(fcntl(a, F_SETFL, O_NONBLOCK) == 0 && fcntl(b, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    for (;;) {
        ask(a, &there, &back, &asked[0]);
        ask(b, &back, &there, &asked[1]);
        if (there.ended && back.ended)
            return 0;
        struct epoll_event ready[2];
        int count = epoll_wait(watch, ready, 2, -1);
        die_unless(count >= 0 || errno == EINTR, "epoll_wait");
        for (int i = 0; i < count; i++) {
            struct way *in = ready[i].data.fd == a ? &there : &back;
            struct way *out = in == &there ? &back : &there;
            if (out->held > 0 && ready[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
                step(out);
            if (!in->ended && in->held == 0 && ready[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
                step(in);
        }
    }
}

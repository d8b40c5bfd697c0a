// A relay as one writes it in C with splice: PORT to UPSTREAM on 127.0.0.1, one thread, level-triggered epoll, a
// pipe for each direction of a connection made when it is first needed, and three system calls per message
// (epoll_wait, splice in, splice out). No timers, no limits, no log; what fails ends its connection.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

// One side of a connection: what is read from it goes through its pipe to the other side.
struct side { int fd, pipe[2], has_pipe, ended, asked; ssize_t held; struct side *other; };

static int watch;

static void ask(struct side *s) {
    int now = (!s->ended && s->held == 0 ? EPOLLIN : 0) | (s->other->held > 0 ? EPOLLOUT : 0);
    struct epoll_event e = {now, {.ptr = s}};
    if (now != s->asked)
        epoll_ctl(watch, now == 0 ? EPOLL_CTL_DEL : s->asked == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, s->fd, &e);
    s->asked = now;
}

// One move from a side to the other; 0 if the connection is over.
static int move(struct side *s) {
    if (!s->has_pipe)
        s->has_pipe = pipe2(s->pipe, O_NONBLOCK) == 0;
    if (s->held == 0 && !s->ended) {
        ssize_t n = splice(s->fd, 0, s->pipe[1], 0, 1 << 20, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n < 0 && errno != EAGAIN)
            return 0;
        if (n == 0)
            s->ended = 1, shutdown(s->other->fd, SHUT_WR);
        s->held = n > 0 ? n : 0;
    }
    if (s->held > 0) {
        ssize_t n = splice(s->pipe[0], 0, s->other->fd, 0, s->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n < 0 && errno != EAGAIN)
            return 0;
        s->held -= n > 0 ? n : 0;
    }
    return !(s->ended && s->held == 0 && s->other->ended && s->other->held == 0);
}

static void drop(struct side *s) {
    close(s->fd);
    if (s->has_pipe)
        close(s->pipe[0]), close(s->pipe[1]);
}

int main(int argc, char **argv) {
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in here = {AF_INET, htons(argc > 2 ? atoi(argv[1]) : 0), {htonl(INADDR_LOOPBACK)}, {0}}, there = here;
    there.sin_port = htons(argc > 2 ? atoi(argv[2]) : 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) < 0 || listen(listener, 4096) < 0)
        return 1;
    struct epoll_event e = {EPOLLIN, {.ptr = NULL}}, ready[64];
    watch = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(watch, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int count = epoll_wait(watch, ready, 64, -1);
        for (int i = 0; i < count; i++) {
            struct side *s = ready[i].data.ptr;
            if (!s) {
                int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0)
                    continue;
                struct side *both = calloc(2, sizeof *both);
                both[0].fd = fd, both[0].other = &both[1], both[1].other = &both[0];
                both[1].fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
                connect(both[1].fd, (struct sockaddr *)&there, sizeof there);
                for (int k = 0; k < 2; k++)
                    setsockopt(both[k].fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                ask(&both[0]), ask(&both[1]);
                continue;
            }
            int goes_on = 1;
            if (ready[i].events & (EPOLLOUT | EPOLLERR) && s->other->held > 0)
                goes_on = move(s->other);
            if (goes_on && ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                goes_on = move(s);
            if (goes_on) {
                ask(s), ask(s->other);
                continue;
            }
            struct side *first = s < s->other ? s : s->other;
            for (int k = i + 1; k < count; k++)  // What is left in this round may name it.
                if (ready[k].data.ptr == s || ready[k].data.ptr == s->other)
                    ready[k].data.ptr = NULL;
            drop(s), drop(s->other), free(first);
        }
    }
}

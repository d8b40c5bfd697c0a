// Both sides of a relay in one thread: the clients that connect to PORT, and the upstream that listens on
// UPSTREAM. Whatever it is asked to do, an end of a connection is a number of bytes it owes and a number it has
// received; the upstream owes what it received, except in bulk, and a client what its work says.
//
//   bulk    N BYTES             N clients send BYTES together
//   ask     N SIZE SECONDS      N clients send SIZE bytes, wait for as many, and again
//   offer   N SIZE SECONDS RATE RATE messages a second, due at fixed times, whoever is late
//   connect N SIZE SECONDS      N at a time: connect, send SIZE bytes, wait for as many, close
//   hold    N SIZE              N clients ask once, and then nothing moves until standard input ends
//
// Prints the units done (bytes, messages, connections), the seconds it took, and the median and the 99th percentile of
// the times a message took in microseconds, counted from when it was due.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { POOL = 64 << 20, SAMPLES = 8 << 20, EVENTS = 256, BLOCK = 256 << 10 };

struct end {
    int fd, is_client, is_connecting, asked;
    long owed, received, messages;
    double since;
};

static enum { BULK, ASK, OFFER, CONNECT, HOLD } work;
static int watch, clients;
static long size, done, arrived;
static double begun, rate;
static struct sockaddr_in target;
static char *pool, sink[BLOCK];
static uint32_t *samples;
static size_t sampled, position;

static void die_unless(int fine, const char *act) {
    if (!fine) {
        fprintf(stderr, "c-load: %s: %s\n", act, strerror(errno));
        exit(1);
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void sample(double seconds) {
    if (sampled < SAMPLES)
        samples[sampled++] = seconds < 4 ? seconds * 1e9 : 4000000000u;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void ask(struct end *e, int events) {
    struct epoll_event event = {events, {.ptr = e}};
    if (e->asked != events)
        die_unless(epoll_ctl(watch, e->asked ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, e->fd, &event) == 0, "epoll_ctl");
    e->asked = events;
}

static void join(struct end *e, int fd) {
    int yes = 1;
    *e = (struct end){.fd = fd, .is_client = e->is_client};
    die_unless(fd >= 0, "socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

// A client begins: its connection stands when it can be written to.
static void dial(struct end *e) {
    join(e, socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    e->since = now();
    e->is_connecting = 1;
    e->owed = work == OFFER ? 0 : work == BULK ? size / clients : size;
    die_unless(connect(e->fd, (struct sockaddr *)&target, sizeof target) == 0 || errno == EINPROGRESS, "connect");
    ask(e, EPOLLOUT);
}

// Sends what is owed, as far as it goes. No page of the pool is sent twice before all were.
static void pay(struct end *e) {
    while (e->owed > 0) {
        size_t length = e->owed < BLOCK ? e->owed : BLOCK;
        if (position + length > POOL)
            position = 0;
        ssize_t n = send(e->fd, pool + position, length, MSG_NOSIGNAL);
        die_unless(n > 0 || errno == EAGAIN, "send");
        if (n < 0)
            break;
        e->owed -= n;
        position += n;
    }
    ask(e, e->owed > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

// A client has a whole answer.
static void answered(struct end *e, double time) {
    int index = e->messages++ * clients;
    double due = work == OFFER ? begun + (index + e->is_client - 1) / rate : e->since;
    e->received -= size;
    sample(time - due);
    done++;
    e->since = time;
    if (work == ASK)
        e->owed += size;
    if (work == CONNECT) {
        close(e->fd);
        dial(e);
    }
}

static void step(struct end *e, int events) {
    if (e->is_connecting) {
        int code = 0;
        socklen_t length = sizeof code;
        getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &code, &length);
        errno = code;
        die_unless(code == 0, "connect");
        e->is_connecting = 0;
    } else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t n = recv(e->fd, sink, sizeof sink, 0);
        die_unless(n >= 0 || errno == EAGAIN, "recv");
        if (n == 0) {
            die_unless(!e->is_client, "the relay ended");
            close(e->fd);
            free(e);
            return;
        }
        if (n > 0 && e->is_client)
            e->received += n;
        else if (n > 0 && work == BULK)
            arrived += n;
        else if (n > 0)
            e->owed += n;
        double time = e->is_client && e->received >= size ? now() : 0;
        while (e->is_client && e->received >= size && !e->is_connecting)
            answered(e, time);
        if (e->is_connecting)
            return;
    }
    pay(e);
}

int main(int argc, char **argv) {
    const char *works[] = {"bulk", "ask", "offer", "connect", "hold"};
    for (int i = 0; argc > 5 && i < 5; i++)
        if (strcmp(argv[3], works[i]) == 0)
            work = i;
    clients = argc > 5 ? atoi(argv[4]) : 0;
    size = argc > 5 ? atol(argv[5]) : 0;
    double seconds = argc > 6 ? atof(argv[6]) : 1e9;
    rate = argc > 7 ? atof(argv[7]) : 1;
    if (clients <= 0 || size <= 0)
        return fprintf(stderr, "usage: c-load PORT UPSTREAM WORK N SIZE [SECONDS [RATE]]\n"), 2;
    long bytes = size / clients * clients;
    samples = malloc(SAMPLES * sizeof *samples);
    pool = malloc(POOL);
    for (size_t i = 0; i < POOL / 8; i++)
        ((uint64_t *)pool)[i] = i * 0x9E3779B97F4A7C15u;

    int yes = 1, upstream = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    target = (struct sockaddr_in){AF_INET, htons(atoi(argv[2])), {htonl(INADDR_LOOPBACK)}, {0}};
    setsockopt(upstream, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    die_unless(bind(upstream, (struct sockaddr *)&target, sizeof target) == 0, "bind");
    die_unless(listen(upstream, 4096) == 0, "listen");
    watch = epoll_create1(0);
    struct epoll_event event = {EPOLLIN, {.ptr = NULL}};
    epoll_ctl(watch, EPOLL_CTL_ADD, upstream, &event);
    if (work == HOLD) {
        event.data.ptr = &watch;
        epoll_ctl(watch, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    }
    target.sin_port = htons(atoi(argv[1]));
    begun = now();
    struct end *ends = calloc(clients, sizeof *ends);
    for (int i = 0; i < clients; i++) {
        ends[i].is_client = i + 1;
        dial(&ends[i]);
        if (work == BULK || work == CONNECT || i % 100)
            continue;
        // Connections that are to be open together are opened a hundred at a time.
        usleep(500);
    }

    long offered = 0, is_over = 0, said = 0;
    while (!is_over) {
        struct epoll_event ready[EVENTS];
        int count = epoll_wait(watch, ready, EVENTS, work == OFFER ? 0 : 100);
        for (int i = 0; i < count; i++) {
            if (ready[i].data.ptr == &watch) {
                is_over = 1;
            } else if (ready[i].data.ptr) {
                step(ready[i].data.ptr, ready[i].events);
            } else {
                struct end *e = calloc(1, sizeof *e);
                int fd = accept4(upstream, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0)
                    free(e);
                else
                    join(e, fd), ask(e, EPOLLIN);
            }
        }
        double elapsed = now() - begun;
        for (; work == OFFER && elapsed < seconds && offered < elapsed * rate; offered++) {
            struct end *e = &ends[offered % clients];
            e->owed += size;
            if (!e->is_connecting)
                pay(e);
        }
        if (work == HOLD && done == clients && !said)
            said = printf("%ld\n", done), fflush(stdout);
        is_over |= work == BULK ? arrived == bytes : work != HOLD && elapsed >= seconds && (work != OFFER || done == offered);
    }
    qsort(samples, sampled, sizeof *samples, by_size);
    double middle = sampled ? samples[sampled / 2] / 1e3 : 0, late = sampled ? samples[sampled * 99 / 100] / 1e3 : 0;
    if (work != HOLD)
        printf("%ld %.6f %.1f %.1f\n", work == BULK ? arrived : done, now() - begun, middle, late);
    return 0;
}

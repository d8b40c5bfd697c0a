// A client of HTTP/1.1: gets PATH over N connections that are kept alive, and throws bodies away uncopied.
//
//   c-get PORT PATH N SECONDS         each connection asks, and once it is answered asks again
//   c-get PORT PATH N SECONDS RATE    RATE requests a second, due at fixed times, whoever is late
//
// Prints the responses that came whole, the bytes of bodies, the seconds it took, and the median and the 99th
// percentile of the times a response took in microseconds, counted from when its request was due.

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

enum { SAMPLES = 4 << 20, EVENTS = 256, BLOCK = 1 << 20, HEAD = 8 << 10 };

// What is left of a body, and before that of its head; a connection without a request has neither.
enum { IDLE, IN_HEAD, IN_BODY };

struct connection {
    int fd, state, length;
    long left;
    double due;
    char head[HEAD + 1];
};

static int watch, idle_count, request_length;
static long whole, bytes, offered;
static double begun, seconds, rate;
static struct sockaddr_in target;
static char request[HEAD], block[BLOCK];
static struct connection **idle;
static uint32_t *samples;
static size_t sampled;

static void die_unless(int fine, const char *act) {
    if (!fine) {
        fprintf(stderr, "c-get: %s: %s\n", act, strerror(errno));
        exit(1);
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void ask(struct connection *c) {
    c->state = IN_HEAD;
    c->length = 0;
    // A connection that the server has closed is noticed by its end.
    send(c->fd, request, request_length, MSG_NOSIGNAL);
}

static void dial(struct connection *c) {
    int yes = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    die_unless(connect(c->fd, (struct sockaddr *)&target, sizeof target) == 0, "connect");
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    die_unless(epoll_ctl(watch, EPOLL_CTL_ADD, c->fd, &e) == 0, "epoll_ctl");
}

static void rest(struct connection *c) {
    c->state = IDLE;
    idle[idle_count++] = c;
}

// Requests that are due, as far as there is a connection for them. A closed loop's are due at once.
static void offer(double time) {
    while (idle_count > 0 && (rate == 0 || begun + offered / rate <= time)) {
        struct connection *c = idle[--idle_count];
        c->due = rate == 0 ? time : begun + offered / rate;
        offered++;
        ask(c);
    }
}

static void sample(double took) {
    if (sampled < SAMPLES)
        samples[sampled++] = took < 4 ? took * 1e9 : 4000000000u;
}

static void finish(struct connection *c) {
    sample(now() - c->due);
    whole++;
    rest(c);
}

static void again(struct connection *c) {
    die_unless(c->state != IN_BODY, "a body was cut short");
    close(c->fd);
    dial(c);
    if (c->state == IN_HEAD)
        ask(c);
}

static void hear(struct connection *c) {
    if (c->state != IN_BODY) {
        ssize_t got = recv(c->fd, c->head + c->length, HEAD - c->length, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0)
            return again(c);
        c->length += got;
        c->head[c->length] = 0;
        char *end = strstr(c->head, "\r\n\r\n"), *size = strcasestr(c->head, "\r\ncontent-length:");
        if (end == NULL)
            return die_unless(c->length < HEAD, "a head is too long");
        die_unless(strncmp(c->head + 8, " 200", 4) == 0 && size != NULL && size < end, "a response is no 200");
        long body = c->length - (end + 4 - c->head);
        c->left = atol(size + 17) - body;
        bytes += body;
        c->state = IN_BODY;
    } else {
        ssize_t got = recv(c->fd, block, BLOCK, MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0)
            return again(c);
        c->left -= got;
        bytes += got;
    }
    if (c->left == 0)
        finish(c);
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: c-get PORT PATH CONNECTIONS SECONDS [RATE]\n");
        return 2;
    }
    int count = atoi(argv[3]);
    seconds = atof(argv[4]);
    rate = argc > 5 ? atof(argv[5]) : 0;
    target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    request_length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", argv[2]);
    samples = malloc(SAMPLES * sizeof *samples);
    idle = malloc(count * sizeof *idle);
    watch = epoll_create1(0);
    struct connection *all = calloc(count, sizeof *all);
    for (int i = 0; i < count; i++) {
        dial(&all[i]);
        rest(&all[i]);
    }
    begun = now();
    double time = begun;
    for (struct epoll_event ready[EVENTS]; time < begun + seconds; time = now()) {
        offer(time);
        double next = rate == 0 || idle_count == 0 ? begun + seconds : begun + offered / rate;
        long wait = next > time ? (next - time) * 1e9 : 0;
        struct timespec most = {wait / 1000000000, wait % 1000000000};
        int n = epoll_pwait2(watch, ready, EVENTS, &most, NULL);
        for (int i = 0; i < n; i++)
            hear(ready[i].data.ptr);
    }
    // What was due and has not come has taken at least this long.
    for (int i = 0; i < count && rate > 0; i++)
        if (all[i].state != IDLE)
            sample(time - all[i].due);
    for (; rate > 0 && begun + offered / rate < time; offered++)
        sample(time - begun - offered / rate);
    qsort(samples, sampled, sizeof *samples, by_size);
    printf("%ld %ld %.6f %.1f %.1f\n", whole, bytes, time - begun, sampled ? samples[sampled / 2] / 1e3 : 0,
           sampled ? samples[sampled * 99 / 100] / 1e3 : 0);
}

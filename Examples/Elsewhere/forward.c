// Forwards one connection, both ways, by splice(2).
#define _GNU_SOURCE
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct direction { int from, to, pipe[2]; size_t held; int ended; };

static int step(struct direction *d) {
  if (!d->ended && d->held == 0) {
    ssize_t got = splice(d->from, NULL, d->pipe[1], NULL, 1 << 20, SPLICE_F_NONBLOCK);
    if (got > 0) d->held = got;
    if (got == 0) d->ended = 1;
  }
  while (d->held > 0) {
    ssize_t put = splice(d->pipe[0], NULL, d->to, NULL, d->held, SPLICE_F_NONBLOCK);
    if (put <= 0) break;
    d->held -= put;
  }
  if (d->ended == 1 && d->held == 0) { shutdown(d->to, SHUT_WR); d->ended = 2; }
  return d->ended == 2;
}

static int connected(const char *host, const char *port, int listens) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *to;
  if (getaddrinfo(host, port, &hints, &to)) exit(1);
  int s = socket(to->ai_family, SOCK_STREAM, 0), yes = 1;
  if (!listens) return connect(s, to->ai_addr, to->ai_addrlen) ? exit(1), -1 : s;
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(s, to->ai_addr, to->ai_addrlen) || listen(s, 1)) exit(1);
  return accept(s, NULL, NULL);
}

int main(int argc, char **argv) {
  if (argc != 4) return 64;
  int a = connected("127.0.0.1", argv[1], 1), b = connected(argv[2], argv[3], 0);
  struct direction forth = {a, b}, back = {b, a};
  if (pipe(forth.pipe) || pipe(back.pipe)) return 1;
  fcntl(a, F_SETFL, O_NONBLOCK);
  fcntl(b, F_SETFL, O_NONBLOCK);
  for (int one = 0, other = 0; !one || !other;) {
    one = step(&forth);
    other = step(&back);
    struct pollfd wait[2] = {{a, 0}, {b, 0}};
    wait[0].events = (forth.held || forth.ended ? 0 : POLLIN) | (back.held ? POLLOUT : 0);
    wait[1].events = (back.held || back.ended ? 0 : POLLIN) | (forth.held ? POLLOUT : 0);
    for (int i = 0; i < 2; i++) if (wait[i].events == 0) wait[i].fd = -1;
    if (!one || !other) poll(wait, 2, -1);
  }
}

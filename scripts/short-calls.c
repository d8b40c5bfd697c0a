// Short counts, as a kernel that is short of memory gives them: a shim for LD_PRELOAD, used by scripts/soak-relay.
//
//   cc -shared -fPIC -O2 -o short-calls.so short-calls.c
//   LD_PRELOAD=./short-calls.so splice relay ...
//
// send, sendmsg, writev and write to a socket, and splice to or from one, are asked for a random part of what the program asked for, at
// least one byte. The call is made, with a smaller length: what is returned has moved. (strace -e inject=...:retval= returns a count
// and makes no call.) Pipes, files and eventfds are left alone: a page or less into a pipe is all or nothing (PIPE_BUF).
//
// Two things are not done, since a kernel does not do them either, and a program that uses edge-triggered epoll depends on that:
//
// - No EAGAIN is made up. After EAGAIN the program waits for an edge, and here none would follow.
// - recv and read are not shortened. The library takes a TCP read that is shorter than its buffer for "dry until the next edge"
//   (docs/architecture.md, "Edges, and a short read that saves a call"), and for TCP the kernel keeps that promise.
//
// A splice from a socket may be shortened: it stops short in the kernel as well, when the slots of the pipe run out.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

// The next definition of this function, which is the C library's.
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_socket(int fd) {
  int before = errno;
  struct stat status;
  int is = fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
  errno = before;
  return is;
}

static uint64_t chance(void) {
  static _Thread_local uint64_t state;
  int before = errno;
  while (state == 0) if (getrandom(&state, sizeof state, 0) < 0) state = (uintptr_t)&state;
  errno = before;
  // xorshift64
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

// A splice may ask for far more than there is, such as a gibibyte. A part of that would be all there is, so it is a part of this.
enum { USUAL = 128 << 10 };

// A quarter of the calls is left whole, a quarter moves a few bytes, the others anything in between.
static size_t part(size_t length) {
  if (length < 2) return length;
  uint64_t kind = chance() % 4;
  if (kind == 0) return length;
  size_t few = kind == 1 ? 16 : USUAL;
  size_t most = length < few ? length : few;
  return 1 + chance() % most;
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
  static __typeof__(&send) next;
  if (!next) next = NEXT(send);
  return next(fd, bytes, part(length), flags);
}

ssize_t write(int fd, const void *bytes, size_t length) {
  static __typeof__(&write) next;
  if (!next) next = NEXT(write);
  return next(fd, bytes, is_socket(fd) ? part(length) : length);
}

// Copies the front of `from` that holds a part of its bytes, and says how many pieces that is.
static int front(const struct iovec *from, int count, struct iovec *to) {
  size_t total = 0;
  for (int index = 0; index < count; index++) total += from[index].iov_len;
  size_t left = part(total);
  int used = 0;
  while (used < count && (left > 0 || used == 0)) {
    to[used] = from[used];
    if (to[used].iov_len > left) to[used].iov_len = left;
    left -= to[used++].iov_len;
  }
  return used;
}

// More pieces than that are passed on as they are.
enum { MOST = 1024 };

ssize_t writev(int fd, const struct iovec *pieces, int count) {
  static __typeof__(&writev) next;
  if (!next) next = NEXT(writev);
  if (count < 1 || count > MOST || !is_socket(fd)) return next(fd, pieces, count);
  struct iovec some[MOST];
  return next(fd, some, front(pieces, count, some));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  static __typeof__(&sendmsg) next;
  if (!next) next = NEXT(sendmsg);
  if (message->msg_iovlen < 1 || message->msg_iovlen > MOST) return next(fd, message, flags);
  struct iovec some[MOST];
  struct msghdr shorter = *message;
  shorter.msg_iovlen = front(message->msg_iov, message->msg_iovlen, some);
  shorter.msg_iov = some;
  return next(fd, &shorter, flags);
}

ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t length, unsigned flags) {
  static __typeof__(&splice) next;
  if (!next) next = NEXT(splice);
  return next(in, in_offset, out, out_offset, is_socket(in) || is_socket(out) ? part(length) : length, flags);
}

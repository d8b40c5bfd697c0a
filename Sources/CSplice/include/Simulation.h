// A kernel of one's own, for tests that decide what the kernel does and when.
//
// In builds with CSPLICE_SIMULATION (debug builds, see Package.swift) each call below first asks whether the calling thread
// has a simulated kernel, and is answered by that one if it has. Other builds have no trace of it. A simulated kernel answers as the wrappers of CSplice.h do: a result, or a negative errno.

#ifndef CSPLICE_SIMULATION_H
#define CSPLICE_SIMULATION_H

// The one list: result, name, parameters, arguments. A name here is that of a function in CSplice.h without its prefix.
#define CSPLICE_SIMULATED(CALL)                                                                                         \
  CALL(long, splice, (int in, int64_t *in_offset, int out, int64_t *out_offset, size_t length, unsigned flags),          \
       (in, in_offset, out, out_offset, length, flags))                                                                 \
  CALL(long, read, (int fd, void *bytes, size_t length), (fd, bytes, length))                                           \
  CALL(long, write, (int fd, const void *bytes, size_t length), (fd, bytes, length))                                    \
  CALL(long, recv, (int fd, void *bytes, size_t length, int flags), (fd, bytes, length, flags))                         \
  CALL(long, send, (int fd, const void *bytes, size_t length, int flags), (fd, bytes, length, flags))                   \
  CALL(long, sendmsg, (int fd, const struct iovec *pieces, int count, int flags), (fd, pieces, count, flags))           \
  CALL(int, pipe2, (int ends[2], int flags), (ends, flags))                                                             \
  CALL(int, fcntl_getpipe_sz, (int fd), (fd))                                                                           \
  CALL(int, fcntl_setpipe_sz, (int fd, int size), (fd, size))                                                           \
  CALL(int, fcntl_getfl, (int fd), (fd))                                                                                \
  CALL(int, fcntl_setfl, (int fd, int flags), (fd, flags))                                                              \
  CALL(int, ioctl_fionread, (int fd), (fd))                                                                             \
  CALL(int, close, (int fd), (fd))                                                                                      \
  CALL(int, fstat, (int fd, struct stat *result), (fd, result))                                                         \
  CALL(int, socket, (int domain, int type, int protocol), (domain, type, protocol))                                      \
  CALL(int, connect, (int fd, const void *address, socklen_t length), (fd, address, length))                            \
  CALL(int, bind, (int fd, const void *address, socklen_t length), (fd, address, length))                               \
  CALL(int, listen, (int fd, int backlog), (fd, backlog))                                                               \
  CALL(int, accept4, (int fd, void *address, socklen_t *length), (fd, address, length))                                 \
  CALL(int, getsockname, (int fd, void *address, socklen_t *length), (fd, address, length))                             \
  CALL(int, getpeername, (int fd, void *address, socklen_t *length), (fd, address, length))                             \
  CALL(int, getsockopt, (int fd, int level, int option), (fd, level, option))                                           \
  CALL(int, setsockopt, (int fd, int level, int option, int value), (fd, level, option, value))                         \
  CALL(int, setsockopt_linger, (int fd, bool resets), (fd, resets))                                                     \
  CALL(int, ioctl_siocoutq, (int fd), (fd))                                                                             \
  CALL(int, shutdown, (int fd, int how), (fd, how))                                                                     \
  CALL(int, ppoll, (struct pollfd * descriptors, unsigned count, int64_t nanoseconds),                                  \
       (descriptors, count, nanoseconds))                                                                               \
  CALL(int, epoll_create1, (void), ())                                                                                  \
  CALL(int, epoll_ctl, (int epoll, int operation, int fd, uint32_t events, uint64_t data),                              \
       (epoll, operation, fd, events, data))                                                                            \
  CALL(int, epoll_wait, (int epoll, struct csplice_event *events, int count, int milliseconds),                         \
       (epoll, events, count, milliseconds))                                                                            \
  CALL(int, eventfd, (void), ())                                                                                        \
  CALL(int, pthread_create, (void *(*body)(void *), void *argument), (body, argument))

#define CSPLICE_MEMBER(result, name, parameters, arguments) result(*name) parameters;

struct csplice_kernel {
  // Whatever it is made of.
  void *world;
  // Nanoseconds since a time of its own.
  int64_t (*now)(void);
  CSPLICE_SIMULATED(CSPLICE_MEMBER)
};

// The calling thread's kernel; NULL for the real one, which every thread begins with. Defined where CSPLICE_SIMULATION is, which
// an importer of this header need not know.
struct csplice_kernel *csplice_thread_kernel(void);
void csplice_thread_set_kernel(struct csplice_kernel *kernel);

// In CSplice.c: its definitions of these calls are the real kernel's, under another name.
#define CSPLICE_REAL(result, name, parameters, arguments) \
  result csplice_##name parameters __asm__("csplice_real_" #name);

#endif

// The kernel's names for Swift.
//
// Every wrapper answers as the kernel itself does: a result, or a negative errno. Nothing is retried, nothing
// decided here; that is the work of Syscalls.swift and its neighbours. The calls the C library hides without _GNU_SOURCE, which an importer of
// modules cannot set, are defined in CSplice.c.
//
// The C library's own names come with it, whichever that is: glibc or musl.

#ifndef CSPLICE_H
#define CSPLICE_H

#ifndef __linux__
#error "swift-splice moves bytes with splice(2), tee(2) and vmsplice(2), which Linux alone has: build it for Linux."
#endif

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
  csplice_nonblock = 2,  // SPLICE_F_NONBLOCK
  csplice_more = 4,      // SPLICE_F_MORE
  csplice_path = 010000000,  // O_PATH
  csplice_mptcp = 262,       // IPPROTO_MPTCP
};

// The arguments this program was begun with, in number, and their words: the C library's, for as long as the program
// runs. NULL where the C library does not tell; Swift's own are read from /proc.
int csplice_arguments(char ***words);

// What the last call of the C library itself, such as getaddrinfo, has failed with.
static inline int csplice_errno(void) { return errno; }

// Moving bytes. An offset is advanced; NULL means the descriptor's own.
long csplice_splice(int in, int64_t *in_offset, int out, int64_t *out_offset, size_t length, unsigned flags);
long csplice_tee(int in, int out, size_t length, unsigned flags);
long csplice_read(int fd, void *bytes, size_t length);
long csplice_pread(int fd, void *bytes, size_t length, int64_t offset);
long csplice_write(int fd, const void *bytes, size_t length);
long csplice_pwrite(int fd, const void *bytes, size_t length, int64_t offset);
long csplice_recv(int fd, void *bytes, size_t length, int flags);
long csplice_send(int fd, const void *bytes, size_t length, int flags);

long csplice_vmsplice(int pipe, const void *bytes, size_t length, unsigned flags);
// Bytes of a page, asked once as the program starts.
extern size_t csplice_page;
static inline size_t csplice_page_size(void) { return csplice_page; }
// Memory of its own, in whole pages and zeroed.
int csplice_mmap(size_t length, void **bytes);
int csplice_mmap_wiped(void **bytes);
int csplice_memfd_create(const char *name);
int csplice_fcntl_seal(int fd);
int csplice_munmap(void *bytes, size_t length);

long csplice_writev(int fd, const struct iovec *pieces, int count);
long csplice_pwritev(int fd, const struct iovec *pieces, int count, int64_t offset);
long csplice_sendmsg(int fd, const struct iovec *pieces, int count, int flags);

// Files to files.
enum {
  csplice_seek_data = 3,  // SEEK_DATA
  csplice_seek_hole = 4,  // SEEK_HOLE
};
long csplice_copy_file_range(int source, int64_t *source_offset, int sink, int64_t *sink_offset, size_t count);
long csplice_sendfile(int sink, int source, int64_t *offset, size_t count);
int csplice_ioctl_ficlonerange(int source, uint64_t source_offset, uint64_t count, int sink, uint64_t sink_offset);
int csplice_fallocate_punch(int fd, int64_t offset, int64_t count);
int csplice_fsync(int fd);

// Programs. Minus one stands for a descriptor that is inherited as it is.
int csplice_posix_spawn_shell(const char *command, int input, int output, bool isAlone);
int csplice_pidfd_open(int process);
int csplice_waitpid(int process, int *status, bool waits);
// 1 when a child has ended, which stays to be waited for.
int csplice_waitid_ended(int process);
int csplice_kill(int process, int signal);
// A system call with arguments that are always refused: what is answered tells whether a sandbox is in the way.
enum csplice_trial_call {
  csplice_trial_splice, csplice_trial_tee, csplice_trial_vmsplice, csplice_trial_sendfile,
  csplice_trial_copy_file_range, csplice_trial_pipe2, csplice_trial_epoll_create1, csplice_trial_eventfd2,
  csplice_trial_memfd_create, csplice_trial_openat2, csplice_trial_preadv2, csplice_trial_cachestat,
  csplice_trial_landlock_create_ruleset, csplice_trial_pidfd_open,
  csplice_trial_socket,
};
int csplice_trial(unsigned call);
// A child that is a copy of this process: 0 in it. It leaves by csplice_leave, and leaves no core behind.
int csplice_fork(void);
void csplice_leave(void);
// From now on children can be waited for.
void csplice_hear_of_children(void);
// Memory that is one with that of children.
int csplice_mmap_shared(size_t length, void **bytes);
// A duplicate of another process's descriptor.
int csplice_pidfd_getfd(int process, int fd);
// The kernel's release and the machine, as uname(2) has them: 65 bytes each.
int csplice_uname(char *release, char *machine);
// A new pseudoterminal, whose other end is opened into `terminal`.
int csplice_openpt(int *terminal);
int csplice_ioctl_tiocgwinsz(int fd);

// Pipes and descriptors.
int csplice_pipe2(int ends[2], int flags);
int csplice_fcntl_getpipe_sz(int fd);
int csplice_fcntl_setpipe_sz(int fd, int size);
int csplice_fcntl_getfl(int fd);
int csplice_fcntl_setfl(int fd, int flags);
int csplice_fcntl_dupfd_cloexec(int fd);
int csplice_dup3(int fd, int other, int flags);
int csplice_ioctl_fionread(int fd);
int csplice_open(const char *path, int flags, unsigned mode);
int csplice_o_path(void);
int csplice_o_direct(void);
int csplice_o_tmpfile(void);
int csplice_o_noatime(void);
int csplice_landlock_create(int directory);
int csplice_landlock_restrict(int rules);
int csplice_open_beneath(int directory, const char *path, int flags);
int csplice_close(int fd);
int csplice_ftruncate(int fd, int64_t length);
int csplice_unlink(const char *path);
int csplice_fdopendir(int fd, DIR **stream);
// NULL at the end.
int csplice_readdir(DIR *stream, const char **name);
void csplice_closedir(DIR *stream);
int csplice_rename_new(const char *from, const char *to);
long csplice_readlink(const char *path, char *target, size_t length);
long csplice_lseek(int fd, int64_t offset, int whence);
int csplice_fstat(int fd, struct stat *result);
int csplice_lstat(const char *path, struct stat *result);
int csplice_fcntl_lease(int fd, int lease);
int csplice_flock_now(int fd);
int csplice_getcwd(char *path, size_t length);
int csplice_fchmod(int fd, mode_t mode);
int csplice_fchown(int fd, uid_t user, gid_t group);
int csplice_fsetxattr(int fd, const char *name, const void *value, size_t length);
long csplice_lgetxattr(const char *path, const char *name, void *value, size_t length);
int csplice_is_terminal(int fd);

// Sockets.
int csplice_socket(int domain, int type, int protocol);
int csplice_socketpair(int type, int ends[2]);
int csplice_connect(int fd, const void *address, socklen_t length);
int csplice_bind(int fd, const void *address, socklen_t length);
int csplice_listen(int fd, int backlog);
int csplice_accept4(int fd, void *address, socklen_t *length);
int csplice_getsockname(int fd, void *address, socklen_t *length);
int csplice_getpeername(int fd, void *address, socklen_t *length);
int csplice_getsockopt(int fd, int level, int option);
int csplice_setsockopt(int fd, int level, int option, int value);
int csplice_setsockopt_linger(int fd, bool resets);
int csplice_ioctl_siocoutq(int fd);
int csplice_shutdown(int fd, int how);

// The soft limit of open descriptors, or a negative errno.
long csplice_getrlimit_nofile(void);

// Waiting. Times are nanoseconds; negative means for ever.
int csplice_ppoll(struct pollfd *descriptors, unsigned count, int64_t nanoseconds);
int csplice_epoll_create1(void);
int csplice_epoll_ctl(int epoll, int operation, int fd, uint32_t events, uint64_t data);
// `struct epoll_event` without its union and its packing; no more than 256 a call.
struct csplice_event {
  uint64_t key;
  uint32_t events;
};
int csplice_epoll_wait(int epoll, struct csplice_event *events, int count, int milliseconds);
int csplice_eventfd(void);

// Disks: may a read of these pages wait?
// Pages of [offset, offset + length) that are in the page cache (Linux 6.5), or a negative errno.
// The number of a file's file system, as statfs(2) has it.
long csplice_fstatfs_type(int fd);
long csplice_cachestat(int fd, uint64_t offset, uint64_t length);
// One byte without waiting for the disk; EAGAIN when it is not in memory.
long csplice_preadv2_nowait(int fd, void *bytes, size_t length, int64_t offset);

// Threads and their SIGPIPE.
int csplice_atfork(void (*before)(void), void (*after)(void));
int csplice_futex_wait(const uint32_t *word, uint32_t value, int64_t nanoseconds);
int csplice_futex_wake(const uint32_t *word);
int csplice_pthread_create(void *(*body)(void *), void *argument);
void csplice_pthread_setname(const char *name);
// Blocks SIGPIPE on this thread; 1 when it was already blocked, 0 when this call did it.
int csplice_pthread_sigmask_block_pipe(void);
// Takes a pending SIGPIPE off this thread, if there is one.
int csplice_sigtimedwait_pipe(void);
int csplice_pthread_sigmask_unblock_pipe(void);
// Blocks all signals on this thread, until they are restored.
void csplice_pthread_sigmask_block_all(sigset_t *before);
void csplice_pthread_sigmask_restore(const sigset_t *before);
// A handler for a signal. 1 when the signal is ignored, and then stays so.
int csplice_sigaction(int signal, void (*handler)(int));
void csplice_ignore(int signal);
// Whether a signal is ignored.
int csplice_sigaction_is_ignored(int signal);
// Ends the process by a signal, as if nothing had been done about it.
void csplice_die_by(int signal);
// Facts of the calling thread: whether SIGPIPE is known to be blocked on it, whether a call has answered EPIPE
// since this was last asked, and whose thread it is.
bool csplice_thread_is_pipe_safe(void);
void csplice_thread_set_pipe_safe(bool safe);
bool csplice_thread_take_lost_reader(void);
const void *csplice_thread_owner(void);
void csplice_thread_set_owner(const void *owner);
// Memory of this thread's, for whoever needs it for a moment.
enum { CSPLICE_SCRATCH = 16 << 10 };
void *csplice_thread_scratch(void);

#include "Simulation.h"

#endif

#include "CSplice.h"

#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/sockios.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <sys/mman.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#ifdef CSPLICE_SIMULATION
CSPLICE_SIMULATED(CSPLICE_REAL)
#endif

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

size_t csplice_page = 4096;
__attribute__((constructor)) static void ask_page_size(void) { csplice_page = (size_t)sysconf(_SC_PAGESIZE); }

static int argument_count;
static char **argument_words;
#ifdef __GLIBC__
// glibc hands a constructor what main gets.
__attribute__((constructor)) static void keep_arguments(int count, char **words) {
  argument_count = count;
  argument_words = words;
}
#endif
int csplice_arguments(char ***words) {
  *words = argument_words;
  return argument_count;
}

static _Thread_local bool pipe_safe;
static _Thread_local bool lost_reader;
static _Thread_local const void *owner;

static inline long kernel(long result) {
  if (result >= 0) return result;
  if (errno == EPIPE) lost_reader = true;
  return -errno;
}

long csplice_splice(int in, int64_t *in_offset, int out, int64_t *out_offset, size_t length, unsigned flags) {
  return kernel(splice(in, in_offset, out, out_offset, length, flags));
}
long csplice_vmsplice(int pipe, const void *bytes, size_t length, unsigned flags) {
  struct iovec piece = {(void *)bytes, length};
  return kernel(vmsplice(pipe, &piece, 1, flags));
}

int csplice_mmap(size_t length, void **bytes) {
  *bytes = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return *bytes == MAP_FAILED ? -errno : 0;
}

int csplice_mmap_wiped(void **bytes) {
  *bytes = mmap(NULL, csplice_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (*bytes == MAP_FAILED) return -errno;
  if (madvise(*bytes, csplice_page, MADV_WIPEONFORK) == 0) return 0;
  int error = errno;
  munmap(*bytes, csplice_page);
  return -error;
}
int csplice_memfd_create(const char *name) {
  int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  // Before Linux 6.3.
  if (fd < 0 && errno == EINVAL) fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  return kernel(fd);
}
int csplice_fcntl_seal(int fd) {
  return kernel(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
}

int csplice_munmap(void *bytes, size_t length) { return kernel(munmap(bytes, length)); }

long csplice_tee(int in, int out, size_t length, unsigned flags) { return kernel(tee(in, out, length, flags)); }
long csplice_read(int fd, void *bytes, size_t length) { return kernel(read(fd, bytes, length)); }
long csplice_pread(int fd, void *bytes, size_t length, int64_t offset) {
  return kernel(pread(fd, bytes, length, offset));
}
long csplice_write(int fd, const void *bytes, size_t length) { return kernel(write(fd, bytes, length)); }
long csplice_pwrite(int fd, const void *bytes, size_t length, int64_t offset) {
  return kernel(pwrite(fd, bytes, length, offset));
}
long csplice_recv(int fd, void *bytes, size_t length, int flags) { return kernel(recv(fd, bytes, length, flags)); }
long csplice_writev(int fd, const struct iovec *pieces, int count) { return kernel(writev(fd, pieces, count)); }
long csplice_pwritev(int fd, const struct iovec *pieces, int count, int64_t offset) {
  return kernel(pwritev(fd, pieces, count, offset));
}
long csplice_sendmsg(int fd, const struct iovec *pieces, int count, int flags) {
  struct msghdr message = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = count};
  return kernel(sendmsg(fd, &message, flags));
}
long csplice_send(int fd, const void *bytes, size_t length, int flags) {
  return kernel(send(fd, bytes, length, flags));
}

int csplice_pipe2(int ends[2], int flags) { return kernel(pipe2(ends, flags)); }
int csplice_fcntl_getpipe_sz(int fd) { return kernel(fcntl(fd, F_GETPIPE_SZ)); }
int csplice_fcntl_setpipe_sz(int fd, int size) { return kernel(fcntl(fd, F_SETPIPE_SZ, size)); }
int csplice_fcntl_getfl(int fd) { return kernel(fcntl(fd, F_GETFL)); }
int csplice_fcntl_setfl(int fd, int flags) { return kernel(fcntl(fd, F_SETFL, flags)); }
int csplice_fcntl_dupfd_cloexec(int fd) { return kernel(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }
int csplice_dup3(int fd, int other, int flags) { return kernel(dup3(fd, other, flags)); }
int csplice_ioctl_fionread(int fd) {
  int count = 0;
  return ioctl(fd, FIONREAD, &count) < 0 ? -errno : count;
}
int csplice_open(const char *path, int flags, unsigned mode) { return kernel(open(path, flags, mode)); }
int csplice_o_path(void) { return O_PATH; }
int csplice_o_direct(void) { return O_DIRECT; }
int csplice_o_tmpfile(void) { return O_TMPFILE; }
int csplice_o_noatime(void) { return O_NOATIME; }
int csplice_open_beneath(int directory, const char *path, int flags) {
  // struct open_how; RESOLVE_NO_MAGICLINKS and RESOLVE_BENEATH, which C libraries do not all name.
  uint64_t how[3] = {(uint64_t)(unsigned)flags, 0, 0x02 | 0x08};
  return kernel(syscall(SYS_openat2, directory, path, how, sizeof how));
}
int csplice_landlock_create(int directory) {
  // struct landlock_ruleset_attr: all that the first version of Landlock can forbid. Allowed beneath the directory are
  // LANDLOCK_ACCESS_FS_READ_FILE and READ_DIR.
  uint64_t forbidden = (1 << 13) - 1;
  int rules = kernel(syscall(SYS_landlock_create_ruleset, &forbidden, sizeof forbidden, 0));
  if (rules < 0) return rules;
  struct __attribute__((packed)) { uint64_t allowed; int32_t parent; } beneath = {1 << 2 | 1 << 3, directory};
  int result = kernel(syscall(SYS_landlock_add_rule, rules, 1, &beneath, 0));
  if (result == 0) return rules;
  close(rules);
  return result;
}
int csplice_landlock_restrict(int rules) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -errno;
  return kernel(syscall(SYS_landlock_restrict_self, rules, 0));
}
int csplice_close(int fd) { return kernel(close(fd)); }
int csplice_ftruncate(int fd, int64_t length) { return kernel(ftruncate(fd, length)); }
int csplice_unlink(const char *path) { return kernel(unlink(path)); }
int csplice_fdopendir(int fd, DIR **stream) { return (*stream = fdopendir(fd)) ? 0 : -errno; }
int csplice_readdir(DIR *stream, const char **name) {
  errno = 0;
  struct dirent *entry = readdir(stream);
  *name = entry ? entry->d_name : NULL;
  return -errno;
}
void csplice_closedir(DIR *stream) { closedir(stream); }
int csplice_rename_new(const char *from, const char *to) {
  long result = kernel(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE));
  // Some file systems have no such rename; a name that is taken stops a link just as well.
  if (result != -EINVAL && result != -ENOSYS) return result;
  result = kernel(link(from, to));
  return result < 0 ? result : kernel(unlink(from));
}
long csplice_readlink(const char *path, char *target, size_t length) { return kernel(readlink(path, target, length)); }
long csplice_lseek(int fd, int64_t offset, int whence) { return kernel(lseek(fd, offset, whence)); }
int csplice_fstat(int fd, struct stat *result) { return kernel(fstat(fd, result)); }
int csplice_lstat(const char *path, struct stat *result) { return kernel(lstat(path, result)); }
/* Whoever opens the file meanwhile breaks the lease: told by a signal that nobody minds, in place of SIGIO. */
int csplice_fcntl_lease(int fd, int lease) {
  fcntl(fd, F_SETSIG, SIGURG);
  return kernel(fcntl(fd, F_SETLEASE, lease));
}
int csplice_flock_now(int fd) { return kernel(flock(fd, LOCK_EX | LOCK_NB)); }
int csplice_getcwd(char *path, size_t length) { return getcwd(path, length) ? 0 : -errno; }
int csplice_fchmod(int fd, mode_t mode) { return kernel(fchmod(fd, mode)); }
int csplice_fchown(int fd, uid_t user, gid_t group) { return kernel(fchown(fd, user, group)); }
int csplice_fsetxattr(int fd, const char *name, const void *value, size_t length) {
  return kernel(fsetxattr(fd, name, value, length, 0));
}
long csplice_lgetxattr(const char *path, const char *name, void *value, size_t length) {
  return kernel(lgetxattr(path, name, value, length));
}
int csplice_is_terminal(int fd) { return isatty(fd); }

int csplice_socket(int domain, int type, int protocol) {
  return kernel(socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}
int csplice_socketpair(int type, int ends[2]) {
  return kernel(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends));
}
int csplice_connect(int fd, const void *address, socklen_t length) {
  return kernel(connect(fd, address, length));
}
int csplice_bind(int fd, const void *address, socklen_t length) { return kernel(bind(fd, address, length)); }
int csplice_listen(int fd, int backlog) { return kernel(listen(fd, backlog)); }
int csplice_accept4(int fd, void *address, socklen_t *length) {
  return kernel(accept4(fd, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

int csplice_getsockname(int fd, void *address, socklen_t *length) {
  return kernel(getsockname(fd, address, length));
}

int csplice_getpeername(int fd, void *address, socklen_t *length) {
  return kernel(getpeername(fd, address, length));
}
int csplice_getsockopt(int fd, int level, int option) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, option, &value, &length) < 0 ? -errno : value;
}
int csplice_setsockopt(int fd, int level, int option, int value) {
  return kernel(setsockopt(fd, level, option, &value, sizeof value));
}
int csplice_setsockopt_linger(int fd, bool resets) {
  struct linger linger = {resets, 0};
  return kernel(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
}
int csplice_ioctl_siocoutq(int fd) {
  int bytes = 0;
  int result = kernel(ioctl(fd, SIOCOUTQ, &bytes));
  return result < 0 ? result : bytes;
}
int csplice_shutdown(int fd, int how) { return kernel(shutdown(fd, how)); }

long csplice_getrlimit_nofile(void) {
  struct rlimit limit;
  int result = kernel(getrlimit(RLIMIT_NOFILE, &limit));
  return result < 0 ? result : limit.rlim_cur > LONG_MAX ? LONG_MAX : (long)limit.rlim_cur;
}

int csplice_ppoll(struct pollfd *descriptors, unsigned count, int64_t nanoseconds) {
  struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
  return kernel(ppoll(descriptors, count, nanoseconds < 0 ? NULL : &time, NULL));
}
int csplice_epoll_create1(void) { return kernel(epoll_create1(EPOLL_CLOEXEC)); }
int csplice_epoll_ctl(int epoll, int operation, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data.u64 = data};
  return kernel(epoll_ctl(epoll, operation, fd, &event));
}
int csplice_epoll_wait(int epoll, struct csplice_event *events, int count, int milliseconds) {
  struct epoll_event kernels[256];
  int ready = epoll_wait(epoll, kernels, count < 256 ? count : 256, milliseconds);
  for (int i = 0; i < ready; i++) {
    events[i].key = kernels[i].data.u64;
    events[i].events = kernels[i].events;
  }
  return kernel(ready);
}
int csplice_eventfd(void) { return kernel(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

long csplice_fstatfs_type(int fd) {
  struct statfs file_system;
  int result = kernel(fstatfs(fd, &file_system));
  return result < 0 ? result : (long)(uint32_t)file_system.f_type;
}
long csplice_cachestat(int fd, uint64_t offset, uint64_t length) {
  uint64_t range[2] = {offset, length}, counts[5] = {0};
  long result = syscall(SYS_cachestat, fd, range, counts, 0);
  return result < 0 ? -errno : (long)counts[0];
}
long csplice_copy_file_range(int source, int64_t *source_offset, int sink, int64_t *sink_offset, size_t count) {
  return kernel(copy_file_range(source, (off64_t *)source_offset, sink, (off64_t *)sink_offset, count, 0));
}
long csplice_sendfile(int sink, int source, int64_t *offset, size_t count) {
  return kernel(sendfile(sink, source, (off_t *)offset, count));
}
int csplice_ioctl_ficlonerange(int source, uint64_t source_offset, uint64_t count, int sink, uint64_t sink_offset) {
  struct file_clone_range range = {source, source_offset, count, sink_offset};
  return kernel(ioctl(sink, FICLONERANGE, &range));
}
int csplice_fallocate_punch(int fd, int64_t offset, int64_t count) {
  return kernel(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, count));
}
int csplice_fsync(int fd) { return kernel(fsync(fd)); }

int csplice_posix_spawn_shell(const char *command, int input, int output, bool isAlone) {
  // Ours are closed on exec; the copies made here are not.
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  if (input >= 0) posix_spawn_file_actions_adddup2(&actions, input, 0);
  if (output >= 0) posix_spawn_file_actions_adddup2(&actions, output, 1);
  // Libraries open some that are not.
  if (isAlone) posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  char *arguments[] = {"sh", "-c", (char *)command, NULL};
  pid_t process;
  int error = posix_spawn(&process, "/bin/sh", &actions, &attributes, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error ? -error : process;
}
int csplice_pidfd_open(int process) { return kernel(syscall(SYS_pidfd_open, process, 0)); }
int csplice_waitpid(int process, int *status, bool waits) {
  return kernel(waitpid(process, status, waits ? 0 : WNOHANG));
}
int csplice_waitid_ended(int process) {
  siginfo_t how = {.si_pid = 0};
  int result = kernel(waitid(P_PID, process, &how, WEXITED | WNOHANG | WNOWAIT));
  return result < 0 ? result : how.si_pid == process;
}
int csplice_kill(int process, int signal) { return kernel(kill(process, signal)); }

void csplice_hear_of_children(void) {
  // A parent may have had them ignored, which is inherited.
  struct sigaction heard = {.sa_handler = SIG_DFL};
  sigaction(SIGCHLD, &heard, NULL);
}
static long trial(unsigned call) {
  switch (call) {
    case csplice_trial_splice: return syscall(SYS_splice, -1, NULL, -1, NULL, (size_t)1, 0);
    case csplice_trial_tee: return syscall(SYS_tee, -1, -1, (size_t)1, 0);
    case csplice_trial_vmsplice: return syscall(SYS_vmsplice, -1, NULL, 0, 0);
    case csplice_trial_sendfile: return syscall(SYS_sendfile, -1, -1, NULL, (size_t)1);
    case csplice_trial_copy_file_range: return syscall(SYS_copy_file_range, -1, NULL, -1, NULL, (size_t)1, 0);
    case csplice_trial_pipe2: return syscall(SYS_pipe2, NULL, -1);
    case csplice_trial_epoll_create1: return syscall(SYS_epoll_create1, -1);
    case csplice_trial_eventfd2: return syscall(SYS_eventfd2, 0, -1);
    case csplice_trial_memfd_create: return syscall(SYS_memfd_create, NULL, -1);
    case csplice_trial_openat2: return syscall(SYS_openat2, -1, NULL, NULL, (size_t)0);
    case csplice_trial_preadv2: return syscall(SYS_preadv2, -1, NULL, (size_t)0, (long)0, (long)0, RWF_NOWAIT);
    case csplice_trial_cachestat: return syscall(SYS_cachestat, -1, NULL, NULL, 0);
    case csplice_trial_landlock_create_ruleset: return syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, ~0u);
    case csplice_trial_pidfd_open: return syscall(SYS_pidfd_open, -1, 0);
    case csplice_trial_socket: return syscall(SYS_socket, -1, -1, -1);
    default: return 0;
  }
}
int csplice_trial(unsigned call) { return kernel(trial(call)); }
int csplice_fork(void) {
  int child = kernel(fork());
  // No file of its memory, if it is ended.
  struct rlimit none = {0, 0};
  if (child == 0) setrlimit(RLIMIT_CORE, &none);
  return child;
}
void csplice_leave(void) { _exit(0); }
int csplice_mmap_shared(size_t length, void **bytes) {
  *bytes = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return *bytes == MAP_FAILED ? -errno : 0;
}
int csplice_pidfd_getfd(int process, int fd) { return kernel(syscall(SYS_pidfd_getfd, process, fd, 0)); }
int csplice_uname(char *release, char *machine) {
  struct utsname names;
  int result = kernel(uname(&names));
  if (result < 0) return result;
  memcpy(release, names.release, sizeof names.release);
  memcpy(machine, names.machine, sizeof names.machine);
  return 0;
}
int csplice_openpt(int *terminal) {
  int flags = O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK;
  int unlocked = 0, control = kernel(open("/dev/ptmx", flags));
  if (control < 0) return control;
  *terminal = kernel(ioctl(control, TIOCSPTLCK, &unlocked) < 0 ? -1 : ioctl(control, TIOCGPTPEER, flags));
  if (*terminal >= 0) return control;
  close(control);
  return *terminal;
}
int csplice_ioctl_tiocgwinsz(int fd) {
  struct winsize size;
  int result = kernel(ioctl(fd, TIOCGWINSZ, &size));
  return result < 0 ? result : size.ws_col;
}

long csplice_preadv2_nowait(int fd, void *bytes, size_t length, int64_t offset) {
  struct iovec vector = {bytes, length};
  return kernel(preadv2(fd, &vector, 1, offset, RWF_NOWAIT));
}

int csplice_atfork(void (*before)(void), void (*after)(void)) { return -pthread_atfork(before, after, after); }
int csplice_futex_wait(const uint32_t *word, uint32_t value, int64_t nanoseconds) {
  struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
  return kernel(syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, nanoseconds < 0 ? NULL : &time, NULL, 0));
}
int csplice_futex_wake(const uint32_t *word) {
  return kernel(syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
}
int csplice_pthread_create(void *(*body)(void *), void *argument) {
  // The new thread inherits this mask: signals of the process are for the program's own threads, and a lost
  // reader is an errno. Faults of the thread itself stay deliverable.
  sigset_t all, before;
  sigfillset(&all);
  sigdelset(&all, SIGSEGV);
  sigdelset(&all, SIGBUS);
  sigdelset(&all, SIGFPE);
  sigdelset(&all, SIGILL);
  sigdelset(&all, SIGTRAP);
  sigdelset(&all, SIGABRT);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  pthread_t thread;
  int error = pthread_create(&thread, NULL, body, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error) return -error;
  pthread_detach(thread);
  return 0;
}
// By the thread itself: another one would have to open a file of /proc, which not every sandbox allows.
void csplice_pthread_setname(const char *name) { pthread_setname_np(pthread_self(), name); }

static sigset_t sigpipe(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  return set;
}
int csplice_pthread_sigmask_block_pipe(void) {
  sigset_t set = sigpipe(), before;
  int error = pthread_sigmask(SIG_BLOCK, &set, &before);
  return error ? -error : sigismember(&before, SIGPIPE);
}
int csplice_sigtimedwait_pipe(void) {
  sigset_t set = sigpipe();
  struct timespec now = {0, 0};
  return kernel(sigtimedwait(&set, NULL, &now));
}
int csplice_pthread_sigmask_unblock_pipe(void) {
  sigset_t set = sigpipe();
  return -pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void csplice_pthread_sigmask_block_all(sigset_t *before) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, before);
}
void csplice_pthread_sigmask_restore(const sigset_t *before) { pthread_sigmask(SIG_SETMASK, before, NULL); }
int csplice_sigaction_is_ignored(int signal) {
  struct sigaction now;
  return kernel(sigaction(signal, NULL, &now)) < 0 ? -errno : now.sa_handler == SIG_IGN;
}
int csplice_sigaction(int signal, void (*handler)(int)) {
  int ignored = csplice_sigaction_is_ignored(signal);
  if (ignored) return ignored;
  struct sigaction action = {.sa_handler = handler};
  return kernel(sigaction(signal, &action, NULL));
}
void csplice_ignore(int number) { signal(number, SIG_IGN); }
void csplice_die_by(int number) {
  signal(number, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  raise(number);
}

bool csplice_thread_is_pipe_safe(void) { return pipe_safe; }
void csplice_thread_set_pipe_safe(bool safe) { pipe_safe = safe; }
bool csplice_thread_take_lost_reader(void) {
  bool lost = lost_reader;
  lost_reader = false;
  return lost;
}
const void *csplice_thread_owner(void) { return owner; }
void csplice_thread_set_owner(const void *new_owner) { owner = new_owner; }

// In the thread's own storage: touched by those alone who move small messages, and then always the same pages.
static _Thread_local _Alignas(16) char scratch[CSPLICE_SCRATCH];
void *csplice_thread_scratch(void) { return scratch; }

# Each call by itself, refused with an errno or by the end of the process, as seccomp does either.
import errno
import os
import resource
import signal

from diagnosing import Diagnosis, another_user
from splicing import check, sandbox

numbers = {
    'splice': (275, 76), 'tee': (276, 77), 'vmsplice': (278, 75), 'sendfile': (40, 71), 'copy_file_range': (326, 285),
    'pipe2': (293, 59), 'epoll_create1': (291, 20), 'eventfd2': (290, 19), 'memfd_create': (319, 279),
    'openat2': (437, 437), 'preadv2': (327, 286), 'cachestat': (451, 451), 'landlock_create_ruleset': (444, 444),
    'pidfd_open': (434, 434), 'socket': (41, 198)}
is_arm = os.uname().machine == 'aarch64'
usual = Diagnosis()
asked_by = {'tee': ['second pipe (tee)'], 'vmsplice': ['memory (vmsplice)'], 'memfd_create': ['memory file (memfd)'],
            'eventfd2': ['eventfd'], 'socket': ['TCP over IPv4', 'TCP over IPv6', 'MPTCP', 'UDP'], 'splice': usual.kinds(), 'pipe2': usual.kinds()}
needed = ['epoll_create1', 'eventfd2', 'pipe2']


def sandboxed(name, error):
    number = numbers[name][is_arm]
    fails = name in needed or error is None
    return Diagnosis(preexec_fn=lambda: sandbox(error, [number]), status=69 if fails else 0)


for name in numbers:
    if usual.rows[name]['allowed'] is not True:
        continue  # as the machine is
    for error in errno.EPERM, errno.ENOSYS, errno.EXDEV, None:
        d = sandboxed(name, error)
        row = d.rows[name]
        check(row['allowed'] is False, name, error, row)
        if error:
            check(row['errno'] in (errno.errorcode[error], 'errno %d' % error), row)
        else:
            check(row['signal'] == signal.SIGSYS, row)
        check(d.whole['summary'][0] == 'Refused: ' + name, d.whole['summary'])
        check(d.whole['missing'] == [name] * (name in needed or error is None), d.whole['missing'])
        for kind in d.kinds():
            found = d.rows[kind]
            if kind not in asked_by.get(name, []):
                # As without the sandbox.
                check(d.splices(kind) == usual.splices(kind), name, error, found, usual.rows[kind])
                continue
            # Nothing of it is taken for spliced; tee and vmsplice are calls of their own.
            own = name == 'splice' and kind in ('second pipe (tee)', 'memory (vmsplice)')
            for end in found['from'], found['to']:
                check(own or end is None or not end['splices'], name, error, found)

# What else it takes to ask: each row is asked in a child, and the others go on.
others = {
    'socketpair': (53, 199), 'connect': (42, 203), 'bind': (49, 200), 'listen': (50, 201), 'accept4': (288, 242),
    'getsockname': (51, 204), 'fstatfs': (138, 44), 'fallocate': (285, 47), 'getdents64': (217, 61)}
for name, number in others.items():
    for error in errno.EPERM, None:
        d = Diagnosis(preexec_fn=lambda: sandbox(error, [number[is_arm]]))
        check(d.splices('pipe') == usual.splices('pipe'), name, error, d.rows['pipe'])
        check(len(d.rows) > len(usual.rows) / 2, name, error, len(d.rows))

# Where no child can be waited for, nothing is known, and nothing is said to be refused.
d = Diagnosis(preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
check(d.whole['summary'][0] == 'All system calls that splice uses are allowed', d.whole['summary'])
user = another_user()
if user:
    d = Diagnosis(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (0, 0)), **user)
    check(d.whole['summary'][0] == 'System calls could not be tried', d.whole['summary'])
    check(d.rows['splice']['allowed'] is None and d.splices('pipe') == (True, True), d.rows['splice'])

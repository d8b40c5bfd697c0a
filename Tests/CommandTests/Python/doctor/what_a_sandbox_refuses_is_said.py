# Each call by itself, refused with an errno or by the end of the process, as seccomp does either.
import errno
import os

from diagnosing import Diagnosis
from splicing import check, sandbox

numbers = {'x86_64': {'splice': 275, 'tee': 276, 'vmsplice': 278, 'memfd_create': 319, 'pidfd_open': 434},
           'aarch64': {'splice': 76, 'tee': 77, 'vmsplice': 75, 'memfd_create': 279, 'pidfd_open': 434}}
calls = numbers[os.uname().machine]
usual = Diagnosis()
asks = {'tee': 'second pipe (tee)', 'vmsplice': 'memory (vmsplice)'}
for name, number in calls.items():
    for error in errno.EPERM, errno.ENOSYS, None:
        d = Diagnosis(preexec_fn=lambda: sandbox(error, [number]))
        row = d.rows[name]
        check(row['allowed'] is False, name, row)
        check(row.get('errno') == (error and errno.errorcode[error]), row)
        check(d.whole['summary'][0] == 'Refused: ' + name, d.whole['summary'])
        for kind in d.kinds():
            found, before = d.rows[kind], usual.rows[kind]
            concerned = name == 'splice' or asks.get(name) == kind or name == 'memfd_create' and 'memfd' in kind
            if not concerned:
                # As without the sandbox.
                check(d.splices(kind) == usual.splices(kind), name, error, found, before)
                continue
            expected = False if error else None
            if 'memfd' in kind and name == 'memfd_create' or name == 'splice' and kind in asks.values():
                continue
            # Nothing of it is taken for spliced.
            for end in found['from'], found['to']:
                check(end is None or end['splices'] is expected, name, error, found)
# What nothing goes on without.
for name, number in {'x86_64': {'epoll_create1': 291, 'pipe2': 293},
                     'aarch64': {'epoll_create1': 20, 'pipe2': 59}}[os.uname().machine].items():
    d = Diagnosis(preexec_fn=lambda: sandbox(errno.EPERM, [number]), status=69)
    check(d.whole['missing'] == [name], d.whole['missing'])

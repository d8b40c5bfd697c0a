import fcntl
import os
import shutil
import subprocess

from splicing import check, splice

shutil.copy(splice, 'splice')
os.chmod('splice', 0o755)
os.chmod('.', 0o777)
content = os.urandom(3000000)
open('a', 'wb').write(content)
os.chmod('a', 0o644)
child = os.fork()
if child == 0:
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65533)
        os.setuid(65533)
    F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032
    held = []
    try:
        while True:
            held.append(os.pipe())
            fcntl.fcntl(held[-1][1], F_SETPIPE_SZ, 1 << 20)
    except PermissionError:
        pass
    while fcntl.fcntl(held[-1][1], F_GETPIPE_SZ) > 8192:
        held.append(os.pipe())
    for more in ([], ['--via', 'splice'], ['--buffer', '1M']):
        run = subprocess.run(['./splice', 'a', '-', *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        check(
            run.returncode == 0 and run.stdout == content, more, run.returncode, run.stderr, len(run.stdout)
        )
    os._exit(0)
check(os.waitpid(child, 0)[1] == 0, 'the child')

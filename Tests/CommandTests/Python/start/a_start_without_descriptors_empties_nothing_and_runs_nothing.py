import os
import resource
import subprocess

from splicing import check, splice

content = os.urandom(300000)
open('a', 'wb').write(content)
program = 'exec:touch ran; cat >/dev/null'
lone = [(['keep1'], ['--via', 'splice'])]
for sinks, more in [
    (['keep1', 'keep2'], []),
    (['keep1'], ['--buffer', '1M']),
    (['keep1', program], ['--buffer', '1M']),
    *lone,
]:
    files = [sink for sink in sinks if sink != program]
    done = 0
    for limit in range(4 if more == lone[0][1] else 10, 42, 2):
        if os.path.exists('ran'):
            os.unlink('ran')
        for name in files:
            open(name, 'wb').write(b'kept')
        p = subprocess.run(
            [splice, 'a', *sinks, *more, '--force'],
            stderr=subprocess.PIPE,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
        )
        got = [open(name, 'rb').read() for name in files]
        if p.returncode == 0:
            check(got == [content] * len(files), limit, p)
            done += 1
        else:
            check(
                p.returncode in (66, 73, 74) and got == [b'kept'] * len(files) and not os.path.exists('ran'),
                sinks, limit, p,
            )
    check(done > 0)

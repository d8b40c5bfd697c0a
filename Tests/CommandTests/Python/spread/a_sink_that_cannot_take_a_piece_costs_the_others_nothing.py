# strace
import os
import subprocess

from splicing import check, splice

data = os.urandom(3000000)
seen = set()
for optional in ([], ['--skip-slow']):
    # The main thread's calls alone: from the source, to both sinks, and so on.
    for call, times in (('splice', range(2, 14)), ('tee', range(2, 6))):
        for when in times:
            for name in ('one', 'two'):
                if os.path.exists(name):
                    os.unlink(name)
            run = subprocess.run(
                [
                    'strace', '-qq', '-o', '/dev/null', '-e', f'trace={call}', '-e',
                    f'inject={call}:error=ENOMEM:when={when}', splice, '-', 'one', *optional, 'two',
                ],
                input=data,
                stderr=subprocess.PIPE,
                timeout=60,
            )
            with open('one', 'rb') as file:
                one = file.read()
            what = call, when, optional, run.returncode, run.stderr
            check(data.startswith(one), 'bytes twice, or not in order', *what)
            # Who is not named has everything.
            named = [word for word in (b' -:', b' one:', b' two:') if word in run.stderr]
            check(one == data or b' -:' in named or b' one:' in named, *what)
            check(run.returncode == (0 if optional and named in ([], [b' two:']) else 74 if named else 0), *what)
            seen.update(named)
check({b' -:', b' one:', b' two:'} <= seen, seen)

import os
import subprocess

from splicing import check, splice


def there(*more):
    for name in ('one', 'two', 'three'):
        open(name, 'w').write('kept ' + name)
    open('empty', 'w').close()
    if os.path.exists('ran'):
        os.unlink('ran')
    p = subprocess.run([splice, 'one', *more], stderr=subprocess.PIPE)
    return p.returncode, p.stderr.decode(), [open(name).read() for name in ('one', 'two', 'three')]


kept = ['kept one', 'kept two', 'kept three']
hint = 'splice: three: open: exists already (--force overwrites it)\n'
check(there('two', 'three') == (73, hint, kept))
check(there('two', 'exec:touch ran', 'three') == (73, hint, kept) and not os.path.exists('ran'))
check(there('two') == (0, '', ['kept one', 'kept one', 'kept three']))
check(there('two', 'three', '--force') == (0, '', ['kept one'] * 3))
check(there('two', 'empty', 'new', 'append:three') == (0, '', ['kept one', 'kept one', 'kept threekept one']))
status, said, files = there('two', '--skip-slow', 'three')
check((status, said) == (0, hint) and files == ['kept one', 'kept one', 'kept three'], status, said, files)
check(there('two', '--no-clobber') == (73, 'splice: two: open: exists already\n', kept))
os.unlink('new')
check(there('new', '--no-clobber')[0] == 0 and open('new').read() == 'kept one')
check(there('two', '--no-clobber', '--sink-offset', '9')[0] == 64)

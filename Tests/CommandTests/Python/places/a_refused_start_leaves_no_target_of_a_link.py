import os
import subprocess

from splicing import check, splice


def run(*words):
    return subprocess.run([splice, *words], stderr=subprocess.PIPE).returncode


open('small', 'w').write('small')
os.mkdir('d')
os.symlink('target', 'link')
os.symlink('d/second', 'first')
os.symlink('../other', 'd/second')
os.symlink(os.path.abspath('third'), 'absolute')
os.symlink('loop', 'loop')
os.symlink('none/x', 'astray')
for link, target in (('link', 'target'), ('first', 'other'), ('absolute', 'third')):
    check(run('small', link, '/no/such') == 73 and not os.path.lexists(target) and os.path.islink(link), link)
    check(run('small', link) == 0 and open(target).read() == 'small' and os.path.islink(link), link)
    # One that was there stays, empty or not.
    open(target, 'w').close()
    check(run('small', link, '/no/such') == 73 and os.path.exists(target), link)
check(run('small', 'loop') == 73 and run('small', 'astray') == 73)

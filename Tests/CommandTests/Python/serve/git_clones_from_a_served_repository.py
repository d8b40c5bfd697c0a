# A bare repository is cloned and fetched from by the "dumb" protocol of git, in which it is files and nothing
# else: refs, loose objects and packs.
import os
import subprocess

from filing import Files
from splicing import check, until

for name in list(os.environ):
    if name.startswith('GIT_'):
        del os.environ[name]
os.environ.update(
    HOME=os.getcwd(), GIT_CONFIG_NOSYSTEM='1', GIT_TERMINAL_PROMPT='0',
    GIT_AUTHOR_NAME='a', GIT_AUTHOR_EMAIL='a@x', GIT_COMMITTER_NAME='a', GIT_COMMITTER_EMAIL='a@x',
)


def git(*words, at='work'):
    done = subprocess.run(['git', '-C', at, *words], capture_output=True, timeout=30)
    check(done.returncode == 0, words, done.stderr)
    return done.stdout.decode()


def commit(name, content):
    open(f'work/{name}', 'wb').write(content)
    git('add', name)
    git('commit', '-q', '-m', name)


os.makedirs('www/project.git')
git('init', '-q', '-b', 'main', 'work', at='.')
git('init', '-q', '--bare', '-b', 'main', at='www/project.git')
git('remote', 'add', 'there', os.path.abspath('www/project.git'))
contents = {f'file{number}': os.urandom(number * 40_000) for number in range(8)}
for name, content in contents.items():
    commit(name, content)
git('tag', 'first')
git('push', '-q', 'there', 'main', 'first')
# All there is so far in a pack, and what follows in loose objects.
git('gc', '-q', at='www/project.git')
contents['later'] = os.urandom(100_000)
commit('later', contents['later'])
git('push', '-q', 'there', 'main')
git('update-server-info', at='www/project.git')

f = Files('--access-log', 'log', directory='www')
git('clone', '-q', f'http://127.0.0.1:{f.port}/project.git', 'clone', at='.')
check(git('rev-parse', 'HEAD', 'first', at='clone') == git('rev-parse', 'HEAD', 'first'))
git('fsck', '--full', '--strict', at='clone')
check(git('status', '--porcelain', at='clone') == '')
for name, content in contents.items():
    check(open(f'clone/{name}', 'rb').read() == content, name)
for words in '.pack HTTP/1.1" 200 ', 'service=git-upload-pack HTTP/1.1" 200 ':
    until(lambda: words in open('log').read(), words)

# What was pushed meanwhile is fetched.
commit('last', b'last')
git('push', '-q', 'there', 'main')
git('update-server-info', at='www/project.git')
git('pull', '-q', '--ff-only', at='clone')
check(open('clone/last', 'rb').read() == b'last')
check(f.stop() == 0)

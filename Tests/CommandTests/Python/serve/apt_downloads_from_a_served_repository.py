# apt takes its lists and packages from a repository that is served, and says that nothing has changed when
# nothing has. All that it keeps is in the directory of the test.
import os
import subprocess

from filing import Files
from splicing import check, until

os.environ['LC_ALL'] = 'C'


def run(*words, **more):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, **more)
    check(done.returncode == 0, words, done.stdout)
    return done.stdout.decode()


def add(name, version):
    """One more package in the repository, with a file that no compression makes small."""
    os.makedirs(f'{name}/DEBIAN')
    os.makedirs(f'{name}/usr/share/{name}')
    open(f'{name}/usr/share/{name}/content', 'wb').write(os.urandom(2_000_000))
    open(f'{name}/DEBIAN/control', 'w').write(
        f'Package: {name}\nVersion: {version}\nArchitecture: all\n'
        'Maintainer: a <a@x>\nDescription: a package of a test\n'
    )
    run('dpkg-deb', '--root-owner-group', '-b', name, f'www/flat/{name}_{version}_all.deb')
    for file, words in ('Packages', ['packages', 'flat']), ('Release', ['release', 'flat']):
        open('index', 'w').write(run('apt-ftparchive', *words, cwd='www'))
        os.rename('index', f'www/flat/{file}')


os.makedirs('www/flat')
add('one', '1.0')
f = Files('--access-log', 'log', directory='www')
for name in 'etc/preferences.d', 'etc/trusted.gpg.d', 'state/lists/partial', 'cache/archives/partial':
    os.makedirs('apt/' + name)
open('apt/etc/sources.list', 'w').write(f'deb [trusted=yes] http://127.0.0.1:{f.port} flat/\n')
open('apt/status', 'w').close()
here = os.path.abspath('apt')
open('apt/conf', 'w').write(
    f'Dir "{here}"; Dir::Etc "{here}/etc"; Dir::Etc::sourcelist "{here}/etc/sources.list";\n'
    f'Dir::Etc::sourceparts "/dev/null"; Dir::Etc::parts "/dev/null"; Dir::Etc::main "/dev/null";\n'
    f'Dir::State "{here}/state"; Dir::State::status "{here}/status"; Dir::Cache "{here}/cache";\n'
    f'Dir::Log "{here}"; APT::Sandbox::User ""; Acquire::Languages "none"; Acquire::Retries "0";\n'
    f'Acquire::http::Proxy "DIRECT"; Acquire::http::Timeout "20"; APT::Update::Error-Mode "any";\n'
)
os.environ['APT_CONFIG'] = f'{here}/conf'


def downloads(name, version):
    run('apt-get', '-q', 'download', name, cwd='apt')
    package = f'{name}_{version}_all.deb'
    check(open(f'apt/{package}', 'rb').read() == open(f'www/flat/{package}', 'rb').read(), package)
    run('dpkg-deb', '-x', f'apt/{package}', f'out-{name}')
    check(os.path.getsize(f'out-{name}/usr/share/{name}/content') == 2_000_000)


def logged(words):
    return sum(words in line for line in open('log'))


run('apt-get', '-q', 'update')
until(lambda: logged('/flat/Packages HTTP/1.1" 200 ') == 1)
downloads('one', '1.0')
# Nothing is new.
said = run('apt-get', '-q', 'update')
check('Hit:' in said, said)
until(lambda: logged('Release HTTP/1.1" 304 ') == 1)
# Something is, which is noticed within a second.
add('two', '2.0')


def is_seen():
    run('apt-get', '-q', 'update')
    return 'two\n' in run('apt-cache', 'pkgnames')


until(is_seen)
downloads('two', '2.0')
check(f.stop() == 0)

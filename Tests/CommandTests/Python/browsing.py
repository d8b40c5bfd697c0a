"""A browser, for the tests of pages."""
import atexit
import base64
import fcntl
import itertools
import json
import os
import select
import signal
import subprocess

from splicing import check, until


class Browser:
    """Chromium without a screen, by the DevTools protocol over two pipes, which it expects as descriptors 3 and 4."""

    def __init__(self):
        # Not at 3 and 4 themselves; and none of them is kept, so that an end of the browser is seen.
        ends = os.pipe()
        self.out = ends[1]
        more = os.pipe()
        self.back = more[0]
        read, write = fcntl.fcntl(ends[0], fcntl.F_DUPFD, 10), fcntl.fcntl(more[1], fcntl.F_DUPFD, 10)
        os.close(ends[0])
        os.close(more[1])
        words = [
            'chromium', '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
            '--no-first-run', '--remote-debugging-pipe',
            '--user-data-dir=' + os.path.abspath('profile'), 'about:blank',
        ]
        self.process = subprocess.Popen(
            ['bash', '-c', 'exec 3<&%d 4>&%d; exec "$@"' % (read, write), '-', *words],
            pass_fds=[read, write],
            stderr=open('browser.log', 'w'),
            start_new_session=True,
        )
        atexit.register(lambda: os.killpg(self.process.pid, signal.SIGKILL))
        os.close(read)
        os.close(write)
        self.numbers, self.rest, self.session, self.complaints = itertools.count(1), b'', None, []
        page = [t for t in self.call('Target.getTargets')['targetInfos'] if t['type'] == 'page'][0]
        self.session = self.call('Target.attachToTarget', targetId=page['targetId'], flatten=True)[
            'sessionId'
        ]
        for domain in ['Runtime', 'Log', 'Page']:
            self.call(domain + '.enable')

    def take(self):
        while b'\0' not in self.rest:
            check(
                select.select([self.back], [], [], 30)[0],
                'the browser is silent',
                open('browser.log').read()[-2000:],
            )
            piece = os.read(self.back, 1 << 20)
            check(piece, 'the browser ended', open('browser.log').read()[-2000:])
            self.rest += piece
        said, self.rest = self.rest.split(b'\0', 1)
        said = json.loads(said)
        kind, what = said.get('method'), said.get('params', {})
        if (
            kind == 'Runtime.exceptionThrown'
            or kind == 'Runtime.consoleAPICalled'
            and what['type'] in ('error', 'warning')
            or kind == 'Log.entryAdded'
            and what['entry']['level'] in ('error', 'warning')
        ):
            self.complaints.append(what)
        return said

    def call(self, method, **params):
        number = next(self.numbers)
        what = {'id': number, 'method': method, 'params': params}
        if self.session:
            what['sessionId'] = self.session
        os.write(self.out, json.dumps(what).encode() + b'\0')
        while (said := self.take()).get('id') != number:
            pass
        check('error' not in said, method, said)
        return said['result']

    def go(self, where):
        self.call('Page.navigate', url=where)
        while self.take().get('method') != 'Page.loadEventFired':
            pass

    def value(self, expression):
        return self.call('Runtime.evaluate', expression=expression, returnByValue=True)['result'].get('value')

    def until(self, expression):
        until(lambda: self.value(expression), expression, within=60)

    def screenshot(self, path):
        data = self.call('Page.captureScreenshot', format='png')['data']
        open(path, 'wb').write(base64.b64decode(data))

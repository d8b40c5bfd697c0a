import atexit
import base64
import fcntl
import itertools
import json
import os
import select
import signal
import subprocess
import threading

from relaying import name, Relay, upstream
from splicing import arguments, check, until

artefacts = arguments[0]


class Browser:
    # The DevTools protocol over two pipes, which the browser expects as descriptors 3 and 4.
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

    def screenshot(self, name):
        data = self.call('Page.captureScreenshot', format='png')['data']
        open(os.path.join(artefacts, name), 'wb').write(base64.b64decode(data))


up, gone = upstream(), upstream()
where = name(gone)
gone.close()
r = Relay('--admin', '127.0.0.1:0', '--health-interval', '200ms', upstreams=[up, where])
page = 'http://127.0.0.1:%d/' % int(r.line(': admin').split(': admin')[0].rsplit(':', 1)[1])
r.line('upstream is down')
b = Browser()
for width, height, scheme, file in [
    (1280, 800, 'light', 'page-light.png'),
    (390, 844, 'dark', 'page-phone-dark.png'),
]:
    b.call(
        'Emulation.setDeviceMetricsOverride',
        width=width,
        height=height,
        deviceScaleFactor=1,
        mobile=width < 500,
    )
    b.call('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': scheme}])
    b.go(page)
    check(b.value("document.querySelector('header p').textContent") == 'ready')
    check(b.value("document.querySelector('td.bad').textContent") == 'down')
    before = b.value("document.querySelector('.charts').innerText")
    over = threading.Event()

    def serve():
        while True:
            try:
                far, _ = up.accept()
            except OSError:
                return

            def eat(far):
                try:
                    while far.recv(1 << 20):
                        pass
                except OSError:
                    pass

            threading.Thread(target=eat, args=[far], daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    client = r.connect()

    def load():
        while not over.is_set():
            client.sendall(bytes(1 << 20))
            over.wait(0.02)
        client.close()

    loading = threading.Thread(target=load, daemon=True)
    loading.start()
    # It asks again by itself: nothing here reloads it.
    b.until("/[0-9.]+ MiB\\/s/.test(document.querySelectorAll('figcaption strong')[2].textContent)")
    b.until("document.querySelector('polyline').getAttribute('points').split(' ').length > 3")
    b.until("document.querySelector('.charts').innerText != %s" % json.dumps(before))
    check(b.value('document.documentElement.scrollWidth') <= width, 'wider than the window')
    dark = b.value("getComputedStyle(document.body).backgroundColor")
    check((dark == 'rgb(255, 255, 255)') == (scheme == 'light'), dark)
    b.screenshot(file)
    over.set()
    loading.join(20)
    b.until("document.querySelector('figcaption strong').textContent == '0'")
check(not b.complaints, b.complaints)
# Without scripts it is all there, and asked for again by the browser.
b.call('Emulation.setScriptExecutionDisabled', value=True)
b.go(page)
b.screenshot('page-without-scripts.png')
b.call('Emulation.setScriptExecutionDisabled', value=False)
check(
    b.value("document.querySelectorAll('tbody tr').length") == 2
    and b.value("document.querySelectorAll('svg').length") == 4
)
check(b.value("document.querySelector('noscript').innerHTML.includes('refresh')"))
# One that is not reached any more says so.
b.go(page)
check(r.stop() == 0)
b.until("document.querySelector('header p').textContent == 'not reached'")

import json
import os
import threading

from browsing import Browser
from relaying import name, Relay, upstream
from splicing import arguments, check

# In chromium.
artefacts = arguments[0]
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
    b.screenshot(os.path.join(artefacts, file))
    over.set()
    loading.join(20)
    b.until("document.querySelector('figcaption strong').textContent == '0'")
check(not b.complaints, b.complaints)
# Without scripts it is all there, and asked for again by the browser.
b.call('Emulation.setScriptExecutionDisabled', value=True)
b.go(page)
b.screenshot(os.path.join(artefacts, 'page-without-scripts.png'))
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

from broadcasting import Broadcast
from browsing import Browser
from serving import admin, admin_port
from splicing import check

# In chromium, which decodes it.
encoder = 'exec:ffmpeg -v error -re -f lavfi -i sine -t 60 -c:a libmp3lame -b:a 128k -f mp3 -'
b = Broadcast(*admin, '--content-type', 'audio/mpeg', source=encoder)
page = 'http://127.0.0.1:%d/' % admin_port(b)
browser = Browser()
browser.go(page)
check(browser.value("document.querySelector('audio') !== null"), browser.value('document.body.innerText'))
browser.call('Runtime.evaluate', expression="void document.querySelector('audio').play()", userGesture=True)
browser.until("document.querySelector('audio').currentTime > 1")
# It is a viewer like any other, and the page, which asks again by itself, says so.
browser.until("/Viewers/.test(document.body.innerText) && document.querySelector('audio').currentTime > 3")
check(not browser.complaints, browser.complaints)
check(b.stop() in (0, 143))

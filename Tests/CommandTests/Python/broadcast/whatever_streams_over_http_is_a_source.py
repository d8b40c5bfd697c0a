import http.server
import threading

from broadcasting import Broadcast, exactly
from splicing import all_of, check, text

content = bytes(range(256)) * 4000


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        if self.path == '/moved':
            self.send_response(302)
            self.send_header('location', '/chunks?x=1')
            self.send_header('content-length', '0')
            self.end_headers()
        elif self.path == '/round':
            self.send_response(301)
            self.send_header('location', 'http://127.0.0.1:%d/round' % server.server_port)
            self.send_header('content-length', '0')
            self.end_headers()
        elif self.path.startswith('/chunks'):
            self.send_response(200)
            self.send_header('transfer-encoding', 'chunked')
            self.end_headers()
            for start in range(0, len(content), 100_001):
                piece = content[start : start + 100_001]
                self.wfile.write(b'%x\r\n%s\r\n' % (len(piece), piece))
            self.wfile.write(b'0\r\n\r\n')
        elif self.path == '/length':
            self.send_response(200)
            self.send_header('content-length', str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        else:
            self.send_error(404)

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Origin)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = 'http://127.0.0.1:%d' % server.server_port

# What has a length is whole then, and not asked for again.
b = Broadcast('--record', 'length', source=url + '/length')
check(b.process.wait(20) == 0)
check(text('length') == content)
check(Origin.asked == ['/length'], Origin.asked)
# Chunks, and where a redirection leads.
b = Broadcast('--record', 'chunks', '--once', source=url + '/moved')
check(b.process.wait(20) == 0)
check(text('chunks') == content)
check(Origin.asked[1:] == ['/moved', '/chunks?x=1'], Origin.asked)
# One that streams no more is asked again.
b = Broadcast('--rate-limit', '4M', '--align', '256', source=url + '/chunks')
viewer = b.viewer()
first = exactly(viewer, 256)
check(first == content[:256])
check(exactly(viewer, 2 * len(content)) == content + content)
check(b.stop() == 0)
check(all_of(viewer) is not None)
# What cannot be had is said, and asked for again.
for path, says in [('/none', 'HTTP status 404'), ('/round', 'redirected too often')]:
    b = Broadcast(source=url + path)
    check(says in b.line('cannot reach the source'))
    b.line('cannot reach the source')
    check(b.stop() == 0)
server.shutdown()

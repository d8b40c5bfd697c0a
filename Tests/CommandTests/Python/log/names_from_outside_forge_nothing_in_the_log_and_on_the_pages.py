import atexit
import json
import os
import re
import socket
import struct
import subprocess

from relaying import upstream
from splicing import all_of, arguments, check, splice, until

log_format = arguments[0]
evil = b'\nforged why=end [SpliceServices] connection\r\x1b[31m\x7f\xc2\x9b1m\xe2\x80\xa8\xe2\x80\xae\xff'
name = b'up\x1b[2J\nforged "<b>'
up = upstream(family=socket.AF_UNIX, where=name)
upstream_word = 'unix:' + name.decode()
p = subprocess.Popen(
    [
        splice, 'relay', 'unix:front\nforged\x1b[2J', upstream_word, '--proxy-in', 'v2', '--admin',
        'unix:admin', '--log-format', log_format,
    ],
    stderr=subprocess.PIPE,
)
atexit.register(p.kill)


def unix(path, own=None):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    if own:
        s.bind(own)
    s.connect(path)
    return s


def there():
    try:
        unix('admin').close()
        return True
    except OSError:
        return False


until(there, 'it begins')
pad = lambda b: b + bytes(108 - len(b))
signature = b'\r\n\r\n\0\r\nQUIT\n'
for header in [
    signature + b'\x20\0\0\0',
    signature + b'\x21\x31' + struct.pack('>H', 216) + pad(b'\0' + evil) + pad(b'/run/' + evil),
    signature + b'\x21\x31' + struct.pack('>H', 216) + pad(b'/tmp/' + evil) + pad(b''),
]:
    s = unix('front\nforged\x1b[2J', b'\0' + evil + os.urandom(4).hex().encode())
    s.sendall(header)
    far, _ = up.accept()
    far.close()
    check(s.recv(1) == b'')
    s.close()
answers = []
for path in [b'/metrics', b'/']:
    s = unix('admin')
    s.sendall(b'GET ' + path + b' HTTP/1.0\r\n\r\n')
    answers.append(all_of(s).split(b'\r\n\r\n', 1)[1])
p.terminate()
said = p.communicate(timeout=20)[1]
check(p.returncode == 0, said)
for text in [said, *answers]:
    text = text.decode()  # it is UTF-8
    check(
        not any(ord(c) < 32 and c != '\n' or 127 <= ord(c) < 160 or c in '\u2028\u2029\u202e' for c in text),
        text,
    )
    check(not any(l.lstrip().startswith('forged') for l in text.split('\n')), text)
check(b'<b>' not in answers[1] and b'up\\u{1b}[2J' in answers[1] and b'up\\\\u{1b}[2J' in answers[0])
lines = said.decode().split('\n')
connections = [l for l in lines if re.search(r'\] connection$|"message":"connection"', l)]
check(len(connections) == 3, said)
for l in connections:
    name = json.loads(l)['client'] if l.startswith('{') else re.search(r'client="(.*?)" ', l)[1]
    check(
        r'\nforged why=end [SpliceServices] connection\r\u{1b}[31m\u{7f}\u{9b}1m\u{2028}\u{202e}\xff'
        in name.replace('\\\\', '\\'),
        name,
    )

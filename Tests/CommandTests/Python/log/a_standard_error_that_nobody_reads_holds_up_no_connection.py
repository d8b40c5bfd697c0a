import json
import os
import re

from splicing import arguments, check, in_thread, until
from unread import begin, serves, value

log_format = arguments[0]
p, read = begin('--log-format', log_format)
serves(5000)
until(lambda: value('splice_relay_clients') == 0, 'all have ended')
dropped = value('splice_log_dropped_total')
check(dropped > 0)
# A reader comes back: the log goes on, and says what is missing.
said = bytearray()


def reads():
    while piece := os.read(read, 1 << 16):
        said.extend(piece)


reading = in_thread(lambda: (reads(), True))
until(lambda: b'were dropped' in said, 'the log says so')
lines = said.decode().lstrip('.').splitlines()
told = [int(re.search(r'(\d+) log lines were dropped', l)[1]) for l in lines if 'were dropped' in l]
check(sum(told) == dropped == value('splice_log_dropped_total'), told, dropped)
kept = [l for l in lines if '] connection' in l or '"connection"' in l]
check(len(kept) + dropped == value('splice_relay_accepted_total'), len(kept), dropped)
if log_format == 'json':
    for l in lines:
        if l.startswith('{'):
            json.loads(l)
serves(1)
until(lambda: bytes(said).splitlines()[-1].find(b'connection') > 0, 'it is written as before')
p.terminate()
check(p.wait(20) == 0)
reading()
check(b'total' in said)

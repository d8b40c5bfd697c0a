import atexit
import os
import socket
import subprocess

from splicing import check, splice, until
from unread import is_there, serves, value

for is_disk, gone in (True, os.open('/dev/full', os.O_WRONLY)), (False, socket.socketpair()[0].detach()):
    p = subprocess.Popen([splice, 'relay', 'unix:front', 'unix:up', '--admin', 'unix:admin'], stderr=gone)
    atexit.register(p.kill)
    os.close(gone)
    until(lambda: is_there('front') and is_there('admin'), 'it begins')
    serves(20)
    # A disk may have room again, so lines for it wait.
    until(lambda: is_disk or value('splice_log_dropped_total') >= 20, 'they are counted')
    p.terminate()
    check(p.wait(20) == 0)

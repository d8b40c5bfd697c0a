from relaying import name, upstream
from splicing import check, start

s = upstream()
p = start('relay', name(s), name(s))
words = p.stderr.read().decode()
check(p.wait() == 73 and words == 'splice: %s: listen: Address already in use\n' % name(s), words)

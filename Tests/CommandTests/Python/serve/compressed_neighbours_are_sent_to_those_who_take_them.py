from filing import Files
from splicing import check

for end in '', '.br', '.gz', '.zst':
    open('a.css' + end, 'w').write('form' + end)
open('b.css', 'w').write('plain')
f = Files()


def form(path='/a.css', **headers):
    answer, content = f.ask(path, **headers)
    return content.decode(), answer.getheader('content-encoding'), answer.getheader('vary')


check(form() == ('form', None, 'accept-encoding'))
check(form(Accept_Encoding='gzip') == ('form.gz', 'gzip', 'accept-encoding'))
check(form(Accept_Encoding='gzip, br;q=0.9') == ('form.gz', 'gzip', 'accept-encoding'))
check(form(Accept_Encoding='gzip, br, zstd') == ('form.br', 'br', 'accept-encoding'))
check(form(Accept_Encoding='zstd') == ('form.zst', 'zstd', 'accept-encoding'))
check(form(Accept_Encoding='deflate') == ('form', None, 'accept-encoding'))
check(form('/b.css', Accept_Encoding='gzip') == ('plain', None, None))
answer, _ = f.ask('/a.css', Accept_Encoding='gzip')
check(answer.getheader('content-type') == 'text/css; charset=utf-8')
tags = {f.ask('/a.css', Accept_Encoding=c)[0].getheader('etag') for c in ('gzip', 'br', 'zstd', 'identity')}
check(len(tags) == 4, tags)

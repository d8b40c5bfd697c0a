from splicing import check, is_reset, listen, start

for program in ['exec:head -c 1000 /dev/zero; kill -9 $$', 'exec:head -c 1000 /dev/zero; exit 3']:
    for words in [[program], ['--buffer', '64K', program]]:
        for more in [[], ['null:'], ['digest:sha256']]:
            s, word = listen()
            p = start(*words, word, *more)
            c, _ = s.accept()
            c.settimeout(20)
            check(is_reset(c), words, more)
            said = p.stderr.read()
            check(p.wait(20) == 74, words, more, p.returncode, said)
            check(b': run: ended ' in said and b'  ' not in said, words, more, said)

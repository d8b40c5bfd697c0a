from relaying import Relay
from splicing import arguments, check

words = ['one']
if arguments[0] == 'check':
    check(len(words) == 2, words)
if arguments[0] == 'helper':
    # In a function that tests share.
    Relay('--no-such-option', upstreams=['127.0.0.1:9'])

from broadcasting import Broadcast, units
from splicing import all_of, check, is_reset

for policy in ('skip', 'detach'):
    b = Broadcast('--align', '188', '--when-slow', policy, '--once')
    slow = b.viewer(room=4096)
    sender = b.sender()
    size = 60_000
    sender.sendall(units(size))
    if policy == 'detach':
        check('too slow' in b.left()['why'])
        sender.close()
        check(is_reset(slow))
        check(b.process.wait(20) == 0)
        continue
    sender.close()
    got = all_of(slow)
    left = b.left()
    check(int(left['skipped']) > 0 and int(left['delivered']) == len(got), left)
    check(len(got) % 188 == 0)
    numbers = [int.from_bytes(got[n + 1 : n + 5], 'big') for n in range(0, len(got), 188)]
    check(all(got[n] == ord('G') for n in range(0, len(got), 188)))
    check(numbers == sorted(set(numbers)) and len(numbers) < size)
    check(b.process.wait(20) == 0)

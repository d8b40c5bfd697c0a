"""What the tests of `splice doctor` share."""
import json
import os
import subprocess
import sys

from splicing import check, splice

# Which other users may run, too.
python = '/usr/bin/python3' if os.path.exists('/usr/bin/python3') else sys.executable


def another_user(number=65534):
    """How a program is begun as a user without rights; nothing where that is not allowed, or that user cannot reach
    the command or Python."""
    if os.getuid() != 0:
        return {}
    user = {'user': number, 'group': number, 'extra_groups': []}
    try:
        for program in splice, python:
            subprocess.run([program, '--version'], check=True, stdout=subprocess.DEVNULL, cwd='/', **user)
    except PermissionError:
        return {}
    return user


class Diagnosis:
    """What `splice doctor --json` says: rows by their names."""

    def __init__(self, *words, before=(), status=0, **more):
        run = subprocess.run([*before, splice, 'doctor', '--json', *words], capture_output=True, **more)
        check(run.returncode == status, run.returncode, run.stderr[-400:])
        self.errors = run.stderr.decode()
        self.whole = json.loads(run.stdout)
        self.rows = {}
        for section in self.whole['sections']:
            for row in section['rows']:
                check(row['advice'], row)
                self.rows.setdefault(row['name'], row)

    def splices(self, name):
        """Whether a kind splices, as a source and as a sink; None for what there is not, or was not tried."""
        row = self.rows[name]
        return tuple(end and end['splices'] for end in (row['from'], row['to']))

    def pages(self, name):
        """What becomes of its pages, as a source and as a sink."""
        row = self.rows[name]
        return tuple(end and end.get('pages') for end in (row['from'], row['to']))

    def kinds(self):
        """All names of kinds."""
        return [name for name, row in self.rows.items() if 'from' in row]

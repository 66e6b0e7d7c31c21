# SPDX-License-Identifier: GPL-2.0
"""
tap.py: what the tests that are written in Python print: points, as TAP.
"""

import sys

points = 0


def point(desc, problems):
    """A point; problems: what is wrong, nothing if it is ok."""
    global points
    points += 1
    print(f"{'not ok' if problems else 'ok'} {points} - {desc}")
    for problem in problems[:15]:
        print("# " + str(problem).replace("\n", "\n# "))
    if len(problems) > 15:
        print(f"# ... {len(problems)} in all")
    sys.stdout.flush()


def same(desc, got, want):
    point(desc, [] if got == want else [f"got:  {got!r}\nwant: {want!r}"])


def note(line):
    print(f"# {line}", flush=True)


def done():
    print(f"1..{points}", flush=True)

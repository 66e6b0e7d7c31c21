# SPDX-License-Identifier: GPL-2.0
"""
tap.py: print test points as TAP, from tests and checks that are written in Python. Those in shell use
tests/lib/tap.sh.
"""

MOST_PROBLEMS = 15		# that are printed for one point

points = failures = 0


def plan(count):
    print(f"1..{count}", flush=True)


def point(desc, problems=(), skip=""):
    """Print a point. problems: the reasons why it is not ok; skip: the reason why it was not tested."""
    global points, failures
    points += 1
    failures += bool(problems)
    desc = desc.replace("#", "\\#")
    print(f"{'not ok' if problems else 'ok'} {points} - {desc}{' # SKIP ' + skip if skip else ''}", flush=True)
    for problem in problems[:MOST_PROBLEMS]:
        note(problem)
    if len(problems) > MOST_PROBLEMS:
        note(f"... {len(problems)} in all")


def same(desc, got, want):
    """Print a point that is ok if the two are equal."""
    point(desc, [] if got == want else [f"got:  {got!r}\nwant: {want!r}"])


def note(text):
    print("# " + str(text).replace("\n", "\n# "), flush=True)


def bail_out(reason):
    print(f"Bail out! {reason}", flush=True)


def done():
    """Print the plan at the end, where the number of points was not known before."""
    plan(points)

# SPDX-License-Identifier: GPL-2.0
"""
judge.py: decide whether a test passes. The evidence is the kernel's console, the script's TAP, the verdict of
tests/vm/guest-init, and QEMU's exit status.
"""

import re

NOT_OK = "points are not ok"		# the end of a reason for a red run

# A console line that matches makes the test red.
BAD_CONSOLE = re.compile(
    r"BUG:|WARNING:|Oops|KASAN|UBSAN|KCSAN|lockdep(?! checking is enabled)|"
    r"possible (circular|recursive) locking|unreferenced object|Call Trace|general protection|"
    r"Kernel panic|rcu:.*stall|blocked for more than|soft lockup|Kernel memory leak detector disabled")


class Result:
    """The result of a boot or of a whole test."""
    def __init__(self):
        self.passed = self.failed = 0
        self.skipped = []		# the descriptions of skipped points
        self.reasons = []		# why the run is red; empty if it is green
        self.not_ok = []		# the TAP lines of the failed points
        self.seconds = 0.0

    def add(self, other, prefix=""):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.reasons += [prefix + reason for reason in other.reasons]
        self.not_ok += other.not_ok


def judge_tap(result, tap):
    plans, numbers, bailed = [], [], False
    showing = False			# so that the diagnostics after a failed point are shown, too
    for line in tap.splitlines():
        point = re.match(r"(not )?ok\b(?: +(\d+))?(?: +-)? *(.*)", line)
        plan = re.match(r"1\.\.(\d+)\b", line)
        if line.startswith("Bail out!"):
            bailed = True
            result.reasons.append(f"the test gave up: {line}")
        elif (point or plan) and bailed:
            result.reasons.append(f"there is TAP after 'Bail out!': {line}")
        elif plan:
            plans.append(int(plan.group(1)))
        elif point:
            desc, _, skip = re.split(r"(?<!\\)(#\s*SKIP\b)", point.group(3) + "#SKIP", 1)
            numbers.append(int(point.group(2) or 0))
            showing = bool(point.group(1))
            if showing:
                result.failed += 1
            elif skip:
                result.skipped.append(desc.strip().replace("\\#", "#"))
            else:
                result.passed += 1
        if showing and (point or line.startswith("#")):
            result.not_ok.append(line)
    if result.failed:
        result.reasons.append(f"{result.failed} of {len(numbers)} {NOT_OK}")
    if not plans:
        result.reasons.append("the test printed no plan")
    elif len(plans) > 1:
        result.reasons.append(f"the test printed {len(plans)} plans")
    elif plans[0] < 1:
        result.reasons.append("the plan is for no points at all")
    elif plans[0] != len(numbers):
        result.reasons.append(f"the plan was {plans[0]} points, {len(numbers)} were reported")
    if numbers != list(range(1, len(numbers) + 1)):
        result.reasons.append("the points are not numbered 1, 2, 3, ...")


def judge(console, tap, verdict, status, timeout, allow=()):
    """
    Judge one boot. status: QEMU's exit status; None if QEMU was killed after timeout seconds.
    Missing evidence counts as a failure: console, tap and verdict must each have their part of a pass.
    """
    result = Result()
    reasons = result.reasons
    if status is None:
        reasons.append(f"the machine did not power off in {timeout} s")
    elif status:
        reasons.append(f"QEMU ended with status {status}")
    if not verdict.strip():
        reasons.append("no verdict was written")
    elif verdict != "pass\n":
        reasons.append(f"the verdict is: {verdict.strip()}")
    judge_tap(result, tap)
    lines = console.splitlines()
    if not any("Linux version" in line for line in lines):
        reasons.append("the console does not show a kernel booting")
    bad = [line for line in lines
           if BAD_CONSOLE.search(line) and not any(a.search(line) for a in allow)]
    if bad:
        reasons.append(f"the console has {len(bad)} bad line{'s'[len(bad) == 1:]}, "
                       f"first: {bad[0].strip()}")
    if status is not None and not any("reboot: Power down" in line for line in lines[-5:]):
        reasons.append("the console does not end with 'reboot: Power down'")
    return result


def judge_skips(result, expected):
    seen = set(result.skipped)
    for desc in sorted(seen - expected):
        result.reasons.append(f"skipped, but not listed: {desc}")
    for desc in sorted(expected - seen):
        result.reasons.append(f"listed as skipped, but was not: {desc}")

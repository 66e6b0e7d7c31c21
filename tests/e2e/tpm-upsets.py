#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
tpm-upsets.py: for tpm-upsets.sh: events that happen to a TPM while it is asked, and the outcomes of the
requests.
"""

import collections
import ctypes
import json
import mmap
import os
import random
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from derived_module import (  # noqa: E402
    PROCESS_KEYRING, ROOT_CHECK, forget, klog, status, stop_random_generator, unload_module)
from suspend import suspend_to_ram  # noqa: E402
from tap import done, note, point, same  # noqa: E402
from tpm_tis import ask, ask_observer, case, load_module, outcome  # noqa: E402

PROCESSES = 4


class Askers:
    """Processes that make requests without a pause. They count the outcomes in each phase of the test,
    and measure the longest time of a request."""

    def __init__(self):
        self.phase = mmap.mmap(-1, 1)	# the phase of the test: a letter; NUL at the end
        self.phase[0] = ord("a")
        self.pipes = []
        sys.stdout.flush()
        for _ in range(PROCESSES):
            here, there = os.pipe()
            if not os.fork():
                # The process must not outlive the test.
                ctypes.CDLL(None).prctl(1, signal.SIGKILL)
                os.write(there, json.dumps(self.run()).encode())
                os._exit(0)
            os.close(there)
            self.pipes.append(here)

    def run(self):
        came = collections.Counter()
        longest = 0
        while phase := self.phase[0]:
            began = time.monotonic()
            got = ask(PROCESS_KEYRING)
            longest = max(longest, time.monotonic() - began)
            if self.phase[0] not in (0, phase):
                phase = ord("-")
            came[f"{phase:c} {got}"] += 1
            if got != "ok":
                time.sleep(0.01)	# a failure is remembered, so the next request is fast
        return came, longest

    def enter(self, phase):
        self.phase[0] = ord(phase)

    def end(self, turns="b"):
        """
        The outcomes in each phase, {outcome: number}, and the longest time of a request. A request that
        began in one phase and ended in another is counted in the phase "turns".
        """
        self.phase[0] = 0
        came, longest = collections.defaultdict(dict), 0
        for pipe in self.pipes:
            with open(pipe, encoding="ascii") as file:
                numbers, seconds = json.load(file)
            os.wait()
            longest = max(longest, seconds)
            for key, number in numbers.items():
                phase, got = key.replace("-", turns).split(" ", 1)
                came[phase][got] = came[phase].get(got, 0) + number
        return came, longest


def check(desc, came, may=(), must=("ok",)):
    """Check the outcomes: all of must have come, and no others except those of may."""
    note(f"{desc}: " + ", ".join(f"{number} {got}" for got, number in sorted(came.items())))
    point(desc, [] if set(must) <= set(came) <= set(must) | set(may) else [dict(came)])


def resets():
    """The TPM is reset at random times, and started again each time. A reset removes its contents."""
    rng = random.Random(int(ask_observer("seed")))
    null_primary, lines = status("null primary"), len(klog())
    askers = Askers()
    time.sleep(0.7)
    askers.enter("b")
    for _ in range(15):
        time.sleep(rng.uniform(0.05, 0.3))
        ask_observer("reset")
        forget()
    time.sleep(0.3)
    forget()
    askers.enter("c")
    time.sleep(0.7)
    came, _ = askers.end()
    check("before the resets, all requests get the golden key", came["a"])
    check("during 15 resets, requests get the golden key or EIO", came["b"], must=["ok", "EIO"])
    check("after the resets, all requests get the golden key", came["c"])
    same("the module's own session gives the golden key, and nothing is left in the TPM",
         (outcome(), case()[0]), ("ok", []))
    said = [line.split(" 000b")[0] for line in klog()[lines:]
            if "null primary key" in line or "no encrypted session" in line]
    same("the null primary key has changed; the log says so once, and mentions no missing encryption",
         (status("null primary") != null_primary, said),
         (True, ["derived: the name of the TPM's null primary key changed to"]))


def not_started():
    askers = Askers()
    time.sleep(0.5)
    askers.enter("x")
    ask_observer("init")
    forget()
    time.sleep(0.3)
    askers.enter("b")
    time.sleep(0.7)
    askers.enter("x")
    ask_observer("reset")
    forget()
    time.sleep(0.2)
    askers.enter("c")
    time.sleep(0.7)
    came, _ = askers.end("x")
    check("before the TPM is reset, all requests get the golden key", came["a"])
    check("the TPM is reset and not started: at first some requests may still get the key", came["x"], ["ok"], ["EIO"])
    check("the TPM is reset and not started: later all requests get EIO", came["b"], must=["EIO"])
    check("after the TPM is started, all requests get the golden key", came["c"])


def suspend(root):
    """The firmware starts the TPM with the state that the driver has saved in it."""
    null_primary = status("null primary")
    askers = Askers()
    time.sleep(0.5)
    askers.enter("b")
    forget()
    suspend_to_ram()
    slept = ask_observer("woken")
    time.sleep(0.5)
    forget()
    askers.enter("c")
    time.sleep(0.7)
    came, _ = askers.end()
    point(f"{root}: the machine was suspended", [] if slept.endswith(" s") else [slept])
    for phase, when in (("a", "before"), ("b", "while"), ("c", "after")):
        check(f"{root}: {when} the machine is suspended, all requests get the golden key", came[phase])
    same(f"{root}: afterwards the module's own session gives the golden key, and nothing is left in the TPM",
         (outcome(), case()[0]), ("ok", []))
    same(f"{root}: the null primary key is the same", status("null primary"), null_primary)


def killed():
    askers = Askers()
    time.sleep(0.5)
    askers.enter("b")
    ask_observer("kill")
    time.sleep(0.3)
    forget()
    time.sleep(0.3)
    askers.enter("c")
    for _ in range(5):
        time.sleep(0.3)
        forget()
    came, longest = askers.end()
    check("before swtpm is killed, all requests get the golden key", came["a"])
    check("when swtpm is killed, requests get EIO", came["b"], ["ok"], ["EIO"])
    check("after swtpm was killed, all requests get EIO", came["c"], must=["EIO"])
    point("no request has waited long", [] if longest < 15 else [f"{longest:.1f} s"])
    note(f"the longest: {longest:.1f} s")
    unload_module()
    load_module("derived-keys")
    same("without a working TPM, the module can be unloaded, and loaded with root=cached",
         (status("root"), ask()), ("cached, never fetched", "EIO"))
    unload_module()


def main():
    stop_random_generator()
    load_module("derived-keys", "root=transient")
    case()
    same("an honest TPM gives the golden key, by the module's own session", outcome(), "ok")
    resets()
    not_started()
    suspend("transient")
    unload_module()
    load_module("derived-keys")
    same("root=cached gives the golden key", (outcome(), status("root check")), ("ok", ROOT_CHECK))
    suspend("cached")
    unload_module()
    load_module("derived-keys", "root=transient")
    killed()
    done()


main()

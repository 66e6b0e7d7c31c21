# SPDX-License-Identifier: GPL-2.0
"""
selftest.py: test the harness: each fault must turn a run red. The judge and tests/vm/tpm-proxy are tested
directly, then the tests in tests/selftest/ are run in machines.
"""

import os
import re
import socket
import struct
import time

import tap
from header import Problem, tests_in
from judge import NOT_OK, judge, judge_skips
from machine import choose_accel, prepare, running_tpm
from processes import read
from runner import explain, run_all, tests_on


def command_selftest(options, work):
    """Test each rule of the judge, first with made-up logs, then in a machine."""
    points = [judge_point(*case) for case in judge_cases()]
    points += red_cases()
    points += [(got == want, f"tpm-proxy: {desc}", f"got:  {got}\nwant: {want}")
               for desc, got, want in proxy_cases(work)]
    tests = tests_in("selftest")
    chosen = {name: tests_on(name, tests) for name in options.kernel or ["6.12"]}
    kernels = prepare(chosen, work)
    accel = choose_accel(options.accel, kernels[0], work)
    tap.plan(len(points) + sum(map(len, chosen.values())))

    def point(good, desc, detail):
        tap.point(desc, [] if good else [detail])

    def report(test, kernel, logs, result):
        if test.expect_red:
            good = red_as_expected(test.expect_red, result.reasons)
            desc = f"{kernel.name}: {test.name} turns the run red"
        else:
            good, desc = not result.reasons, f"{kernel.name}: {test.name} stays green"
        detail = f"want: {test.expect_red.pattern if test.expect_red else 'green'}"
        point(good, desc, f"{detail}\n{explain(test, kernel, logs, result)}")

    for args in points:
        point(*args)
    run_all(chosen, kernels, options, accel, report)
    print(f"{tap.points - tap.failures} passed, {tap.failures} failed")
    return 1 if tap.failures else 0


def red_as_expected(pattern, reasons):
    """
    Is one of the reasons the expected one? A run that also has failed points is not as expected, unless the
    failed points themselves are.
    """
    return any(pattern.search(reason) for reason in reasons) and \
        all(pattern.search(reason) for reason in reasons if NOT_OK in reason)


def red_cases():
    """Points about red_as_expected(): the reasons of a red run against the pattern "^the verdict"."""
    pattern = re.compile("^the verdict")
    for reasons, want in ((["the verdict is: fail"], True),
                          (["the console has 1 bad line", "the verdict is: fail"], True),
                          (["the console has 1 bad line"], False), ([], False),
                          ([f"1 of 5 {NOT_OK}", "the verdict is: fail"], False)):
        yield (red_as_expected(pattern, reasons) == want,
               f"expect-red: {' and '.join(reasons) or 'no reason'}: {'' if want else 'not '}as expected",
               "")


def judge_cases():
    """(the change in words, the changes to a perfect boot, the only expected reason or None)"""
    console = "[0.0] Linux version 6\n[9.9] reboot: Power down\n"
    bad_lines = ("BUG: unable to handle", "WARNING: CPU: 0", "Oops: 0000", "BUG: KASAN: slab",
                 "UBSAN: shift", "BUG: KCSAN: race", "lockdep is off", "possible circular locking",
                 "possible recursive locking", "unreferenced object 0xff", "Call Trace:",
                 "general protection fault", "Kernel panic - not", "rcu: INFO: self-detected stall",
                 "INFO: task a:1 blocked for more than 120 seconds.", "watchdog: soft lockup",
                 "kmemleak: Kernel memory leak detector disabled")
    yield "nothing", {}, None
    yield "an allowed warning", {"console": "WARNING: this\n" + console,
                                 "allow": [re.compile("this")]}, None
    yield "the boot message of a kernel with lockdep", {
        "console": "[0.0] rcu: \tRCU lockdep checking is enabled.\n" + console}, None
    yield "an escaped hash", {"tap": "1..1\nok 1 - a \\# SKIP b\n"}, None
    for line in bad_lines:
        yield f"'{line}' on the console", {"console": f"{line}\n{console}"}, "bad line"
    yield "a console without a boot", {"console": "reboot: Power down\n"}, "kernel booting"
    yield "no power-off", {"console": "Linux version 6\n"}, "Power down"
    yield "a power-off in the middle of the log", {"console": console + "more\n" * 9}, "Power down"
    yield "a time-out", {"status": None}, "did not power off in 180 s"
    yield "a QEMU error", {"status": 1}, "QEMU ended"
    yield "no verdict", {"verdict": ""}, "no verdict"
    yield "a failing verdict", {"verdict": "fail: why\n"}, "fail: why"
    yield "two verdicts", {"verdict": "pass\npass\n"}, "the verdict is"
    yield "no TAP", {"tap": ""}, "no plan"
    yield "two plans", {"tap": "1..1\nok 1\n1..1\n"}, "2 plans"
    yield "an empty plan", {"tap": "1..0\n"}, "no points at all"
    yield "too few points", {"tap": "1..2\nok 1\n"}, "plan was 2"
    yield "too many points", {"tap": "1..1\nok 1\nok 2\n"}, "plan was 1"
    yield "a number twice", {"tap": "1..2\nok 1\nok 1\n"}, "numbered"
    yield "an unnumbered point", {"tap": "1..1\nok - a\n"}, "numbered"
    yield "a point not ok", {"tap": "1..1\nnot ok 1 - a\n"}, "1 of 1 points"
    yield "a failure excused as TODO", {"tap": "1..1\nnot ok 1 - a # TODO\n"}, "1 of 1 points"
    yield "a bail-out", {"tap": "1..1\nok 1\nBail out! no\n"}, "gave up"
    yield "an unlisted skip", {"tap": "1..1\nok 1 - a # SKIP b\n"}, "not listed: a"
    yield "a listed skip that was tested", {"skips": {"a"}}, "was not: a"


def judge_point(what, changes, want):
    """Judge a perfect boot with one change: the result must be the one expected reason, and no other."""
    boot = {"console": "[0.0] Linux version 6\n[9.9] reboot: Power down\n",
            "tap": "1..1\nok 1 - a\n", "verdict": "pass\n", "status": 0, "timeout": 180}
    skips = changes.pop("skips", set())
    result = judge(**{**boot, **changes})
    judge_skips(result, skips)
    if want is None:
        return not result.reasons, f"judge: {what} stays green", str(result.reasons)
    good = len(result.reasons) == 1 and want in result.reasons[0]
    return good, f"judge: {what} turns the run red", f"want: {want}\ngot: {result.reasons}"


def proxy_cases(work):
    """(description, got, want) about tests/vm/tpm-proxy. This process takes the place of QEMU."""
    get_random = bytes.fromhex("8001 0000000c 0000017b 0008")
    rules = ["GetRandom@2:rc=0x101", "0x17b@3-4:delay=300", "GetRandom@5:cut=11",
             "GetRandom@6:flip=11/0x40", "GetRandom@7:delay=100", "any@7:delay=100", "GetRandom@8-:drop"]
    try:
        with running_tpm("fresh", work, work, work, ["HMAC:oops"]):
            refused = False
    except Problem:
        refused = "not a rule: 'HMAC:oops'" in read(os.path.join(work, "tpm-proxy.errors"))
    yield "a bad rule is refused with a message", refused, True

    with running_tpm("fresh", work, work, work, rules) as options, \
            socket.socket(socket.AF_UNIX) as control:
        control.settimeout(10)
        control.connect(options[1].rpartition("path=")[2])
        tpm, theirs = socket.socketpair()
        tpm.settimeout(10)
        socket.send_fds(control, [struct.pack(">I", 0x10)], [theirs.fileno()])	# CMD_SET_DATAFD
        theirs.close()
        answers = [control.recv(100)]
        control.sendall(struct.pack(">II", 2, 0))				# CMD_INIT
        answers.append(control.recv(100))
        yield "the control channel is passed on", answers, [bytes(4)] * 2

        def ask(command=get_random):
            began = time.monotonic()
            tpm.sendall(command)
            answer = tpm.recv(4096)
            return answer, time.monotonic() - began

        ask(bytes.fromhex("8001 0000000c 00000144 0000"))			# TPM2_Startup
        answer, soonest = ask()
        yield "a command without a rule is answered", answer[:12].hex(), "800100000014000000000008"
        yield "rc=", ask()[0].hex(), "80010000000a00000101"
        answers = [ask() for _ in range(2)]
        slow = [(len(answer), seconds >= 0.3) for answer, seconds in answers]
        yield "delay= for two commands", slow, [(20, True)] * 2
        yield "cut=", ask()[0].hex(), "80010000000b0000000000"
        yield "flip=", ask()[0][:12].hex(), "800100000014000000000048"
        answer, seconds = ask()
        yield "delays add up", (len(answer), seconds >= 0.2), (20, True)
        yield "without delay= there is no delay", soonest < 0.3, True
        tpm.settimeout(0.5)
        try:
            dropped = ask()
        except TimeoutError:
            dropped = "no answer"
        yield "drop", dropped, "no answer"
        log = read(os.path.join(work, "tpm-proxy.log")).splitlines()
        log = [line.split(None, 1)[1] for line in log]
        yield "the log has the commands and the rules", (log[1], log[2], log[-1]), (
            "GetRandom 1: 0x0", "GetRandom 2: 0x101 GetRandom@2:rc=0x101",
            "GetRandom 8: no answer GetRandom@8-:drop")

        with socket.socket(socket.AF_UNIX) as orders:
            orders.settimeout(10)
            orders.connect(options[1].rpartition("path=")[2] + ".orders")

            def order(line):
                orders.sendall(line.encode() + b"\n")
                return orders.recv(4096).decode().strip()

            yield "a bad order is refused", order("rules HMAC:oops"), "error: not a rule: 'HMAC:oops'"
            yield "a dropped command can be answered later", \
                (order("answer"), tpm.recv(4096).hex()), ("ok", "80010000000a00000909")
            yield "rules can be changed", order(
                "rules GetRandom@1:hang GetRandom@2:init GetRandom@3:reset GetRandom@4:flip=-20"), "ok"
            try:
                hung = ask()
            except TimeoutError:
                hung = "no answer"
            control.sendall(struct.pack(">I", 9))				# CMD_CANCEL_TPM_CMD
            control.recv(100)
            yield "hang", (hung, tpm.recv(4096).hex()), ("no answer", "80010000000a00000909")
            tpm.settimeout(10)
            yield "init", ask()[0].hex(), "80010000000a00000100"
            yield "left, for a TPM that was not started, is its return code", \
                order("left"), "rc=0x100"
            yield "reset", ask()[0][:10].hex(), "80010000001400000000"
            yield "flip=, from the end", ask()[0][:10].hex(), "81010000001400000000"
            yield "seen has the commands since the rules were changed", \
                order("seen"), " ".join(["GetRandom"] * 4)
            ask(bytes.fromhex("8002 00000039 00000131 40000001 00000009 40000009 0000 00 0000 0004 0000"
                              "0000 0010 0008 000b 00040472 0000 0005 000b 0000 0000 00000000"))
            yield "left has the handles, and flush removes them", \
                (order("left"), order("flush"), order("left")), ("80000000", "ok", "")
            yield "reset and init as orders", [order(line) for line in (
                "reset", "left", "init", "left")], ["ok", "", "ok", "rc=0x100"]
        tpm.close()

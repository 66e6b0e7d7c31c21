#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
tpm-answers.py: for tpm-answers.sh: wrong, late and missing answers to each command of a fetch, and the
outcome of the request. With root=transient, each request makes a fetch. With the argument "kernel",
the fetch uses a session of the kernel, for kernel-sessions.sh.

Cases that take seconds for each command are tried with some of the commands; with EVERY_COMMAND=1 in
the environment, with all of them.
"""

import os
import random
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from derived_module import forget, stop_random_generator, unload_module  # noqa: E402
from tap import done, note, point, same  # noqa: E402
from tpm_tis import ask, ask_observer, case, load_module, outcome  # noqa: E402

EVERY_COMMAND = "EVERY_COMMAND" in os.environ
PATIENCE = 600			# ms, of a driver that is made impatient
LATE = "delay=900"

# The commands are named as in a rule. If one of these two fails, there may be no session, and then
# there is no root secret.
STARTING = ["CreatePrimary@1", "StartAuthSession@1"]

RETRY, TESTING, COMMAND_CODE, SESSION_MEMORY = 0x922, 0x90a, 0x143, 0x903
# YIELDED, OBJECT_MEMORY, SESSION_MEMORY, LOCKOUT, HIERARCHY, AUTH_FAIL, COMMAND_CODE, FAILURE, and one
# that does not exist, with the lower bits of HIERARCHY
CODES = [0x908, 0x902, SESSION_MEMORY, 0x921, 0x185, 0x98e, COMMAND_CODE, 0x101, 0x1085]


class Kind:
    """
    A kind of session. rules: they make the module use it; steps: the commands of a fetch; ok: the
    outcome of an honest fetch; parameters: those of the module.
    """

    def __init__(self, name, rules, steps, ok, parameters=()):
        self.name, self.rules, self.steps, self.ok = name, rules, steps, ok
        self.parameters = parameters


OWN = Kind("own session", [], STARTING + ["FlushContext@1", "CreatePrimary@2", "HMAC@1",
                                          "FlushContext@2", "GetCapability@1"], "ok")
PASSWORD = Kind("by password", ["CreatePrimary@1:rc=0x2c4"],
                ["CreatePrimary@1", "CreatePrimary@2", "HMAC@1", "FlushContext@1",
                 "GetCapability@1"], "in clear", ["require_encryption=0"])
SEQUENCE = Kind("by a sequence", ["HMAC@1:rc=0x143"],
                OWN.steps[:5] + ["HMAC_Start@1", "SequenceComplete@1"] + OWN.steps[5:], "ok")
KERNELS = Kind("the kernel's session", [],
               ["GetCapability@1", "ContextLoad@1", "StartAuthSession@1", "FlushContext@1",
                "CreatePrimary@1", "HMAC@1", "FlushContext@2", "FlushContext@3",
                "GetCapability@2"], "kernel's")
# If a TPM fails at this command, the kernel disables the TPM: kernel-sessions.sh tests that.
DISABLES = "ContextLoad@1"
OBJECT, SESSION = "80", "02"	# the beginning of a handle


def names(steps):
    return [step.split("@")[0] for step in steps]


def told(step):
    """Whether the TPM's answer to this command makes no difference."""
    return step.startswith(("FlushContext", "GetCapability"))


def meaning(kind, step, rc):
    """The outcome of a return code, as Documentation/derived.rst describes it."""
    if told(step):
        return kind.ok
    format_one = rc <= 0xfff and rc & 0x80
    if step in STARTING and kind is OWN and (rc == COMMAND_CODE or format_one):
        return "EOPNOTSUPP"		# the TPM cannot, or an attacker says so: not in clear
    if step == "HMAC@1" and rc == COMMAND_CODE and kind is not KERNELS:
        return kind.ok			# by a sequence
    if step == "StartAuthSession@1" and kind is KERNELS:
        return "EAGAIN" if rc == SESSION_MEMORY else "EIO"	# the kernel gives no details
    if rc > 0xfff:
        return "EIO"			# there is no such return code
    # The number of the parameter, session or handle does not matter.
    value = rc & 0xbf if rc & 0x80 else rc
    if value in (0x085, 0x08e, 0x09d, 0x0a2, 0x120, 0x125, 0x12f, 0x921):
        return "EACCES"			# the hierarchy is disabled or has a password; lockout
    if 0x900 <= value < 0x980 and not 0x910 <= value < 0x920:
        return "EAGAIN"			# a warning, but about our handles
    return "EIO"


def attempt(kind, step, action, want, stays=(), again=0, after=("FlushContext",)):
    """
    Make a request while this command is answered by the action, then one with honest answers. stays:
    the handles that stay in the TPM; again: how often the driver sends the command again; after: the
    commands that may follow the failed command. Returns problems.
    """
    problems = []
    left, _ = case(*kind.rules, *f"{step}:{action}".split())
    if left:
        problems.append(f"left in the TPM by the cases before: {left}")
    got = outcome()
    if action == LATE:
        time.sleep(0.5)
    left, seen = case(*kind.rules)
    if got != want:
        problems.append(f"got {got}, want {want}")
    if [handle[:2] for handle in left] != list(stays):
        problems.append(f"left in the TPM: {left}")
    at = kind.steps.index(step) + 1
    sent, then = names(kind.steps[:at]), seen[at + again:]
    sent += again * sent[-1:]
    if seen[:at + again] != sent or (want.startswith("E") and set(then) - set(after)):
        problems.append(f"these commands were sent: {seen}")
    # If a return code makes no difference, the next case is the next try.
    if want != kind.ok or not action.startswith("rc="):
        got = outcome()
        if got != kind.ok:
            problems.append(f"the next try: {got}")
    return problems


def group(desc, kind, cases):
    """Make many attempts, and print one point. cases: (step, action, want[, ...])"""
    problems, count, began = [], 0, time.monotonic()
    for step, action, *rest in cases:
        count += 1
        problems += [f"{step}:{action}: {problem}"
                     for problem in attempt(kind, step, action, *rest)]
    left, _ = case()
    if left:
        problems.append(f"left in the TPM at the end: {left}")
    if not count:
        problems.append("there were no cases")
    point(f"{kind.name}: {desc}", problems)
    note(f"{count} cases, {time.monotonic() - began:.1f} s")


def stays_after(step):
    """The handles that stay in a TPM that does not execute this command."""
    if step == "FlushContext@3":	# the kernel's session; no other one is ended by a command
        return [SESSION]
    return [OBJECT] if step.startswith("FlushContext") else []


def hides(step):
    """The handles that stay in the TPM if its answer to this command has no handle."""
    return {"CreatePrimary": [OBJECT], "HMAC_Start": [OBJECT],
            "StartAuthSession": [SESSION]}.get(names([step])[0], [])


def own_steps(kind):
    """The commands that no kind before this one has."""
    return {OWN: OWN.steps, PASSWORD: PASSWORD.steps[1:],
            SEQUENCE: ["HMAC_Start@1", "SequenceComplete@1"],
            KERNELS: [step for step in KERNELS.steps if step != DISABLES]}[kind]


def return_codes(kind, rng):
    codes = CODES + rng.sample(sorted(set(range(1, 0x1000)) - {RETRY, TESTING}), 4)
    codes += rng.sample(range(0x80, 0x100), 2)		# format one
    codes += rng.sample(sorted(set(range(0x900, 0x980)) - {RETRY, TESTING}), 2)	# warnings
    codes += [rng.randrange(0x1000, 2 ** 32) for _ in range(2)]
    note("the return codes: " + " ".join(f"{code:#x}" for code in codes))
    for step in own_steps(kind):
        group(f"return codes of {step} become the right errnos", kind,
              ((step, f"rc={code:#x}", meaning(kind, step, code), stays_after(step))
               for code in codes))


def busy_once(kind):
    for code, name in ((RETRY, "RETRY"), (TESTING, "TESTING")):
        group(f"TPM_RC_{name}, once, only makes a delay", kind,
              ((step, f"rc={code:#x}", kind.ok, [], 1) for step in own_steps(kind)))


def busy():
    """The driver sends a command again, seven times within 2.5 s."""
    for kind in (OWN, SEQUENCE):
        busy_once(kind)
    for code, name, some in ((RETRY, "RETRY", "HMAC@1"), (TESTING, "TESTING", "CreatePrimary@2")):
        for kind in (OWN, SEQUENCE):
            steps = [step for step in own_steps(kind)
                     if step == some or (EVERY_COMMAND and not told(step))]
            if steps:
                group(f"TPM_RC_{name}, again and again, is EAGAIN", kind,
                      ((step, f"rc={code:#x} {step}-:rc={code:#x}", "EAGAIN", [], 7)
                       for step in steps))


def bent(kind):
    def cases():
        for step in own_steps(kind):
            if kind is KERNELS and step == "StartAuthSession@1":
                continue		# bent_start_of_kernels()
            want = kind.ok if told(step) else "EIO"
            yield step, "cut=10", want, hides(step)
            # The answer is TPM_RC 0x001, and the TPM has executed the command.
            yield step, "flip=9", want, hides(step)
            if told(step):
                continue
            for action in ("cut=14", "cut=30", "cut=47", "flip=0"):
                yield step, action, want
            # The last byte of this answer is part of the TPM's nonce; changing it changes the keys.
            last = "EACCES" if step == "StartAuthSession@1" else want
            yield step, "flip=-1/0x80", last, (), 0, ("FlushContext", "CreatePrimary")
    group("answers that are cut or altered are EIO, except answers that make no difference", kind,
          cases())


def bent_start_of_kernels():
    """After such an answer the kernel forgets the handle of the session. It ignores the tag."""
    step = "StartAuthSession@1"
    group("an answer to TPM2_StartAuthSession that is cut or altered is EIO, or is noticed later", KERNELS,
          [(step, action, "EIO", [SESSION])
           for action in ("cut=10", "flip=9", "cut=14", "cut=30", "cut=47")] +
          [(step, "flip=0", KERNELS.ok),
           (step, "flip=-1/0x80", "EACCES", [], 0, ("FlushContext", "CreatePrimary"))])


def resets(kind):
    """A reset removes the objects and sessions of the commands before. A request that needs them fails."""
    steps = own_steps(kind)
    needs = {OWN: steps[1:5], PASSWORD: ["HMAC@1"], SEQUENCE: steps}[kind]
    group("a TPM that is reset and started is EIO, if the request still needs its contents", kind,
          ((step, "reset", "EIO" if step in needs else kind.ok, (), 0,
            {"CreatePrimary", "FlushContext"}) for step in steps))

    problems = []
    for step in steps:
        case(*kind.rules, f"{step}:init")
        first, second = outcome(), outcome()
        want = "EIO" if step in needs or not told(step) else kind.ok
        if (first, second) != (want, "EIO"):
            problems.append(f"{step}: got {first}, want {want}; then {second}")
        ask_observer("reset")
        left, _ = case(*kind.rules)
        got = outcome()
        if got != kind.ok or left:
            problems.append(f"{step}: after it is started: {got}; left in it: {left}")
    case()
    point(f"{kind.name}: a TPM that is reset and not started is EIO until it is started", problems)


def slow():
    group("a slow TPM gives the key", OWN,
          [(step, "delay=400", "ok") for step in OWN.steps] +
          [("HMAC@1", "delay=1000", "ok"),
           # The driver waits for 750 ms, and the fetch goes on without the answer.
           ("GetCapability@1", "delay=1000", "ok")])
    group("a slow TPM gives the key by a sequence", SEQUENCE,
          [(step, "delay=400", "ok") for step in own_steps(SEQUENCE)])
    group("TPM2_SequenceComplete, not answered in 750 ms, is ETIME", SEQUENCE,
          [("SequenceComplete@1", "hang", "ETIME")])


def hang_once(kind):
    group("a TPM that does not answer until the driver cancels the command is ETIME", kind,
          ((step, "hang", kind.ok if told(step) else "ETIME", stays_after(step))
           for step in own_steps(kind)))


def hangs():
    """
    The driver would wait for two minutes, and for five minutes at TPM2_CreatePrimary. Then it cancels
    the command. It does the same here, but after a moment.
    """
    load_module("modules/impatient", f"ms={PATIENCE}")
    for kind in (OWN, SEQUENCE):
        hang_once(kind)
    # The driver does not see the handle of an object that is made so late.
    group("a TPM that answers after the driver has stopped waiting is ETIME", OWN,
          [("CreatePrimary@2", LATE, "ETIME", [OBJECT]), ("HMAC@1", LATE, "ETIME")])

    case("HMAC@1:hang")
    forget()
    pid = os.fork()
    if not pid:
        ask()
        os._exit(0)
    while "HMAC" not in ask_observer("seen"):
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    _, wait_status = os.waitpid(pid, 0)
    seconds = time.monotonic() - began
    left, seen = case()
    same("a process that is killed while the TPM hangs dies of the signal, and leaves nothing in the TPM",
         (os.WTERMSIG(wait_status), left, seen[:5]), (signal.SIGKILL, [], names(OWN.steps[:5])))
    point("the killed process dies when the driver has given up", [] if seconds < 5 else [f"{seconds:.1f} s"])
    same("after a killed process, the next try gives the key", outcome(), "ok")


# The objects and sessions that are in the TPM before a command and have to be flushed later.
BEFORE = {"StartAuthSession@1": [OBJECT], "FlushContext@1": [OBJECT, SESSION],
          "CreatePrimary@2": [SESSION], "HMAC@1": [OBJECT, SESSION], "FlushContext@2": [OBJECT],
          "HMAC_Start@1": [OBJECT, SESSION], "SequenceComplete@1": [OBJECT, OBJECT, SESSION]}


def dead(kind, step):
    """The TPM does not answer even after the driver cancels the command."""
    desc = f"{kind.name}: a TPM that never answers again at {step}"
    # After this FlushContext, the fetch still has to ask for the key.
    matters = not told(step) or step == "FlushContext@1"
    case(*kind.rules, f"{step}:drop")
    began = time.monotonic()
    got = [outcome() for _ in range(2)]
    seconds = time.monotonic() - began
    same(f"{desc} is ETIME, for each request", got,
         ["ETIME" if matters else kind.ok, "ETIME"])
    # The driver waits for four seconds until it could send a command: also for each flush.
    stays = BEFORE.get(step, [])
    limit = 15 if len(stays) < 3 else 20
    point(f"{desc}: the requests end within seconds", [] if seconds < limit else [f"{seconds:.1f} s"])
    note(f"{seconds:.1f} s")
    unload_module()
    load_module("derived-keys", "root=transient")
    ask_observer("answer")
    same(f"{desc}: after it has answered, even that the command was canceled, it gives the golden key",
         outcome(), "ok")
    left, seen = case()
    sent = names(kind.steps[:kind.steps.index(step) + 1]) + names(OWN.steps)
    same(f"{desc}: the contents that could not be removed are left",
         ([handle[:2] for handle in left], seen), (stays, sent))
    same(f"{desc}: the next fetch leaves nothing", (outcome(), case()), ("ok", ([], names(OWN.steps))))


def kernels_session(rng):
    """For kernels that have sessions of their own. kernel-sessions.sh tests a TPM that was reset."""
    load_module("derived-keys", "root=transient", own_sessions=False)
    case()
    same("an honest TPM gives the golden key, by the kernel's session", outcome(), KERNELS.ok)
    same("the commands of this fetch are as expected", case(), ([], names(KERNELS.steps)))
    return_codes(KERNELS, rng)
    bent(KERNELS)
    bent_start_of_kernels()
    busy_once(KERNELS)
    group("a slow TPM gives the key", KERNELS,
          [(step, "delay=400", KERNELS.ok) for step in KERNELS.steps])
    load_module("modules/impatient", f"ms={PATIENCE}")
    hang_once(KERNELS)
    case("HMAC@1:drop")
    same("a TPM that never answers again at TPM2_HMAC is ETIME; then the kernel disables it",
         [outcome() for _ in range(3)], ["ETIME", "EIO", "ENXIO"])
    ask_observer("answer")
    left, _ = case()
    same("its contents that could not be removed are left",
         [handle[:2] for handle in left], BEFORE["HMAC@1"])


def main():
    stop_random_generator()
    seed = ask_observer("seed")
    note(f"DERIVED_SEED={seed}")
    rng = random.Random(int(seed))
    if sys.argv[1:] == ["kernel"]:
        kernels_session(rng)
        done()
        return
    load_module("derived-keys", "root=transient")
    case()
    same("an honest TPM gives the golden key, by the module's own session", outcome(), "ok")
    same("the commands of this fetch are as expected", case(), ([], names(OWN.steps)))
    for kind in (OWN, PASSWORD, SEQUENCE):
        unload_module()
        case(*kind.rules)
        load_module("derived-keys", "root=transient", *kind.parameters)
        same(f"{kind.name}: an honest TPM gives the golden key", outcome(), kind.ok)
        case()
        return_codes(kind, rng)
        bent(kind)
        resets(kind)
    busy()
    slow()
    hangs()
    for kind in (OWN, SEQUENCE):
        for step in own_steps(kind):
            if step == "CreatePrimary@1" or EVERY_COMMAND:
                dead(kind, step)
    done()


main()

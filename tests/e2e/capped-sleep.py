#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
capped-sleep.py: for capped-sleep.sh: what happens to a TPM over suspend, and what becomes of the cap PCR, of the
capped root, and of the programs that try to fetch it.
"""

import errno
import glob
import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from capped import (  # noqa: E402
    K_CAPPED, Racers, ask_capped, cap_pcr, exchange, extend_cap_pcr, load_capped, outcome, told,
    tpm_device)
from derived_module import forget, klog, status, stop_random_generator, unload_module  # noqa: E402
from suspend import suspend_to_ram  # noqa: E402
from tap import done, note, point, same  # noqa: E402
from tpm_tis import ask, ask_observer, case  # noqa: E402

# The firmware resets the TPM, and starts it with TPM2_Startup(CLEAR). The answer to the TPM2_Startup(STATE)
# of SeaBIOS would be TPM_RC_INITIALIZE, 0x100; it becomes TPM_RC_SUCCESS.
LOST = "Startup@1:reset", "Startup@1:flip=8"

# The firmware does not start the TPM.
NO_STARTUP = ("Startup@1:rc=0x101",)

# The commands that the TPM gets first when it was started. SeaBIOS may send TPM2_SelfTest.
KEPT = r"Startup\(STATE\) (SelfTest )?PCR_Read ReadClock "
CLOSED_FIRST = r"Startup\(CLEAR\) (Startup\(STATE\)=0x100 )?(SelfTest )?PCR_Read PCR_Extend\(13\)$"

SERVED = "held", "closed", "ok"
CLOSED_AGAIN = ("the TPM lost its PCRs: PCR 13 was open, and another program could fetch the capped root. It is "
                "closed again")
WAS_RESET = ("the TPM was reset or cleared, and not the machine: PCR 13 may have been open, and another program may "
             "know the capped root")
CANNOT = "PCR 13 cannot be looked at: the TPM failed at TPM2_PCR_Read (TPM_RC 0x101)"
NO_SLEEP = ("refused to sleep: the TPM is unbound or disabled, so PCR 13 could not be closed again afterwards")
SHUTDOWN_STATE = bytes.fromhex("8001 0000000c 00000145 0001")


def fresh(*rules, build="test/derived-keys", parameters=()):
    """Load the module into a TPM that was reset; rules: for the proxy while it is loaded."""
    if os.path.exists("/sys/module/derived_keys"):
        unload_module()
    case(*rules)
    ask_observer("reset")
    load_capped(build, *parameters)
    told()


def slept():
    got = ask_observer("woken")
    return [] if got.endswith(" s") else [got]


def sleep(desc, rules=(), orders=()):
    case(*rules)
    suspend_to_ram(*orders)
    point(f"{desc}: the machine was suspended", slept())


def after(desc, want, log, started=None):
    """
    Check the outcome, the log, and with started the first commands that the TPM got after it was started, and
    that user space did not run yet when they were sent.
    """
    same(f"{desc}: the state, the cap PCR, and a request", outcome(), want)
    same(f"{desc}: the log", told(), log)
    got = ask_observer("started")
    note(f"{desc}: {got}")
    if started:
        point(f"{desc}: the module's commands are the first ones", [] if re.match(started, got) else [got])
    if started and log:
        order = [line for line in klog() if re.match(r"(derived: the TPM lost|Restarting tasks(?!: Done))", line)][-2:]
        point(f"{desc}: the cap PCR is closed before user space runs",
              [] if order[0].startswith("derived") and order[1].startswith("Restarting") else order)


def race(desc, log, started=None, rules=(), orders=()):
    """Sleep while the racers run."""
    racers = Racers()
    before = racers.wait_for("refused")
    sleep(desc, rules, orders)
    later = racers.wait_for("refused")
    counts = racers.end()
    point(f"{desc}: all racers are refused before and after the sleep",
          [] if min(*before.values(), *later.values()) > 2 else [before, later])
    same(f"{desc}: no racer has fetched the capped root", {now["won"] for now in counts.values()}, {0})
    after(desc, SERVED, log, started)


def control():
    """Without the module, all racers fetch the capped root."""
    racers = Racers()
    racers.wait_for("won")
    counts = racers.end()
    same("before the module is loaded, all racers fetch the capped root",
         {now["root"].hex() for now in counts.values()}, {K_CAPPED.hex()})


def good():
    fresh()
    same("loaded: the state, the cap PCR, and a request", outcome(), SERVED)
    same("the module's device wakes up after the TPM's", len(glob.glob("/sys/class/devlink/*--*:derived-keys")), 1)
    for number in ("first", "second"):
        race(f"good firmware, {number} sleep", [], KEPT)
    forget()
    same("good firmware: a later fetch of the plain root finds nothing", (ask(), told()), ("ok", []))


def lost(build="test/derived-keys", desc="the TPM loses its PCRs"):
    fresh(build=build)
    race(desc, [CLOSED_AGAIN], CLOSED_FIRST, LOST)
    race(f"{desc}, once more", [CLOSED_AGAIN], CLOSED_FIRST, LOST)


def no_startup():
    fresh()
    race("no startup, the state is saved", [], KEPT, NO_STARTUP)
    race("no startup, the state is lost", [CLOSED_AGAIN], CLOSED_FIRST, NO_STARTUP, ["reset"])
    fresh()
    race("the TPM is reset during the sleep", [CLOSED_AGAIN], CLOSED_FIRST, (), ["reset"])


def not_answering():
    """The TPM lost its PCRs, and fails. Its first TPM2_PCR_Read is that of .prepare, before it sleeps."""
    desc = "the TPM fails for a moment when the machine resumes"
    fresh()
    race(desc, [CANNOT, CLOSED_AGAIN], CLOSED_FIRST, [*LOST, "PCR_Read@2-4:rc=0x101"])

    desc = "the TPM fails for longer"
    fresh(parameters=["fetch_tried=2"])
    # SeaBIOS may send no TPM2_Startup any more, so the rules of LOST might not do anything.
    sleep(desc, ["PCR_Read@2-:rc=0x101"], ["reset"])
    same(f"{desc}: the log says so", told(), [CANNOT])
    case()
    end = time.monotonic() + 15
    while cap_pcr() != "closed" and time.monotonic() < end:
        time.sleep(0.2)
    after(f"{desc}, and works then", SERVED, [CLOSED_AGAIN])


def unbound():
    fresh()
    tpm = os.path.realpath(f"/sys/class/tpm/{os.path.basename(tpm_device('tpm'))}/device")
    driver, device = os.path.realpath(f"{tpm}/driver"), os.path.basename(tpm)

    def write(name, value):
        with open(name, "w", encoding="ascii") as file:
            file.write(value)
    write(f"{driver}/unbind", device)
    same("the TPM is unbound", glob.glob("/dev/tpm*"), [])
    try:
        suspend_to_ram()
        got = "it slept"
    except OSError as error:
        got = errno.errorcode[error.errno]
    same("unbound: suspend is refused, and keys are served", (got, ask_capped()), ("EBUSY", "ok"))
    same("unbound: the log", told(), [NO_SLEEP])
    write(f"{driver}/bind", device)
    stop_random_generator()
    sleep("bound again")
    after("bound again", SERVED, [])


def other_states():
    """The cap PCR is watched in each state in which it was closed."""
    fresh()
    forget()
    sleep("gone", LOST)
    after("gone", ("gone", "closed", "EACCES"), [CLOSED_AGAIN])
    fresh("CreatePrimary:rc=0x9a2")
    sleep("missed", LOST)
    after("missed", ("missed", "closed", "EACCES"), [CLOSED_AGAIN])
    fresh()
    unload_module()
    load_capped("test/derived-keys")
    told()
    sleep("late", LOST)
    after("late", ("late", "closed", "EACCES"), [CLOSED_AGAIN])
    unload_module()
    case()
    ask_observer("reset")
    extend_cap_pcr(bytes(32))
    load_capped("test/derived-keys")
    told()
    sleep("late, and the PCR was used", LOST)
    after("late, and the PCR was used", ("late", "closed", "EACCES"), [CLOSED_AGAIN])


def reset_alone():
    """
    The cap PCR is looked at when the TPM is asked for the plain root. While both roots are held, nothing asks the
    TPM. Here it is asked because the first fetch of the plain root failed, or after forget=1.
    """
    desc = "the TPM is reset alone"
    fresh("HMAC@4-:rc=0x101")	# three are for the capped root
    case()
    same(f"{desc}: before, the capped root is held, and the plain one is not",
         (outcome(), status("root check")), (SERVED, "none"))
    ask_observer("reset")
    same(f"{desc}: a capped key is served, and nothing is noticed yet", (outcome(), told()),
         (("held", "open", "ok"), []))
    time.sleep(10)		# for that time, the module remembers the failure
    same(f"{desc}: a plain key is served", ask(), "ok")
    after(f"{desc}: the fetch of the plain root closes the PCR again", SERVED, [CLOSED_AGAIN])

    # Not even the attacker's own cap event hides a reset. In a TPM Restart, resetCount and the null primary
    # key stay the same.
    for desc, prepare in (("a TPM Reset", None),
                          ("a TPM Restart", lambda: exchange(SHUTDOWN_STATE)),
                          ("a sleep, and then a TPM Restart", lambda: (sleep("before a TPM Restart"),
                                                                       exchange(SHUTDOWN_STATE)))):
        fresh()
        if prepare:
            prepare()
        ask_observer("reset")
        extend_cap_pcr()
        forget()
        same(f"{desc}: a plain key is served", ask(), "ok")
        after(f"{desc}, and an attacker closes the PCR", ("gone", "closed", "EACCES"), [WAS_RESET])

    # A sleep is a reason to look, too. It excuses no TPM Restart of before, not even if it makes none itself.
    for desc, go_to_sleep in (("suspend to RAM", sleep), ("suspend to idle", idle)):
        fresh()
        ask_observer("reset")
        go_to_sleep(desc)
        after(f"{desc} after a reset", SERVED, [CLOSED_AGAIN])
        fresh()
        exchange(SHUTDOWN_STATE)
        ask_observer("reset")
        extend_cap_pcr()
        go_to_sleep(desc)
        after(f"{desc} after a TPM Restart, and an attacker closes the PCR", SERVED, [WAS_RESET])


def idle(desc):
    """
    Suspend to idle. Nothing wakes QEMU's machine from it (its clock does not), so the kernel's test mode ends it
    after 5 s, when all devices are suspended.
    """
    for path, value in (("/sys/power/mem_sleep", "s2idle"), ("/sys/power/pm_test", "devices"),
                        ("/sys/power/state", "mem"), ("/sys/power/pm_test", "none")):
        with open(path, "w", encoding="ascii") as file:
            file.write(value)
    note(f"{desc}: the machine was suspended to idle")


def suspend_to_idle():
    desc = "suspend to idle"
    fresh()
    case()
    idle(desc)
    same(f"{desc}: the TPM was suspended, and the cap PCR was looked at", case()[1],
         ["PCR_Read", "ReadClock", "Shutdown", "PCR_Read", "ReadClock"])
    after(desc, SERVED, [])


def main():
    stop_random_generator()
    case()
    control()
    good()
    lost()
    no_startup()
    not_answering()
    unbound()
    other_states()
    reset_alone()
    suspend_to_idle()
    # The build that users have stays loaded, so it comes last.
    lost("derived-keys", "the build that stays loaded")
    failed = subprocess.run(["rmmod", "derived_keys"], check=False, stderr=subprocess.PIPE, text=True)
    point("the module stays loaded", [] if failed.returncode and "in use" in failed.stderr else [failed.stderr])
    done()


main()

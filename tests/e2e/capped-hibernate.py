#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
capped-hibernate.py: for capped-hibernate.sh: hibernation, and what becomes of the capped root.
"""

import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import tap  # noqa: E402
from capped import CHECK, Racers, ask_capped, cap_pcr, load_capped, outcome, told  # noqa: E402
from derived_module import DERIVED, klog, status, stop_random_generator, unload_module  # noqa: E402
from tap import done, note, point, same  # noqa: E402
from tpm_tis import ask, ask_observer, case  # noqa: E402

IMAGE = "/dev/vdc"
WIPED = "it was wiped, by forget=1, hibernation or a reboot"
WIPED_AND_CLOSED = "it was wiped before the hibernation, and the cap PCR was closed when the system resumed"
POINTS_BEFORE = 2		# in boots 2 and 3, before the machine resumes from the image


def snapshot(*args):
    """Returns what the program prints."""
    # The disk must not change any more: the kernel in the image has a part of it in memory.
    subprocess.run(["mount", "-o", "remount,ro", "/"], check=True)
    ran = subprocess.run([f"{DERIVED}/bin/snapshot", *args], check=False, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    return ran.stdout.strip()


def fetches():
    """How often the capped root was fetched, by the log."""
    return sum(f"capped root check value {CHECK.hex()}, " in line for line in klog())


def make_image():
    stop_random_generator()
    load_capped()
    same("before: the state, the cap PCR, and a request", outcome(), ("held", "closed", "ok"))
    told()
    racers = Racers()
    racers.wait_for("refused")
    got = snapshot(IMAGE)
    if got == "resumed":
        resumed(racers)
        return
    note(got)
    point("an image is made", [] if got.endswith(" pages") else [got])
    racers.wait_for("refused")
    same("aborted: no racer has fetched the capped root", {now["won"] for now in racers.end().values()}, {0})
    same("aborted: the capped root is gone", (outcome(), status("capped reason")),
         (("gone", "closed", "EACCES"), WIPED))
    same("aborted: the log", told(), [])
    same("aborted: a plain key is served", ask(), "ok")


def resumed(racers):
    """In boots 2 and 3, in the kernel of the image. The counts of points are those of boot 1."""
    tap.points, tap.failures = POINTS_BEFORE, 0
    boot = ask_observer("boot")
    racers.wait_for("refused")
    counts = racers.end()
    same("resumed: no racer has fetched the capped root", {now["won"] for now in counts.values()}, {0})
    note(ask_observer("started"))
    case()			# removes what the racers have left in the TPM
    if boot == "2":
        same("resumed by a kernel without the module: the capped root is held again", outcome(),
             ("held", "closed", "ok"))
        same("resumed by a kernel without the module: it is the golden one, and was fetched twice",
             (status("capped root check"), fetches()), (CHECK.hex(), 2))
    else:
        same("resumed by a kernel with the module: the capped root is gone",
             (outcome(), status("capped reason")), (("gone", "closed", "EACCES"), WIPED_AND_CLOSED))
        same("resumed by a kernel with the module: it was fetched once", fetches(), 1)
    same("resumed: a plain key is served", ask(), "ok")
    note(told())


def resume_without_module():
    stop_random_generator()
    same("the module is not loaded", os.path.exists("/sys/module/derived_keys"), False)
    same("the cap PCR is open", cap_pcr(), "open")
    point("the machine resumes from the image", [snapshot("--resume", IMAGE)])


def resume_with_module():
    stop_random_generator()
    load_capped()
    same("the kernel that boots holds the capped root", (status("capped"), ask_capped()), ("held", "ok"))
    same("the cap PCR is closed", cap_pcr(), "closed")
    point("the machine resumes from the image", [snapshot("--resume", IMAGE)])


def write(path, value):
    with open(path, "w", encoding="ascii") as file:
        file.write(value)


def aborted():
    """Hibernation has no swap space to write to; or the kernel tests it (pm_test) and goes on."""
    stop_random_generator()
    # pm_test=devices wakes the devices up as after a hibernation.
    for desc, test, why in (("without swap space", "none", WIPED), ("pm_test=freezer", "freezer", WIPED),
                            ("pm_test=devices", "devices", WIPED_AND_CLOSED)):
        case()
        ask_observer("reset")
        load_capped("test/derived-keys")
        told()
        same(f"{desc}: before, the capped root is held", outcome(), ("held", "closed", "ok"))
        write("/sys/power/pm_test", test)
        try:
            write("/sys/power/state", "disk")
            note(f"{desc}: it returned")
        except OSError as error:
            note(f"{desc}: {error}")
        same(f"{desc}: the capped root is gone", (outcome(), status("capped reason")),
             (("gone", "closed", "EACCES"), why))
        same(f"{desc}: the log", told(), [])
        unload_module()
        write("/sys/power/pm_test", "none")


{"1": make_image, "2": resume_without_module, "3": resume_with_module, "4": aborted}[os.environ["BOOT"]]()
done()

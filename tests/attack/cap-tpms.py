#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
cap-tpms.py: for cap.sh: rows K21 and K22, on TPMs that the machine does not have: with other banks of PCRs, and one
that fails in the middle of a fetch. Each is a private swtpm behind /dev/vtpmx.

    cap-tpms.py MODULE COUNT FILE    MODULE can be unloaded. COUNT points were printed before; the new number goes to FILE
"""

import contextlib
import os
import subprocess
import sys

DERIVED = os.environ["DERIVED"]
sys.dont_write_bytecode = True
sys.path[:0] = [DERIVED + "/tests/vectors", DERIVED + "/tests/lib"]
import tap  # noqa: E402
from derived_module import add_key, insert_module, klog, status, unload_module  # noqa: E402
from swtpm_private import Swtpm  # noqa: E402
from tap import point, same  # noqa: E402
from tpm_messages import (  # noqa: E402
    FLUSH_CONTEXT, HMAC, HMAC_START, OBJECTS, SEQUENCE_COMPLETE, STARTUP_CLEAR, code_of, error, flush, handles,
    pcr_allocate)
from vtpm import make_vtpm, refusal  # noqa: E402

MODULE = sys.argv[1]
GOLDEN = DERIVED + "/tests/vectors/tpm-golden"
SHA1, SHA256, ALL_PCRS = 0x4, 0xb, set(range(24))
CAPPED = b"64 path,capped,kcv=0123456789abcdef v1"


def allocate(swtpm, banks):
    """TPM2_PCR_Allocate, and the reset that makes it so. banks: algorithm -> its PCRs."""
    response = swtpm.command(pcr_allocate(banks))
    if code_of(response) or response[14] != 1:
        raise RuntimeError(f"TPM2_PCR_Allocate: {response.hex()}")
    restart(swtpm)


def restart(swtpm):
    """Reset the TPM."""
    swtpm.power_cycle()
    swtpm.command(STARTUP_CLEAR)


@contextlib.contextmanager
def machine_with(swtpm, rules=()):
    """The kernel sees this TPM."""
    tpm = make_vtpm(swtpm, rules)
    try:
        yield tpm
    finally:
        tpm.remove()


def attacker(device, *arguments):
    out = subprocess.run([sys.executable, DERIVED + "/tests/attack/cap.py", device, *arguments],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False)
    return out.stdout.strip()


def load(*parameters):
    """Load the module. Returns what the log says of it."""
    before = len(klog())
    insert_module(MODULE, *parameters)
    return "\n".join(line for line in klog()[before:] if line.startswith("derived: "))


def unfit(row, what, allocated, parameters, reason, before="POLICY_FAIL"):
    """A TPM with these banks must be unfit. before: what the attacker gets before the module is loaded."""
    with Swtpm(GOLDEN) as swtpm:
        allocate(swtpm, allocated)
        with machine_with(swtpm) as tpm:
            wanted = "capped:" + ",".join(parameter.rpartition("=")[2] for parameter in reversed(parameters))
            got = attacker(tpm.device, "fetch", wanted)
            same(f"{row}, {what}: what the attacker gets before the module is loaded",
                 got if len(got) != 64 else "another root", before)
            log = load(*parameters)
            same(f"{row}, {what}: the state is unfit", status("capped"), "unfit")
            same(f"{row}, {what}: status says why", status("capped reason"), reason)
            point(f"{row}, {what}: the log says why", [] if f"(unfit): {reason}" in log else [log])
            same(f"{row}, {what}: a request gets EOPNOTSUPP", add_key(b"capped", CAPPED)[1], "EOPNOTSUPP")
            same(f"{row}, {what}: a plain key is served", add_key(b"plain", b"64 path")[1], "ok")
            same(f"{row}, {what}: the attacker gets nothing afterwards", attacker(tpm.device, "fetch", wanted), "POLICY_FAIL")
            unload_module()


def trick(what, allocated, want):
    with Swtpm(GOLDEN) as swtpm:
        allocate(swtpm, allocated)
        same(f"K22, {what}: a policy that the TPM computes, before and after PCR 13 is extended",
             attacker(swtpm.socket, "trick"), want)


def pending():
    """A firmware that leaves the platform's password empty."""
    with Swtpm(GOLDEN) as swtpm:
        with machine_with(swtpm) as tpm:
            load("cap=13")
            same("K15b, the capped root is held", status("capped"), "held")
            same("K15b, TPM2_PCR_Allocate succeeds if the platform's password is empty",
                 attacker(tpm.device, "allocate"), "")
            same("K15b, but the attacker gets nothing", attacker(tpm.device, "fetch", "capped:13"), "POLICY_FAIL")
            unload_module()
        restart(swtpm)
        with machine_with(swtpm) as tpm:
            load("cap=13")
            same("K15b, after a reset the state is unfit", status("capped"), "unfit")
            same("K15b, after a reset the attacker gets nothing", attacker(tpm.device, "fetch", "capped:13"),
                 "POLICY_FAIL")
            unload_module()


def failing():
    """Rules: a TPM without TPM2_HMAC, which completes no sequence, and does not remove one."""
    sequences = set()

    def start(command, forward):
        response = forward(command)
        if not code_of(response):
            sequences.add(response[10:14])
        return response

    def remove(command, forward):
        return error(0x101) if command[10:14] in sequences else forward(command)
    return {HMAC: refusal(0x143), HMAC_START: start, SEQUENCE_COMPLETE: refusal(0x101), FLUSH_CONTEXT: remove}


def leftover(key, state, want, *parameters):
    with Swtpm(GOLDEN) as swtpm, machine_with(swtpm) as tpm:
        tpm.rules = failing()
        log = load(*parameters)
        tpm.rules = {}
        left = handles(tpm.forward, OBJECTS)
        point(f"K21, {key}: a sequence is left in the TPM", [] if left else ["nothing is left", log])
        if state:
            same(f"K21, {key}: the capped root was missed, and its PCR is closed", status("capped"), state)
        same(f"K21, {key}: the attacker completes the sequence that is left", attacker(tpm.device, "leftover", key), want)
        flush(tpm.forward, left)
        unload_module()


def main():
    tap.points = int(sys.argv[2])
    both = {SHA1: ALL_PCRS, SHA256: ALL_PCRS}
    sha1 = {SHA1: ALL_PCRS, SHA256: ()}
    trick("both banks", both, "computes POLICY_FAIL")
    trick("SHA-1 alone", sha1, "computes computes")
    trick("no PCR 13 in SHA-256", {SHA1: ALL_PCRS, SHA256: ALL_PCRS - {13}}, "computes computes")
    unfit("K22", "SHA-1 alone", sha1, ["cap=13"], "the TPM has no PCR 13 in its SHA-256 bank")
    unfit("K22b", "no PCR 13 in SHA-256", {SHA1: ALL_PCRS, SHA256: ALL_PCRS - {13}}, ["cap=13"],
          "the TPM has no PCR 13 in its SHA-256 bank")
    unfit("K22c", "no PCR 7 in SHA-256", {SHA1: ALL_PCRS, SHA256: ALL_PCRS - {7}}, ["cap=13", "cap_pcrs=7"],
          "the TPM has no PCR 7 in its SHA-256 bank")
    unfit("K22d", "PCR 7 is zero", both, ["cap=13", "cap_pcrs=7"],
          "PCR 7 says nothing about this boot: it is all zeros or all ones", before="another root")
    pending()
    leftover("plain", None, "root")
    leftover("capped:13", "missed", "BAD_AUTH", "cap=13", "fetch_tried=2")
    with open(sys.argv[3], "w", encoding="ascii") as file:
        print(tap.points, file=file)


main()

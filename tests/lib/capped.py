# SPDX-License-Identifier: GPL-2.0
"""
capped.py: the capped root, in a virtual machine with the golden TPM: load the module with cap=13, request a capped key,
look at the cap PCR.
"""

import glob
import hashlib
import mmap
import os
import re
import struct
import subprocess
import time

import derived_module
from derived_module import DERIVED, SESSION_KEYRING, klog, status
from golden import golden_capped_root
from tap import note
from tpm_messages import Refused, pcr_extend, pcr_read

CAP = 13
REQUEST = b"32 path,capped sleep v1"
K_CAPPED, CHECK = golden_capped_root(str(CAP))

# The cap event, and the values of the cap PCR before and after it.
CAP_EVENT = hashlib.sha256(b"derived-keys v1 cap").digest()
VALUES = {bytes(32): "open", hashlib.sha256(bytes(32) + CAP_EVENT).digest(): "closed"}

# What the module may tell about the cap PCR.
TOLD = re.compile(r"derived: (the TPM (?:lost|was reset).*|refused.*|PCR 13 .*|no link.*)")


KEY = derived_module.expected_key(REQUEST, K_CAPPED, capped=True)


def load_capped(build="derived-keys", *parameters):
    """Load the module with cap=13. Capped keys are pinned by the root check value."""
    derived_module.insert_module(f"{DERIVED}/{build}.ko", f"cap={CAP}",
                                 f"expect_capped_root={CHECK.hex()}", *parameters)


def ask_capped(keyring=SESSION_KEYRING):
    return derived_module.ask_for(b"capped", REQUEST, KEY, keyring)


def tpm_device(name):
    """The path of the TPM's device, "tpm" or "tpmrm". IMA keeps its chip, so a TPM that is bound again is another."""
    (path,) = glob.glob(f"/dev/{name}[0-9]")
    return path


def exchange(command):
    """Send a command to the TPM through the kernel's resource manager; return the response."""
    device = os.open(tpm_device("tpmrm"), os.O_RDWR)
    try:
        os.write(device, command)
        return os.read(device, 4096)
    finally:
        os.close(device)


def cap_pcr():
    """Whether the cap PCR is "open" or "closed"; or another value, in hexadecimal; or a return code."""
    try:
        value = pcr_read(exchange, CAP)
    except Refused as refused:
        return str(refused)
    if value is None:
        raise ValueError(f"the TPM has no PCR {CAP} in its SHA-256 bank")
    return VALUES.get(value, value.hex())


def extend_cap_pcr(digest=CAP_EVENT):
    exchange(pcr_extend(CAP, digest))


def outcome():
    return status("capped"), cap_pcr(), ask_capped()


log_seen = 0


def told():
    """What the module has told since the last call, of the things that matter here."""
    global log_seen
    lines = klog()
    new, log_seen = lines[log_seen:], len(lines)
    return [match[1] for match in map(TOLD.match, new) if match]


class Racers:
    """Programs that try to fetch the capped root all the time."""

    KINDS = {"tpmrm": ("tpmrm", 1), "tpm": ("tpm", 1), "queued": ("tpmrm", 8)}	# device, clients
    FIELDS = "refused", "changed", "failed", "won", "root", "failure"

    def __init__(self):
        self.processes, self.maps = [], {}
        for name, (device, clients) in self.KINDS.items():
            path = f"/run/cap-race-{name}"
            self.processes.append(subprocess.Popen([f"{DERIVED}/bin/cap-race", tpm_device(device), str(clients),
                                                    path]))
            while not os.path.exists(path) or not os.path.getsize(path):
                time.sleep(0.05)
            with open(path, "rb") as file:
                self.maps[name] = mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ)
            os.unlink(path)

    def counts(self):
        return {name: dict(zip(self.FIELDS, struct.unpack_from("4Q32sI", data)))
                for name, data in self.maps.items()}

    def wait_for(self, field, seconds=30):
        """Wait until all of them have got this outcome again."""
        before, end = self.counts(), time.monotonic() + seconds
        while time.monotonic() < end and any(now[field] < before[name][field] + 3
                                             for name, now in self.counts().items()):
            time.sleep(0.1)
        return {name: now[field] - before[name][field] for name, now in self.counts().items()}

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()
        counts = self.counts()
        for name, now in counts.items():
            note(f"{name}: {now['refused']} refused, {now['changed']} PCR changed, {now['won']} won, "
                 f"{now['failed']} others, the last {now['failure']:#x}")
        return counts

# SPDX-License-Identifier: GPL-2.0
"""
tpm_tis.py: what tpm-answers.py and tpm-upsets.py share: the machine's TPM (driver tpm_tis), whose answers
tpm.observer changes, and requests to the module.
"""

import ctypes
import os
import select

import derived_module
from derived_module import DERIVED, SESSION_KEYRING
from golden import RECOVER, golden_root, load_program

REQUEST = b"32 path tpm-tis v1"


# ---------------------------------------------------------------- the observer

line_to_observer = os.open("/dev/ttyS3", os.O_RDWR | os.O_NOCTTY)


def ask_observer(*words):
    """Send a line to the observer; return its answer."""
    os.write(line_to_observer, (" ".join(words) + "\n").encode())
    answer = b""
    while not answer.endswith(b"\n"):
        if not select.select([line_to_observer], [], [], 60)[0]:
            raise RuntimeError(f"the observer does not answer to {words}")
        answer += os.read(line_to_observer, 4096)
    return answer.decode().strip()


def case(*rules):
    """
    Begin a case, with these rules for the TPM. Returns the handles that the case before has left in the TPM,
    and its commands.
    """
    left, _, seen = ask_observer("case", *rules).partition("|")
    return left.split(), seen.split()


# ---------------------------------------------------------------- the module

def load_module(name="derived-keys", *parameters, own_sessions=True):
    """Where the kernel has sessions, load the build that does not use them, unless own_sessions is false."""
    if name == "derived-keys" and own_sessions and os.path.exists(f"{DERIVED}/own/{name}.ko"):
        name = "own/" + name
    derived_module.insert_module(f"{DERIVED}/{name}.ko", *parameters)


def expected_key():
    """The key as the recovery tool computes it from the golden TPM's root secret."""
    recover = load_program(RECOVER)
    request = recover.Request(REQUEST)
    path = os.readlink("/proc/self/exe").encode()
    return recover.Key(request.length, 0, path, mixin=request.mixin).derive(golden_root()[0])


KEY = expected_key()


def ask(keyring=SESSION_KEYRING):
    """Ask for the key: the errno's name, "ok", or "ANOTHER KEY", which must never come."""
    serial, got = derived_module.add_key(b"tpm-tis", REQUEST, keyring=keyring)
    if got != "ok":
        return got
    key = ctypes.create_string_buffer(len(KEY) + 1)
    length = derived_module.keyutils.keyctl_read(serial, key, len(key))
    return "ok" if length == len(KEY) and key.raw[:length] == KEY else "ANOTHER KEY"


def outcome():
    return derived_module.outcome(ask)

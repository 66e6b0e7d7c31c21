# SPDX-License-Identifier: GPL-2.0
"""
tpm_tis.py: what tpm-answers.py and tpm-upsets.py share: the machine's TPM (driver tpm_tis), whose answers
tpm.observer changes, and requests to the module.
"""

import os
import select

import derived_module
from derived_module import DERIVED, SESSION_KEYRING
from golden import golden_root

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


KEY = derived_module.expected_key(REQUEST, golden_root()[0])


def ask(keyring=SESSION_KEYRING):
    return derived_module.ask_for(b"tpm-tis", REQUEST, KEY, keyring)


def outcome():
    return derived_module.outcome(ask)

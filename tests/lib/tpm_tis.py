# SPDX-License-Identifier: GPL-2.0
"""
tpm_tis.py: what tpm-answers.py and tpm-upsets.py share: the observer, requests to the module.
"""

import ctypes
import errno
import glob
import importlib.machinery
import importlib.util
import os
import select
import subprocess

DERIVED = os.environ["DERIVED"]
PARAMETERS = "/sys/module/derived_keys/parameters/"
REQUEST = b"32 path tpm-tis v1"
SESSION_KEYRING, PROCESS_KEYRING = -3, -2

keyutils = ctypes.CDLL("libkeyutils.so.1", use_errno=True)
keyutils.keyctl_read.argtypes = (ctypes.c_int32, ctypes.c_char_p, ctypes.c_size_t)


# ---------------------------------------------------------------- the observer

line_to_observer = os.open("/dev/ttyS3", os.O_RDWR | os.O_NOCTTY)


def observer(*words):
    """What it answers."""
    os.write(line_to_observer, (" ".join(words) + "\n").encode())
    answer = b""
    while not answer.endswith(b"\n"):
        if not select.select([line_to_observer], [], [], 60)[0]:
            raise RuntimeError(f"the observer does not answer to {words}")
        answer += os.read(line_to_observer, 4096)
    return answer.decode().strip()


def case(*rules):
    """Begins a case, with these rules; returns what was left in the TPM by the one before, and its
    commands."""
    left, _, seen = observer("case", *rules).partition("|")
    return left.split(), seen.split()


# ---------------------------------------------------------------- the module

def text(path):
    with open(path, encoding="utf-8", errors="backslashreplace") as file:
        return file.read()


def load_module(name="derived-keys", *parameters, own_sessions=True):
    """Where the kernel has sessions of its own, that build of the module which does not use them, unless
    it is to."""
    if name == "derived-keys" and own_sessions and os.path.exists(f"{DERIVED}/own/{name}.ko"):
        name = "own/" + name
    subprocess.run(["insmod", f"{DERIVED}/{name}.ko", *parameters], check=True)


def unload_module(name="derived_keys"):
    subprocess.run(["rmmod", name], check=True, timeout=60)


def forget():
    with open(PARAMETERS + "forget", "w", encoding="ascii") as file:
        file.write("1")


def status(what):
    lines = text(PARAMETERS + "status").splitlines()
    return dict(line.partition(": ")[::2] for line in lines).get(what)


def klog():
    out = subprocess.run(["dmesg", "--notime"], check=True, stdout=subprocess.PIPE,
                         encoding="utf-8")
    return out.stdout.splitlines()


def golden():
    """What the key must be: as the recovery tool computes it, from the golden TPM's root."""
    loader = importlib.machinery.SourceFileLoader("recover",
                                                  DERIVED + "/tools/derived-keys-recover")
    recover = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("recover", loader))
    loader.exec_module(recover)
    request = recover.Request(REQUEST)
    for line in text(DERIVED + "/tests/vectors/golden.tsv").splitlines():
        fields = line.split("\t")
        if fields[:2] == ["root", "golden"]:
            path = os.readlink("/proc/self/exe").encode()
            key = recover.Key(request.length, 0, path, mixin=request.mixin)
            return key.derive(bytes.fromhex(fields[3])), fields[2]
    raise RuntimeError("no golden root")


KEY, ROOT_CHECK = golden()


def ask(keyring=SESSION_KEYRING):
    """The errno's name; "ok"; or what there must never be, "ANOTHER KEY"."""
    serial = keyutils.add_key(b"derived", b"tpm-tis", REQUEST, ctypes.c_size_t(len(REQUEST)),
                              keyring)
    if serial < 0:
        number = ctypes.get_errno()
        return "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode[number]
    key = ctypes.create_string_buffer(len(KEY) + 1)
    length = keyutils.keyctl_read(serial, key, len(key))
    return "ok" if length == len(KEY) and key.raw[:length] == KEY else "ANOTHER KEY"


def session():
    """What is said of a key by such a session."""
    return {"own": "ok", "password": "in clear",
            "the kernel's": "kernel's"}.get(status("session").split(",")[0])


def outcome():
    """
    Ask with what was known of the TPM forgotten: as ask(), but "in clear" if the session was by
    password, and "kernel's" if it was the kernel's.
    """
    forget()
    got = ask()
    if got == "ok":
        got = session() if status("root check") == ROOT_CHECK else "another root check value"
    return got


def quiet():
    """Nobody else asks the TPM for anything."""
    for path in glob.glob("/sys/class/misc/hw_random/rng_current"):
        with open(path, "w", encoding="ascii") as file:
            file.write("none")

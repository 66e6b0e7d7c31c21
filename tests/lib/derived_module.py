# SPDX-License-Identifier: GPL-2.0
"""
derived_module.py: the module under test, in a virtual machine: load it, ask it for keys, read its status and log.
"""

import ctypes
import errno
import glob
import os
import subprocess

from golden import RECOVER, golden_root, load_program

DERIVED = os.environ["DERIVED"]
PARAMETERS = "/sys/module/derived_keys/parameters/"
PROCESS_KEYRING, SESSION_KEYRING = -2, -3
ROOT_CHECK = golden_root()[1].hex()

FINIT_MODULE, DELETE_MODULE = 313, 176		# system calls of x86-64

libc = ctypes.CDLL(None, use_errno=True)
keyutils = ctypes.CDLL("libkeyutils.so.1", use_errno=True)
keyutils.keyctl_read.argtypes = (ctypes.c_int32, ctypes.c_char_p, ctypes.c_size_t)


def text(path):
    with open(path, encoding="utf-8", errors="backslashreplace") as file:
        return file.read()


def system_call(number, *arguments):
    if libc.syscall(number, *arguments):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def insert_module(path, *parameters):
    """As insmod(8), without a process, which would take longer than the module."""
    with open(path, "rb") as file:
        system_call(FINIT_MODULE, ctypes.c_long(file.fileno()), " ".join(parameters).encode(), ctypes.c_long(0))


def unload_module(name="derived_keys"):
    system_call(DELETE_MODULE, name.encode(), ctypes.c_long(os.O_NONBLOCK))


def forget():
    with open(PARAMETERS + "forget", "w", encoding="ascii") as file:
        file.write("1")


def status(field):
    """A field of the module's status; None if it is not there."""
    lines = text(PARAMETERS + "status").splitlines()
    return dict(line.partition(": ")[::2] for line in lines).get(field)


def klog():
    """The lines of the kernel's log."""
    out = subprocess.run(["dmesg", "--notime"], check=True, stdout=subprocess.PIPE, encoding="utf-8")
    return out.stdout.splitlines()


def add_key(desc, request, kind=b"derived", keyring=SESSION_KEYRING):
    """Returns the key's serial number, negative if there is none, and the errno's name or "ok"."""
    serial = keyutils.add_key(kind, desc, request, ctypes.c_size_t(len(request)), keyring)
    number = ctypes.get_errno()
    if serial >= 0:
        return serial, "ok"
    return serial, "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode[number]


def expected_key(request, secret, **options):
    """The key that this program gets, as the recovery tool computes it from that root secret."""
    recover = load_program(RECOVER)
    parsed = recover.Request(request)
    path = os.readlink("/proc/self/exe").encode()
    return recover.Key(parsed.length, 0, path, mixin=parsed.mixin, **options).derive(secret)


def ask_for(desc, request, expected, keyring=SESSION_KEYRING):
    """Ask for a key: the errno's name, "ok", or "ANOTHER KEY", which must never come."""
    serial, got = add_key(desc, request, keyring=keyring)
    if got != "ok":
        return got
    key = ctypes.create_string_buffer(len(expected) + 1)
    length = keyutils.keyctl_read(serial, key, len(key))
    return "ok" if length == len(expected) and key.raw[:length] == expected else "ANOTHER KEY"


def session():
    """
    The kind of session by which the last root secret came: "ok" for the module's own session, "in clear" for a password
    session, "kernel's" for a session of the kernel's.
    """
    return {"own": "ok", "password": "in clear",
            "the kernel's": "kernel's"}.get(status("session").split(",")[0])


def outcome(ask):
    """
    Make the module forget the root secret, then ask. The result is the errno's name; "other root" if the root
    check value is not the golden one; else the kind of session, as session() has it.
    """
    forget()
    got = ask()
    if got == "ok":
        got = session() if status("root check") == ROOT_CHECK else "other root"
    return got


def stop_random_generator():
    """The kernel's random number generator no longer asks the TPM, so that all TPM commands are the test's."""
    for path in glob.glob("/sys/class/misc/hw_random/rng_current"):
        with open(path, "w", encoding="ascii") as file:
            file.write("none")

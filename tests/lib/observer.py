# SPDX-License-Identifier: GPL-2.0
"""
observer.py: what the observers of bus.sh and ram.sh share: the golden TPM's secret, the conversation
with the TPM, and the answers to the machine ("# vm: observer" in tests/vm/vm).
"""

import hashlib
import hmac
import os
import re
import struct
import sys
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CREATE_PRIMARY, HMAC, START_AUTH_SESSION = 0x131, 0x155, 0x176
RH_OWNER, RH_NULL = 0x40000001, 0x40000007


def golden_root():
    """K_root of tests/vectors/tpm-golden, and its check value: what tpm2-tools computed."""
    with open(os.path.join(TESTS, "vectors", "golden.tsv"), encoding="utf-8") as file:
        for line in file:
            fields = line.split()
            if fields[:2] == ["root", "golden"]:
                return bytes.fromhex(fields[3]), bytes.fromhex(fields[2])
    raise RuntimeError("no golden K_root")


def digest(key, data):
    return hmac.digest(key, data, hashlib.sha256)


def windows(data, size=8):
    """Every piece of that size."""
    return [data[at:at + size] for at in range(len(data) - size + 1)]


def messages():
    """All that crossed the bus so far: commands and responses, in order."""
    with open(os.environ["VM_TPM_LOG"], encoding="ascii") as file:
        text = file.read()
    for what, length, lines in re.findall(r"^ *(SWTPM_IO_Read|SWTPM_IO_Write): length (\d+)\n"
                                          r"((?: *(?:[0-9A-F]{2} )+\n)*)", text, re.M):
        data = bytes.fromhex(lines)
        if len(data) != int(length):
            raise RuntimeError(f"the log has {len(data)} bytes of a message of {length}")
        yield what == "SWTPM_IO_Read", data


def conversation():
    """The commands so far, each with its response: (code, command, response)."""
    command = None
    for is_command, data in messages():
        if is_command:
            command = data
        elif command:
            yield struct.unpack_from(">I", command, 6)[0], command, data
            command = None


def sized(data, at):
    """A TPM2B at that offset: its bytes, and where the next field is."""
    (length,) = struct.unpack_from(">H", data, at)
    return data[at + 2:at + 2 + length], at + 2 + length


def hmac_answers():
    """The digests that TPM2_HMAC has answered, as they crossed the bus."""
    return [sized(response, 14)[0] for code, _, response in conversation()
            if code == HMAC and response[6:10] == bytes(4)]


def serve(commands):
    """Answer each line of stdin: commands has a function of the other words for each first word."""
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    for line in sys.stdin:
        word, *rest = line.split()
        print(f"> {line.strip()}", file=sys.stderr)
        began = time.monotonic()
        answer = commands[word](*rest)
        print(f"< {answer} ({time.monotonic() - began:.1f} s)", file=sys.stderr, flush=True)
        print(answer, flush=True)

# SPDX-License-Identifier: GPL-2.0
"""
observer.py: common code of the observers ("# vm: observer" in tests/vm/header.py): the messages on the TPM's bus, QEMU's
monitor, and the answers to the machine.
"""

import contextlib
import hashlib
import hmac
import json
import os
import re
import socket
import sys
import time

from tpm_messages import HMAC, code_of, sized


def digest(key, data):
    return hmac.digest(key, data, hashlib.sha256)


def windows(data, size=8):
    """Every piece of this size."""
    return [data[at:at + size] for at in range(len(data) - size + 1)]


def messages():
    """All messages on the bus so far, in order: (is it a command, its bytes)."""
    with open(os.environ["VM_TPM_LOG"], encoding="ascii") as file:
        text = file.read()
    for what, length, lines in re.findall(r"^ *(SWTPM_IO_Read|SWTPM_IO_Write): length (\d+)\n"
                                          r"((?: *(?:[0-9A-F]{2} )+\n)*)", text, re.M):
        data = bytes.fromhex(lines)
        if len(data) != int(length):
            raise RuntimeError(f"the log has {len(data)} bytes of a message of {length}")
        yield what == "SWTPM_IO_Read", data


def exchanges():
    """The commands so far, each with its response: (code, command, response)."""
    command = None
    for is_command, data in messages():
        if is_command:
            command = data
        elif command:
            yield code_of(command), command, data
            command = None


def hmac_answers():
    """The digests in the TPM's answers to TPM2_HMAC, as they crossed the bus."""
    return [sized(response, 14)[0] for code, _, response in exchanges()
            if code == HMAC and not code_of(response)]


@contextlib.contextmanager
def qemu_monitor():
    """QEMU's monitor (QMP): yields a function that executes a command and returns its result."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ["VM_QMP"])
        file = connection.makefile("rw", encoding="utf-8")

        def reply():
            while True:
                line = json.loads(file.readline())
                if "event" not in line:
                    return line

        def execute(command, **arguments):
            print(json.dumps({"execute": command, "arguments": arguments}), file=file, flush=True)
            answer = reply()
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer}")
            return answer["return"]

        reply()
        execute("qmp_capabilities")
        yield execute


def serve(commands):
    """Answer each line of stdin. commands: the first word of a line -> a function of the other words."""
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    for line in sys.stdin:
        word, *rest = line.split()
        print(f"> {line.strip()}", file=sys.stderr)
        began = time.monotonic()
        answer = commands[word](*rest)
        print(f"< {answer} ({time.monotonic() - began:.1f} s)", file=sys.stderr, flush=True)
        print(answer, flush=True)

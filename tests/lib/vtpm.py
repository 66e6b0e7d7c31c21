# SPDX-License-Identifier: GPL-2.0
"""
vtpm.py: in the virtual machine, a TPM made by /dev/vtpmx, which relays commands to a private swtpm. Rules change
its answers.
"""

import collections
import fcntl
import os
import struct
import threading
import time

from derived_module import stop_random_generator, text
from swtpm_private import connect
from tpm_messages import (
    CREATE_PRIMARY, NAMES, RH_NULL, RS_PW, START_AUTH_SESSION, STARTUP_CLEAR, ST_SESSIONS, Refused, all_handles,
    code_of as command_code, error, flush, receive)

CREATE_NULL = -CREATE_PRIMARY	# CreatePrimary in the null hierarchy
NAMES = {**NAMES, CREATE_NULL: "CreatePrimary (null)"}
SET_LOCALITY = 0x20001000	# a command for the proxy, not for the TPM
FLAG_TPM2 = 1			# VTPM_PROXY_FLAG_TPM2


class Gone(Exception):
    """Raised by a rule that makes the TPM vanish."""


def comes_true(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def wait_for(condition, seconds=10):
    if not comes_true(condition, seconds):
        raise RuntimeError("waited in vain")


def code_of(command):
    """The command's code, as the rules use it."""
    code, handle = struct.unpack_from(">II", command.ljust(14, b"\0"), 6)
    return CREATE_NULL if (code, handle) == (CREATE_PRIMARY, RH_NULL) else code


def answered_by(rule, forward):
    return lambda command: rule(command, forward)


class Vtpm(threading.Thread):
    """
    The TPM that the kernel sees. rules: name of a command -> rule(command, forward) -> response, or None if
    the TPM does not answer; name: name(command), by default its code; kind: if there is one, its rules come
    after these.
    """

    fresh = {}			# values that may be used only once: a nonce or a key -> the command
    reused = []			# such values that were used again, in another command

    def __init__(self, swtpm, rules=(), name=code_of, flags=FLAG_TPM2):
        super().__init__(daemon=True)
        self.swtpm = swtpm
        self.socket = connect(swtpm.socket)
        self.lock = threading.Lock()
        self.rules = dict(rules)
        self.name_of = name
        self.kind = None
        self.delays = {}		# name of a command -> seconds
        self.seen = []			# the commands, by name
        self.by_password = []		# the commands that an empty password authorized
        self.answers = {}		# name of a command -> the last response
        self.traffic = collections.deque(maxlen=16)	# the last commands and responses
        self.failure = None
        self.is_leaving = False
        # struct vtpm_proxy_new_dev: flags, tpm_num, fd, major, minor
        new = bytearray(struct.pack("=5I", flags, 0, 0, 0, 0))
        with open("/dev/vtpmx", "r+b", buffering=0) as vtpmx:
            fcntl.ioctl(vtpmx, 0xc014a100, new)		# VTPM_PROXY_IOC_NEW_DEV
        _, self.number, self.fd, _, _ = struct.unpack("=5I", new)
        self.device = f"/dev/tpm{self.number}"
        # A TPM 1.2 has no resource manager.
        self.last_device = f"/dev/tpmrm{self.number}" if flags & FLAG_TPM2 else self.device
        self.start()
        # The driver gives up if the answer does not come in time. On a busy machine, it may be late.
        self.accepted = comes_true(lambda: os.path.exists(self.last_device), 10)
        if not self.accepted:
            return
        # Keep the kernel's random number generator from asking this TPM.
        wait_for(lambda: f"tpm-rng-{self.number}" in text("/sys/class/misc/hw_random/rng_available"))
        stop_random_generator()

    def run(self):
        try:
            while True:
                command = os.read(self.fd, 4096)
                if self.is_leaving:
                    raise Gone
                if command_code(command) == SET_LOCALITY:
                    os.write(self.fd, error(0))
                    continue
                name = self.name_of(command)
                self.note(name, command)
                forward, delay = self.forward, self.delays.get(name)
                for rules in (self.rules, self.kind.rules if self.kind else {}):
                    if name in rules:
                        forward = answered_by(rules[name], forward)
                response = forward(command)
                self.traffic.append(command)
                if response is None:
                    continue
                self.answers[name] = response
                self.traffic.append(response)
                try:
                    time.sleep(delay or 0)
                    os.write(self.fd, response)
                except OSError:
                    if not delay:
                        raise		# with a delay, the driver has only stopped waiting
        except Gone:
            pass
        except Exception as e:		# raised again when the test checks the outcome
            self.failure = e
        self.socket.close()
        os.close(self.fd)

    def note(self, name, command):
        self.seen.append(name)
        tag, session = struct.unpack_from(">H16xI", command.ljust(22, b"\0"))
        once = []
        if command_code(command) == START_AUTH_SESSION:
            once = [command[20:52], command[54:122]]	# nonceCaller, the ephemeral key
        elif tag == ST_SESSIONS and session == RS_PW:
            self.by_password.append(name)
        elif tag == ST_SESSIONS:
            once = [command[24:56]]			# nonceCaller
        # If the TPM asks for that, the driver sends the same command again.
        self.reused += [new for new in once if self.fresh.setdefault(new, command) != command]

    def forward(self, command):
        with self.lock:
            self.socket.sendall(command)
            return receive(self.socket)

    def ask(self, command):
        """The TPM's response. The kernel does not see this command."""
        response = self.forward(command)
        if command_code(response):
            raise Refused(command_code(response))
        return response

    def left(self):
        """The objects and sessions in the swtpm. The kernel does not see this query."""
        return all_handles(self.forward)

    def flush(self, handles):
        flush(self.forward, handles)

    def reset(self):
        """Switch the TPM off and on, and start it. The kernel does not notice."""
        with self.lock:
            self.swtpm.power_cycle()
        self.ask(STARTUP_CLEAR)

    def remove(self):
        """Remove the TPM from the kernel."""
        self.is_leaving = True
        try:
            with open(self.device, "wb", buffering=0) as file:
                file.write(STARTUP_CLEAR)	# any command, which wakes up the thread
        except OSError:
            pass
        self.join(10)
        wait_for(lambda: not os.path.exists(self.device))


def make_vtpm(swtpm, *args, **kwargs):
    """A vTPM that the kernel's driver has accepted."""
    for _ in range(5):
        tpm = Vtpm(swtpm, *args, **kwargs)
        if tpm.accepted:
            return tpm
    raise RuntimeError("the driver accepts no TPM")


def changed(how):
    """A rule: the TPM executes the command, and its answer is how(response)."""
    return lambda command, forward: how(forward(command))


def refusal(rc):
    """A rule: the TPM does nothing and returns rc."""
    return lambda command, forward: error(rc)


def answer(response):
    """A rule: the TPM executes the command, and its answer is this response."""
    return changed(lambda r: response)


def flip(at, mask, also=lambda r: r):
    return changed(lambda r: also(r[:at] + bytes([r[at] ^ mask]) + r[at + 1:]))


def gone(command, forward):
    raise Gone


def silence(command, forward):
    """A rule: the TPM does nothing and does not answer."""
    return None


def unheard(command, forward):
    """A rule: the TPM executes the command, and its answer is lost."""
    forward(command)


def nth(number, rule):
    """A rule for the nth command of this name only."""
    count = [0]

    def which(command, forward):
        count[0] += 1
        return rule(command, forward) if count[0] == number else forward(command)
    return which


def without_command(code):
    """A rule for GetCapability: the TPM does not list this command among its commands."""
    def unlist(r):
        # TPM_CAP_COMMANDS: TPMA_CCs, from offset 19 on. The driver checks their number.
        if r[11:15] != b"\0\0\0\2":
            return r
        listed = list(struct.unpack_from(f">{(len(r) - 19) // 4}I", r, 19))
        at = next(i for i, cca in enumerate(listed) if cca & 0xffff == code)
        listed[at] = listed[at - 1]
        return r[:19] + struct.pack(f">{len(listed)}I", *listed)
    return changed(unlist)

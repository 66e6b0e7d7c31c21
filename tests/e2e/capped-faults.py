#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
capped-faults.py: for capped-faults.sh: a misbehaving TPM while the module under test fetches the capped root.

A TPM made by /dev/vtpmx relays commands to a private swtpm with the golden state. For each case the TPM is
switched off and on, so its PCRs are fresh, and the test build of the module is loaded with cap=13, while rules
change the TPM's answers. Then these things are checked, in every case (case()):

- the state of the capped root in "status", the errno of a capped request, and the line in the log;
- the capped secret is in the module's memory if the state is "held", and else it is not;
- PCR 13, as the swtpm has it: closed by exactly one cap event, in all banks;
- no object and no session is left in the TPM; one may stay there only if the answer hid its handle, or if the
  TPM refused to remove it;
- the capped secret did not cross the bus;
- the plain root is not affected: it is the golden one, and a plain request gets its key.

In most cases the module tries the fetch once (fetch_tried=0) and not for ten seconds. With EVERY_BYTE=1 in the
environment, every byte, every length and every return code is tried (capped-faults-long.sh).
"""

import glob
import hashlib
import os
import struct
import sys
import time

DERIVED = os.environ["DERIVED"]
sys.dont_write_bytecode = True
sys.path[:0] = [DERIVED + "/tests/vectors", DERIVED + "/tests/lib"]
import derived_module  # noqa: E402
from derived_module import ROOT_CHECK, forget, insert_module, status, text, unload_module  # noqa: E402
from golden import RECOVER, golden_capped_root, load_program  # noqa: E402
from swtpm_private import Swtpm  # noqa: E402
from tap import done, note, point, same  # noqa: E402
from tpm_messages import (  # noqa: E402
    CODES, CREATE_PRIMARY, FLUSH_CONTEXT, GET_CAPABILITY, HMAC, HMAC_START, NAMES, RH_NULL, RH_OWNER, RS_PW,
    PCR_EXTEND, PCR_READ, POLICY_PCR, SEQUENCE_COMPLETE, START_AUTH_SESSION, ST_NO_SESSIONS, ST_SESSIONS, code_of,
    RH_PLATFORM, by_password, error, pcr_allocate, pcr_extend, pcr_read, pcr_selection, resized, tpm2b)
from vtpm import (  # noqa: E402
    Gone, Vtpm, changed, comes_true, flip, make_vtpm, nth, refusal, silence, unheard, without_command)

recover = load_program(RECOVER)

EVERY_BYTE = "EVERY_BYTE" in os.environ
CAP = 13

K_CAPPED, CAPPED_CHECK = golden_capped_root()[0], golden_capped_root()[1].hex()
EVENT = b"derived-keys v1 cap"

OBJECT, SESSION = 0x80, 0x03	# the first byte of a handle
READ_CLOCK = CODES["ReadClock"]
SHA1, SHA256, SHA384, SHA512 = 0x4, 0xb, 0xc, 0xd
HASHES = {SHA1: hashlib.sha1, SHA256: hashlib.sha256, SHA384: hashlib.sha384, SHA512: hashlib.sha512}

# What a capped request gets in each state.
ERRNOS = {"off": "EOPNOTSUPP", "wait": "ENXIO", "held": "ok", "late": "EACCES", "missed": "EACCES",
          "open": "EIO", "gone": "EACCES", "unfit": "EOPNOTSUPP"}
PATIENCE = 600			# ms, of a driver that is made impatient


# ---------------------------------------------------------------- the commands of a fetch

PROPERTIES, LOOK = "GetCapability (PCR properties)", "PCR_Read (first)"
NULL, START, FLUSH_NULL = "CreatePrimary (null)", "StartAuthSession", "FlushContext (null key)"
CREATE, POLICY, COMPUTE = "CreatePrimary", "PolicyPCR", "HMAC"
EXTEND, READ_BACK = "PCR_Extend", "PCR_Read (after)"
RESTART, TEST_PCR = "PolicyRestart", "PolicyPCR (test)"	# PolicyRestart: only if something is tried again
TEST_POLICY, TEST_PASSWORD = "HMAC (test by policy)", "HMAC (test by password)"
FLUSH_KEY, FLUSH_SESSION = "FlushContext (key)", "FlushContext (session)"
CLOCK, VENDOR = "ReadClock", "GetCapability (vendor)"
SEQ_START, SEQ_COMPLETE = "HMAC_Start", "SequenceComplete"
FLUSH_SEQUENCE = "FlushContext (sequence)"

TO_SECRET = [PROPERTIES, LOOK, NULL, START, FLUSH_NULL, CREATE, POLICY, COMPUTE]
SOME = [LOOK, CREATE, COMPUTE, EXTEND, READ_BACK, TEST_POLICY, TEST_PASSWORD]
TESTS = [TEST_PCR, TEST_POLICY, TEST_PASSWORD]
FETCH = TO_SECRET + [EXTEND, READ_BACK] + TESTS + [FLUSH_KEY, FLUSH_SESSION, CLOCK, VENDOR]
PLAIN = ["plain: " + name for name in (NULL, START, FLUSH_NULL, CREATE, COMPUTE, FLUSH_KEY, VENDOR, READ_BACK,
                                       CLOCK)]


def by_sequence(commands):
    at = commands.index(COMPUTE)
    return commands[:at] + [SEQ_START, SEQ_COMPLETE] + commands[at + 1:]


class Names:
    """Names the commands by their place in the fetch of the capped root. Those of the plain root's are "plain"."""

    def __init__(self):
        self.is_capped = self.is_over = self.is_extended = False
        self.newest = FLUSH_KEY
        self.last = None		# the last command, and its name

    def __call__(self, command):
        # If the TPM asks for that, the driver sends the same command again.
        if self.last and self.last[0] == command:
            return self.last[1]
        self.last = command, self.named(command)
        return self.last[1]

    def named(self, command):
        was_capped = self.is_capped
        name = self.name(command)
        of_capped = was_capped or self.is_capped or (self.is_over and name == VENDOR)
        self.is_over = was_capped and name == CLOCK
        return name if of_capped else "plain: " + name

    def name(self, command):
        code, body = code_of(command), command[10:]
        name = NAMES.get(code, hex(code))
        if code == GET_CAPABILITY:
            kind, first = struct.unpack_from(">II", body)
            if kind == 7:		# TPM_CAP_PCR_PROPERTIES
                self.is_capped, self.is_extended = True, False
                return PROPERTIES
            if kind == 6 and first == 0x105:	# TPM_PT_MANUFACTURER
                return VENDOR
        elif code == PCR_READ:
            return READ_BACK if selected(body[4:]) == [CAP] else LOOK
        elif code == CREATE_PRIMARY:
            null = body[:4] == struct.pack(">I", RH_NULL)
            self.newest = FLUSH_NULL if null else FLUSH_KEY
            return NULL if null else CREATE
        elif code == FLUSH_CONTEXT:
            if body[0] != 0x80:
                return FLUSH_SESSION
            # A sequence is the second object in the TPM.
            return self.newest if body[:4] == bytes.fromhex("80000000") else FLUSH_SEQUENCE
        elif code == POLICY_PCR and self.is_extended:
            return TEST_PCR
        elif code == PCR_EXTEND:
            self.is_extended = True
        elif code == READ_CLOCK and self.is_capped:
            self.is_capped = False
            return CLOCK
        elif code in (HMAC, HMAC_START, SEQUENCE_COMPLETE):
            (session,) = struct.unpack_from(">I", body, 8)
            if self.is_capped and self.is_extended:
                return f"{name} (test by {'password' if session == RS_PW else 'policy'})"
        return name


def selected(selection):
    """The PCRs of a TPMS_PCR_SELECTION: algorithm, size, bitmap."""
    bits = int.from_bytes(selection[3:3 + selection[2]], "little")
    return [n for n in range(24) if bits >> n & 1]


# ---------------------------------------------------------------- the TPM, asked by the test

def read_pcr(tpm, number, alg=SHA256):
    """The PCR's value; None if that bank does not have it."""
    return pcr_read(tpm.ask, number, alg)


def extend_pcr(tpm, number, event):
    """Extend a PCR by an event, in the SHA-256 bank."""
    tpm.ask(pcr_extend(number, hashlib.sha256(event).digest()))


def banks(tpm):
    """The TPM's banks: those that have PCR 0."""
    return [alg for alg in HASHES if read_pcr(tpm, 0, alg) is not None]


def allocate(tpm, wanted):
    """Change the banks. The kernel notices only when it finds the TPM anew."""
    tpm.ask(pcr_allocate({alg: range(24) if alg in wanted else () for alg in HASHES}))
    tpm.ask(struct.pack(">HIIH", ST_NO_SESSIONS, 12, 0x145, 0))	# Shutdown(CLEAR)
    tpm.reset()


def closed_value(alg=SHA256):
    """The value of a PCR that was zero, after one cap event."""
    new = HASHES[alg]
    return new(bytes(new().digest_size) + new(EVENT).digest()).digest()


def policy_of(values):
    """The policy: values of PCRs by number. Nothing here comes from the module."""
    digest = hashlib.sha256(b"".join(values[n] for n in sorted(values))).digest()
    return hashlib.sha256(bytes(32) + struct.pack(">I", POLICY_PCR) + pcr_selection(values) + digest).hexdigest()


def compute(tpm, pcrs):
    """
    The capped root secret for these PCRs, as any program could have it from the TPM before the cap event. Nothing
    here comes from the module.
    """
    policy = bytes.fromhex(policy_of({n: read_pcr(tpm, n) for n in pcrs}))
    public = bytes.fromhex("0008 000b 000404b2") + tpm2b(policy) + bytes.fromhex("0005 000b") + \
        tpm2b(hashlib.sha256(b"derived-keys v1 capped").digest())
    key = tpm.ask(by_password(CREATE_PRIMARY, RH_OWNER, tpm2b(bytes(4)) + tpm2b(public) + bytes(6)))[10:14]
    # No key for the salt, nothing to bind to, a nonce, no salt, a policy session, no cipher, SHA-256.
    session = tpm.ask(resized(struct.pack(">HIIIIH16xHBHH", ST_NO_SESSIONS, 0, START_AUTH_SESSION, RH_NULL,
                                          RH_NULL, 16, 0, 1, 0x10, SHA256)))[10:14]
    tpm.ask(resized(struct.pack(">HII", ST_NO_SESSIONS, 0, POLICY_PCR) + session + bytes(2) + pcr_selection(pcrs)))
    data = struct.pack(">I", 1) + b"derived-keys v1 capped root\0" + policy + struct.pack(">I", 256)
    # The session is not continued. It has no key, so the HMAC is empty.
    response = tpm.ask(resized(struct.pack(">HII", ST_SESSIONS, 0, HMAC) + key + struct.pack(">I", 9) + session +
                               bytes(5) + tpm2b(data) + struct.pack(">H", SHA256)))
    tpm.flush([int.from_bytes(key, "big")])
    return response[16:48]


# ---------------------------------------------------------------- the module's memory

class Memory:
    """The kernel's memory, by /proc/kcore."""

    def __init__(self):
        self.fd = os.open("/proc/kcore", os.O_RDONLY)
        head = os.pread(self.fd, 64, 0)
        (at,) = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        self.parts = []			# address, end, offset in the file
        for n in range(count):
            kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", os.pread(self.fd, size, at + n * size))
            if kind == 1:		# PT_LOAD
                self.parts.append((address, address + length, offset))

    def read(self, address, length):
        for begin, end, offset in self.parts:
            if begin <= address < end:
                return os.pread(self.fd, length, offset + address - begin)
        raise RuntimeError(f"no memory at {address:#x}")

    def of_module(self):
        """The variables of the module."""
        found = b""
        for path in glob.glob("/sys/module/derived_keys/sections/.[bd]*[sa]"):	# .bss, .data
            address = int(text(path), 16)
            found += self.read(address, 8192 - address % 4096)
        return found


def root_of(number, power):
    """The whole root of a number."""
    low, high = 0, 1 << 64
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle ** power <= number else (low, middle)
    return low


PRIMES = [n for n in range(2, 312) if all(n % d for d in range(2, n))]
MASK = 0xffffffff


def sha256_state(block):
    """The state of SHA-256 after one block (FIPS 180-4), as the kernel keeps it."""
    def turn(x, n):
        return (x >> n | x << 32 - n) & MASK
    start = [root_of(p << 64, 2) & MASK for p in PRIMES[:8]]
    constants = [root_of(p << 96, 3) & MASK for p in PRIMES]
    w = list(struct.unpack(">16I", block))
    for t in range(16, 64):
        x, y = w[t - 15], w[t - 2]
        w.append(((turn(y, 17) ^ turn(y, 19) ^ y >> 10) + w[t - 7] +
                  (turn(x, 7) ^ turn(x, 18) ^ x >> 3) + w[t - 16]) & MASK)
    a, b, c, d, e, f, g, h = start
    for t in range(64):
        one = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + (e & f ^ ~e & g) + constants[t] + w[t]
        two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = (one + two) & MASK, a, b, c, (d + one) & MASK, e, f, g
    return struct.pack("=8I", *((x + y) & MASK for x, y in zip(start, (a, b, c, d, e, f, g, h))))


# K_capped itself, and as the prepared HMAC key that the module keeps.
SECRETS = [K_CAPPED] + [sha256_state(bytes(b ^ pad for b in K_CAPPED.ljust(64, b"\0"))) for pad in (0x36, 0x5c)]

memory = Memory()


def is_held():
    """Whether the capped secret is in the module's variables."""
    found = memory.of_module()
    return any(secret in found for secret in SECRETS)


# ---------------------------------------------------------------- the module

class Log:
    """The kernel's log, from here on."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def read(self):
        """The module's new lines."""
        lines = []
        while True:
            try:
                record = os.read(self.fd, 8192)
            except BlockingIOError:
                return lines
            except BrokenPipeError:
                continue		# some were overwritten
            line = record.partition(b";")[2].partition(b"\n")[0].decode()
            if line.startswith("derived: "):
                lines.append(line.partition(": ")[2])


log = Log()


def load(*parameters):
    insert_module(sys.argv[1], *parameters)


def add_key(desc=b"capped-faults", request=b"32 path v1"):
    return derived_module.add_key(desc, request)[1]


def capped_key():
    return add_key(b"capped", b"32 path,capped v1")


def state():
    return status("capped")


# What the log says when the fetch is over.
def said(now, check, pcrs):
    return {"held": f"capped root check value {check}, PCRs {','.join(map(str, sorted(pcrs)))}, ",
            "open": "no capped root, and PCR 13 is not closed, so another program can fetch it: ",
            "wait": "no capped root yet: "}.get(now, f"no capped root in this boot ({now}): ")


class Case:
    """
    A fetch. rules: the TPM's; want: the state, or some of which one is possible. stays: what stays in the TPM,
    by the first byte of the handles, or None if it may or may not; pcr: the value of PCR 13, by default as the
    cap event leaves it, and in the state "open" zero; reason: what the log has as reason; plain: what a plain
    request gets; before(tpm) changes the fresh TPM; parameters: those of the module; tries: for how many seconds
    the fetch is tried; also(tpm): more checks, which return problems; check: the capped root check value; pcrs:
    all PCRs of the policy; closes: the only banks that the cap event closes; delays: of answers, in seconds.
    """

    def __init__(self, what, rules, want, stays=(), pcr=None, reason="", plain="ok", before=None, parameters=(),
                 tries=0, also=None, check=CAPPED_CHECK, pcrs=(CAP,), closes=None, delays=()):
        self.what, self.rules, self.want = what, rules, want if isinstance(want, set) else {want}
        self.stays, self.pcr, self.reason, self.plain = stays, pcr, reason, plain
        self.before, self.parameters, self.tries, self.also = before, parameters, tries, also
        self.check, self.pcrs, self.closes, self.delays = check, pcrs, closes, dict(delays)

    def run(self, tpm):
        """Returns problems."""
        tpm.rules = {}
        tpm.reset()
        if self.before:
            self.before(tpm)
        begin(tpm)
        tpm.rules, tpm.delays = dict(self.rules), self.delays
        self.load()
        problems = self.look(tpm)
        tpm.rules, tpm.delays = {}, {}
        unload_module()
        if tpm.failure:
            raise tpm.failure
        return problems

    def load(self):
        load(f"cap={CAP}", f"fetch_tried={self.tries}", f"expect_capped_root={self.check}", *self.parameters)

    def look(self, tpm):
        problems = []
        now = state()
        if now not in self.want:
            problems.append(f"the state is {now}, want {' or '.join(sorted(self.want))}")
        lines = [line for line in log.read() if ": refused: " not in line]
        about = [line for line in lines if line.startswith(said(now, self.check, self.pcrs))]
        if len(about) != 1 or self.reason not in "".join(lines):
            problems.append(f"the log has, for {now}: {lines}, want {self.reason!r}")
        got = capped_key()
        if got != ERRNOS[now]:
            problems.append(f"a capped request gets {got}")
        if (status("capped root check") or "none") != (self.check if now == "held" else "none"):
            problems.append(f"the capped root check value is {status('capped root check')}")
        if self.check == CAPPED_CHECK and is_held() != (now == "held"):
            problems.append(f"the secret is {'' if now != 'held' else 'not '}in the module's memory")
        problems += self.look_at_pcr(tpm, now)
        left = tpm.left()
        kinds = {handle >> 24 for handle in left}
        if self.stays is not None and kinds != set(self.stays):
            problems.append(f"left in the TPM: {[hex(h) for h in left]}")
        problems += self.look_at_traffic(tpm)
        tpm.flush(left)
        got = add_key()
        if got != self.plain or (got == "ok" and status("root check") != ROOT_CHECK):
            problems.append(f"a plain request gets {got}, root check {status('root check')}")
        if self.also:
            problems += self.also(tpm)
        return [f"{self.what}: {problem}" for problem in problems]

    @staticmethod
    def look_at_traffic(tpm):
        """The secret does not cross the bus, and once PCR 13 is extended, the TPM is not asked for it."""
        problems = []
        extended = False
        for message in tpm.traffic:
            if K_CAPPED in message:
                problems.append("the secret crossed the bus")
            extended = extended or message[6:10] == struct.pack(">I", PCR_EXTEND)
            if extended and b"derived-keys v1 capped root" in message:
                problems.append("the TPM is asked for the secret when PCR 13 may be closed")
        return problems

    def look_at_pcr(self, tpm, now):
        problems = []
        for alg in banks(tpm):
            value = read_pcr(tpm, CAP, alg)
            pcr = self.pcr or ("zero" if now == "open" else "closed")
            if self.closes is not None and alg not in self.closes:
                pcr = "zero"
            wants = {"closed": closed_value(alg), "zero": bytes(len(value)), "any": value}
            if value != wants.get(pcr, pcr):
                problems.append(f"PCR 13 is {value.hex()} in bank {alg:#x}")
        return problems


def begin(tpm):
    """Forget what was seen."""
    tpm.name_of = Names()
    del tpm.seen[:], tpm.by_password[:]
    tpm.traffic.clear()
    log.read()


cases_run = 0


def group(tpm, desc, cases):
    """Run many cases, and print one point."""
    global cases_run
    problems, count, began = [], 0, time.monotonic()
    for case in cases:
        count += 1
        problems += case.run(tpm)
    if not count:
        problems.append("there were no cases")
    point(desc, problems)
    cases_run += count
    note(f"{count} cases, {time.monotonic() - began:.1f} s")


def once(name, rule):
    return {name: nth(1, rule)}


# ---------------------------------------------------------------- the tests

def honest(tpm):
    """The commands of a fetch, in order. Returns the answers."""
    tpm.reset()
    same("a program that comes before the module gets the golden capped root from the TPM", compute(tpm, [CAP]),
         K_CAPPED)

    def sent(tpm):
        return [] if tpm.seen == FETCH + PLAIN else [f"these commands were sent: {tpm.seen}"]
    group(tpm, f"an honest relay gives the golden capped root, by {len(FETCH)} commands",
          [Case("honest", {}, "held", also=sent)])
    note("the commands: " + ", ".join(FETCH))
    same("by an empty password: what is not secret, and a negative test", tpm.by_password,
         [NULL, CREATE, EXTEND, TEST_PASSWORD, "plain: " + NULL])
    return {name: tpm.answers[name] for name in FETCH}


# ---------------------------------------------------------------- refused

FORMAT_ONE = 0x080
FEW = [0x101, 0x12f, 0x902]
ALL = FEW + [
    0x001, 0x09d, 0x128, 0x143, 0x903, 0xfffffff4, 0x084, 0x085, 0x08e, 0x098, 0x0a2, 0x100, 0x105, 0x120,
    0x125, 0x12e, 0x13a, 0x14a, 0x151, 0x185, 0x18b, 0x1c4, 0x1d5, 0x2c4, 0x2d5, 0x2d6, 0x500, 0x901, 0x904,
    0x905, 0x907, 0x908, 0x910, 0x918, 0x920, 0x921, 0x923, 0x98e, 0x99d, 0x9a2, 0xa9d, 0x1084, 0x10143,
    0x7fffffff, 0x80000000, 0xffffffff]
OTHER_REASONS = (0x19d, 0x89d, 0x99c, 0x12e, 0x130, 0x98e, 0x126)
RETRY, TESTING = 0x922, 0x90a		# the driver sends the command again, for 2.5 s
FLUSHES = {FLUSH_NULL: OBJECT, FLUSH_KEY: OBJECT, FLUSH_SESSION: SESSION}
CREATES = {NULL: OBJECT, START: SESSION, CREATE: OBJECT}
HARMLESS = (CLOCK, VENDOR, *FLUSHES)
EXPECTED = {TEST_POLICY: 0x99d, TEST_PASSWORD: 0x12f}


def value(rc):
    """The return code without the number of a parameter, handle or session."""
    return rc & 0xbf if rc <= 0xfff and rc & FORMAT_ONE else rc


def is_warning(rc):
    return 0x900 <= rc < 0x980


def is_final(name, rc):
    """Whether the same fetch cannot succeed a moment later."""
    if name in (NULL, START) and (rc == 0x143 or (rc <= 0xfff and rc & FORMAT_ONE)):
        return True
    return value(rc) in (0x085, 0x08e, 0x09d, 0x0a2, 0x120, 0x125, 0x12f, 0x921)


def refused_always(name, rc):
    """The case of a TPM that refuses this command whenever it gets it."""
    what, rules = f"{name}: TPM_RC {rc:#05x}", {name: refusal(rc)}
    number = f"TPM_RC {rc:#05x}" if rc <= 0x7fffffff else "nonsense"
    if name in FLUSHES:
        # These two mean that the TPM does not have it.
        gone = value(rc) in (0x100, 0x08b)
        return Case(what, rules, "held", [FLUSHES[name]], reason="" if gone else "could not be removed from the TPM")
    if name in HARMLESS or (name, rc) == (COMPUTE, 0x143) or EXPECTED.get(name) == rc:
        return Case(what, rules, "held")
    if name == EXTEND:
        return Case(what, rules, "open", reason="the TPM does not extend PCR 13")
    if name == READ_BACK:
        return Case(what, rules, "open", pcr="closed", reason="PCR 13 could not be read back as closed")
    if name in TESTS and rc <= 0x7fffffff and not is_warning(rc):
        return Case(what, rules, "unfit", reason="the TPM does not enforce the policy")
    if name == COMPUTE and value(rc) in (0x09d, 0x128):
        return Case(what, rules, "missed", reason="the PCRs change all the time")
    return Case(what, rules, "missed", reason=number)


def refused_once(name, rc):
    """The case of a TPM that refuses this command once. The module may fetch again."""
    what, rules = f"{name}: TPM_RC {rc:#05x}, once", once(name, refusal(rc))
    if name in FLUSHES:
        return Case(what, rules, "held", [FLUSHES[name]], tries=10)
    if name in HARMLESS or name == READ_BACK or EXPECTED.get(name) == rc or \
       (name == COMPUTE and value(rc) == 0x09d):
        return Case(what, rules, "held", tries=10)
    if name == EXTEND:
        closes = [SHA256] if rc <= 0x7fffffff else None
        return Case(what, rules, "held", closes=closes, tries=10)
    if name in TESTS:
        again = is_warning(rc) or rc > 0x7fffffff
        return Case(what, rules, "held" if again else "unfit", tries=10)
    return Case(what, rules, "missed" if is_final(name, rc) else "held", tries=10)


def refused(tpm):
    few = {PROPERTIES: [0x001], COMPUTE: [0x001, 0x143], TEST_PCR: [0x99d]}
    for name in FETCH:
        group(tpm, f"{name}, refused always: the right state, and nothing is kept, left or open",
              [refused_always(name, rc) for rc in (ALL if EVERY_BYTE else FEW + few.get(name, []))])
    codes = [*FEW, 0x09d, 0x143, 0x2c4, 0x903, 0x9a2, 0xfffffff4] if EVERY_BYTE else FEW[1:]
    group(tpm, "a command that is refused once: the fetch is made again, unless the error is final",
          [refused_once(name, rc) for name in FETCH for rc in codes])

    def again(name, rc):
        return Case(f"{name}: {rc:#x}", once(name, refusal(rc)), "held",
                    also=lambda tpm: [] if tpm.seen.count(name) == FETCH.count(name) + 1 else [f"sent: {tpm.seen}"])
    group(tpm, "TPM_RC_RETRY and TPM_RC_TESTING, once, only make a delay",
          [again(name, rc) for name in (FETCH if EVERY_BYTE else SOME) for rc in (RETRY, TESTING)])
    group(tpm, "TPM_RC_RETRY, again and again",
          [refused_always(name, RETRY) for name in (FETCH if EVERY_BYTE else (COMPUTE,))])

    began = time.monotonic()
    case = Case("PolicyPCR: 0x101, for 10 s", {POLICY: refusal(0x101)}, "missed", tries=10)
    group(tpm, "a TPM that fails again and again is tried for ten seconds, and then PCR 13 is closed", [case])
    seconds = time.monotonic() - began
    point("this takes ten seconds", [] if 9.5 < seconds < 15 else [f"{seconds:.1f} s"])


# ---------------------------------------------------------------- altered

def cut(tpm, answers):
    """Answers that are cut, with the old size field (cut) or with the right one (resized)."""
    def case(name, n, right):
        rule = changed((lambda r: resized(r[:n])) if right else (lambda r: r[:n]))
        hidden = [CREATES[name]] if name in CREATES and (n < 14 or not right) else []
        what = f"{name}: {n} bytes{', size right' if right else ''}"
        if name in HARMLESS or name == EXTEND:
            return Case(what, {name: rule}, "held")
        if name == READ_BACK:
            return Case(what, {name: rule}, "open", pcr="closed")
        return Case(what, {name: rule}, "missed", hidden)
    for name in FETCH:
        length = len(answers[name])
        some = {(9, False), (length // 2, False), (10, True), (14, True), (length // 2, True), (length - 1, True)}
        lengths = [(n, right) for n in range(1, length) for right in (False, True)
                   if (n, right) in some or (EVERY_BYTE and (n >= 10 if right else n < 20 or n % 5 == 0))]
        group(tpm, f"{name}'s answer, cut short", [case(name, n, right) for n, right in lengths])


def longer(tpm):
    def case(name, n):
        rule = changed(lambda r: resized(r + bytes(n)))
        if name in HARMLESS or name in (EXTEND, TEST_POLICY, TEST_PASSWORD):
            return Case(f"{name} and {n} bytes", {name: rule}, "held")
        if name == READ_BACK:
            return Case(f"{name} and {n} bytes", {name: rule}, "open", pcr="closed")
        return Case(f"{name} and {n} bytes", {name: rule}, "missed")
    group(tpm, "answers with bytes added",
          [case(name, n) for name in (FETCH if EVERY_BYTE else SOME) for n in ((1, 2, 3000) if EVERY_BYTE else (1,))])


# What an altered byte may lead to.
ALTERED = {PROPERTIES: {"missed", "unfit", "held"}, LOOK: {"missed", "late", "unfit", "held"},
           NULL: {"missed", "held"}, START: {"missed"}, FLUSH_NULL: {"held"}, CREATE: {"missed", "held"},
           POLICY: {"missed", "held"}, COMPUTE: {"missed", "held"}, EXTEND: {"held"}, READ_BACK: {"open", "held"},
           TEST_PCR: {"unfit", "missed", "held"},
           TEST_POLICY: {"unfit", "missed", "held"}, TEST_PASSWORD: {"unfit", "missed", "held"},
           FLUSH_KEY: {"held"}, FLUSH_SESSION: {"held"}, CLOCK: {"held"}, VENDOR: {"held"}}
# The only bytes whose change may pass: nothing authenticates them, and nothing depends on them.
PASSES = {
    # The kernel ignores the tag of an answer without authorization: see derived_tpm_response().
    **{name: (0, 1) for name in (POLICY, TEST_PCR, TEST_POLICY, TEST_PASSWORD)},
}


def altered(tpm, answers):
    def case(name, at, mask):
        stays = None if name in CREATES and 2 <= at < 14 else ()
        want = ALTERED[name]
        if name in PASSES and at not in PASSES[name]:
            want = want - {"held"}
        return Case(f"{name}: byte {at} changed by {mask:#04x}", {name: flip(at, mask)}, want, stays,
                    pcr="closed" if name == READ_BACK else None)
    for name in FETCH:
        length = len(answers[name])
        every = range(length)
        if not EVERY_BYTE:
            every = sorted({9, 13, length - 1} | set(range(14, length, 83)))
        group(tpm, f"{name}'s answer with a byte changed",
              [case(name, at, mask) for at in every if at < length for mask in (0x01, 0x80)
               if mask == 0x01 or (EVERY_BYTE and (at < 20 or at % 3 == 0))])


def late(tpm):
    """The driver would wait for two minutes. Here it waits for 600 ms."""
    insert_module(DERIVED + "/modules/impatient.ko", f"ms={PATIENCE}")

    def silent(name):
        if name in FLUSHES:
            return Case(name, {name: silence}, "held", [FLUSHES[name]])
        if name in HARMLESS:
            return Case(name, {name: silence}, "held")
        if name == EXTEND:
            return Case(name, {name: silence}, "open")
        if name == READ_BACK:
            return Case(name, {name: silence}, "open", pcr="closed")
        return Case(name, {name: silence}, "missed", reason="did not answer")

    def lost(name, rules, delays=()):
        stays = [CREATES[name]] if name in CREATES else ()
        if name in HARMLESS or name == EXTEND:
            return Case(name, rules, "held", delays=delays)
        if name == READ_BACK:
            return Case(name, rules, "open", pcr="closed", delays=delays)
        return Case(name, rules, "missed", stays, delays=delays)

    def silent_once(name):
        return Case(name, once(name, silence), "held", [FLUSHES[name]] if name in FLUSHES else (), tries=10)
    some = FETCH if EVERY_BYTE else [START, *SOME]
    group(tpm, "a TPM that never answers one of the commands", [silent(name) for name in FETCH])
    group(tpm, "a TPM that does not answer once: the command or the fetch is tried again",
          [silent_once(name) for name in some])
    group(tpm, "a TPM whose answer is lost", [lost(name, {name: unheard}) for name in some])
    group(tpm, "a TPM that answers when the driver has given up",
          [lost(name, {}, {name: 0.9}) for name in (FETCH if EVERY_BYTE else (CREATE, EXTEND))])
    unload_module("impatient")


# ---------------------------------------------------------------- the cap event

def dropping(answer):
    return lambda command, forward: answer


def closing(tpm, answers):
    dropped = dropping(answers[EXTEND])

    def sent(*counts):
        want = dict(counts)
        return lambda tpm: [f"{name} was sent {tpm.seen.count(name)} times" for name, count in want.items()
                            if tpm.seen.count(name) != count]

    group(tpm, "PCR_Extend that only seems to succeed, once: it is sent again",
          [Case("dropped once", once(EXTEND, dropped), "held", also=sent((EXTEND, 2), (READ_BACK, 2)))])
    group(tpm, "PCR_Extend that never does anything: PCR 13 is open, and nothing is kept",
          [Case("dropped", {EXTEND: dropped}, "open", reason="the TPM does not extend PCR 13")])
    group(tpm, "PCR_Extend that is executed, although its answer is an error, is not sent again",
          [Case(f"TPM_RC {rc:#x}", {EXTEND: changed(lambda r, rc=rc: error(rc))}, "held", also=sent((EXTEND, 1)))
           for rc in (0x101, 0x143, 0x1c4, 0x902, 0x80000000)])

    def one_bank(command, forward):
        return error(0x1c4) if struct.unpack_from(">I", command, 27)[0] > 1 else forward(command)
    group(tpm, "PCR_Extend that refuses one of the banks: SHA-256 alone is closed",
          [Case("one bank", {EXTEND: one_bank}, "held", closes=[SHA256], also=sent((EXTEND, 2)))])

    def forged(r):
        return r[:-32] + closed_value()
    group(tpm, "PCR_Extend that does nothing, although PCR_Read says so: the TPM lets the key be used, and the "
               "secret is not kept",
          [Case("forged", {EXTEND: dropped, READ_BACK: changed(forged)}, "unfit",
                # The honest PCR_Read after the plain fetch finds that PCR 13 is open.
                reason="PCR 13 was open, and another program could fetch the capped root. It is closed again",
                also=lambda tpm: [] if "after PCR 13 was closed, TPM2_HMAC gave TPM_RC 0x000, not 0x99d" in
                str(status("capped reason")) else ["the reason: " + str(status("capped reason"))])])

    for what, rules, later, want in (
            ("works again", {EXTEND: dropped}, {}, "held"),
            ("can be extended again, but fails", {EXTEND: dropped, POLICY: refusal(0x101)},
             {POLICY: refusal(0x101)}, "missed")):
        case = Case(what, rules, "open")
        tpm.reset()
        begin(tpm)
        tpm.rules = rules
        case.load()
        problems = case.look(tpm)
        began = time.monotonic()
        tpm.traffic.clear()
        tpm.rules = later
        comes_true(lambda: state() != "open", 20)
        seconds = time.monotonic() - began
        case.want = {want}
        problems += case.look(tpm)
        tpm.rules = {}
        unload_module()
        point(f"a TPM that did not extend PCR 13, and {what}: {want}", problems)
        note(f"after {seconds:.1f} s")


def negative(tpm, answers):
    """The negative tests: only the right error proves that the cap PCR is closed."""
    def digest(tag, auth):
        body = struct.pack(">H", 32) + 32 * b"x"
        return resized(struct.pack(">HIII", tag, 0, 0, len(body)) + body + auth)
    success = digest(ST_SESSIONS, bytes.fromhex("0000 00 0000"))
    group(tpm, "a negative test that succeeds", [
        Case("by password", {TEST_PASSWORD: dropping(success)}, "unfit",
             reason="after PCR 13 was closed, TPM2_HMAC gave TPM_RC 0x000, not 0x12f"),
        Case("by policy, forged", {TEST_POLICY: dropping(success)}, "missed"),
        Case("by policy, an earlier answer", {TEST_POLICY: dropping(answers[COMPUTE])}, "missed"),
        Case("by policy, bare", {TEST_POLICY: dropping(error(0))}, "missed"),
        Case("by password, bare", {TEST_PASSWORD: dropping(error(0))}, "missed")])
    group(tpm, "a negative test that is refused for another reason", [
        Case(f"{name}: TPM_RC {rc:#x}", {name: refusal(rc)}, "unfit", reason=f"TPM_RC {rc:#05x}, not 0x")
        for name in (TEST_POLICY, TEST_PASSWORD)
        for rc in (0x09d, 0xa9d, 0x128, 0x12f, 0x99d, 0x143) + (OTHER_REASONS if EVERY_BYTE else ())
        if rc != EXPECTED[name]])
    group(tpm, "the right error to a command before a negative test proves nothing", [
        Case(f"{name}: TPM_RC {rc:#x}", {**once(TEST_POLICY, refusal(0x902)), name: refusal(rc)}, "unfit",
             reason=f"TPM_RC {rc:#05x}, not 0x")
        for name in (RESTART, TEST_PCR) for rc in (0x99d, 0x12f, 0x101)])
    group(tpm, "a negative test that fails once is made again, in a fresh session", [
        Case("busy", once(TEST_POLICY, refusal(0x902)), "held",
             also=lambda tpm: [] if tpm.seen.count(RESTART) == 1 else [f"sent: {tpm.seen}"]),
        Case("busy, by password", once(TEST_PASSWORD, refusal(0x902)), "held",
             also=lambda tpm: [] if tpm.seen.count(TEST_PASSWORD) == 2 else [f"sent: {tpm.seen}"])])


# ---------------------------------------------------------------- PCRs

def event_7(tpm):
    extend_pcr(tpm, 7, b"firmware")


def meanwhile(number, rule_for):
    """A rule: something extends a PCR just before this command."""
    def rule(command, forward):
        forward(pcr_extend(number, 32 * b"e"))
        return forward(command)
    return rule_for(rule)


def changing(tpm):
    """PCRs that change between PCR_Read and HMAC."""
    def every(name):
        return lambda rule: {name: rule}

    def first(name):
        return lambda rule: once(name, rule)

    def again(tpm):
        return [] if tpm.seen.count(PROPERTIES) == 2 and tpm.seen.count(START) == 1 else [f"sent: {tpm.seen}"]

    group(tpm, "a policy that fails once at HMAC: the module begins again from the PCRs, in the same session",
          [Case(f"TPM_RC {rc:#x}", once(COMPUTE, refusal(rc)), "held", also=again) for rc in (0x99d, 0x128)] +
          [Case(f"PCR 5 at {name}", meanwhile(5, first(name)), "held",
                also=again if name == COMPUTE else None) for name in (CREATE, POLICY, COMPUTE)])

    def tried(tpm):
        return [] if tpm.seen.count(COMPUTE) == 4 else [f"HMAC was sent {tpm.seen.count(COMPUTE)} times"]
    group(tpm, "a policy that always fails at HMAC: after some tries PCR 13 is closed",
          [Case(f"TPM_RC {rc:#x}", {COMPUTE: refusal(rc)}, "missed", also=tried) for rc in (0x99d, 0x128)] +
          [Case("PCR 5", meanwhile(5, every(COMPUTE)), "missed", also=tried,
                reason="the PCRs change all the time")])

    # The independent computation: with the value that PCR 7 has at the first HMAC, or at the second one.
    checks = []
    for before in (event_7, lambda tpm: (event_7(tpm), tpm.ask(pcr_extend(7, 32 * b"e")))):
        tpm.reset()
        before(tpm)
        secret = compute(tpm, [7, CAP])
        policy = policy_of({7: read_pcr(tpm, 7), CAP: read_pcr(tpm, CAP)})
        checks.append((recover.root_check(secret), policy))
    with_7 = {"before": event_7, "parameters": ["cap_pcrs=7"], "pcrs": (7, CAP)}

    def policy_is(policy):
        return lambda tpm: [] if status("capped policy") == policy else [f"the policy is {status('capped policy')}"]
    group(tpm, "cap_pcrs=7: PCR 7 decides which root it is, with the value at HMAC", [
        Case("no change", {}, "held", check=checks[0][0], also=policy_is(checks[0][1]), **with_7)] + [
        Case(f"at {name}", meanwhile(7, first(name)), "held", check=checks[1][0], also=policy_is(checks[1][1]),
             **with_7) for name in (NULL, CREATE, POLICY, COMPUTE)])
    group(tpm, "cap_pcrs=7: a PCR 7 that always changes: PCR 13 is closed", [
        Case(f"at {name}", meanwhile(7, every(name)), "missed", reason="the PCRs change all the time", **with_7)
        for name in (CREATE, COMPUTE)])
    group(tpm, "PCR 13 itself changes before HMAC: late", [
        Case(f"at {name}", meanwhile(CAP, first(name)), "late", pcr="any", reason="is used by something else")
        for name in (CREATE, COMPUTE)])


def earlier(tpm):
    """PCRs that are not as they must be."""
    def extended(number, event, twice=False):
        def before(tpm):
            for _ in range(1 + twice):
                extend_pcr(tpm, number, event)
        return before
    other = hashlib.sha256(bytes(32) + hashlib.sha256(b"other").digest()).digest()
    two = hashlib.sha256(closed_value() + hashlib.sha256(EVENT).digest()).digest()
    # The test extends the SHA-256 bank only. The module does not extend PCR 13 then.
    group(tpm, "a PCR 13 that is not zero: late, and it is not extended", [
        Case("by the cap event", {}, "late", before=extended(CAP, EVENT), closes=[SHA256],
             reason="PCR 13 was closed earlier in this boot"),
        Case("by another event", {}, "late", before=extended(CAP, b"other"), pcr=other, closes=[SHA256],
             reason="PCR 13 is used by something else"),
        Case("by two cap events", {}, "late", before=extended(CAP, EVENT, True), pcr=two, closes=[SHA256],
             reason="PCR 13 is used by something else")])
    group(tpm, "another PCR that was closed by the cap event: late, and PCR 13 is closed, too", [
        Case(f"PCR {n}", {}, "late", before=extended(n, EVENT), reason=f"another cap PCR, {n}, was closed")
        for n in (8, 9, 10, 11, 12, 14, 15)])
    group(tpm, "another PCR with another event, or one below 8 with the cap event, does not matter", [
        Case("PCR 8", {}, "held", before=extended(8, b"other")),
        Case("PCR 15", {}, "held", before=extended(15, EVENT, True)),
        Case("PCR 5", {}, "held", before=extended(5, EVENT))])

    def ones(r):
        return r[:18] + r[18:].replace(b"\0\x20" + 32 * b"\0", b"\0\x20" + 32 * b"\xff", 1)
    group(tpm, "a PCR of cap_pcrs= that is all zero or all ones: unfit, and PCR 13 is closed", [
        Case("zero", {}, "unfit", parameters=["cap_pcrs=7"], reason="PCR 7 says nothing about this boot"),
        Case("4 of 4,7", {}, "unfit", before=event_7, parameters=["cap_pcrs=4,7"],
             reason="PCR 4 says nothing about this boot"),
        Case("ones", {LOOK: changed(ones)}, "unfit", parameters=["cap_pcrs=7"],
             reason="PCR 7 says nothing about this boot")])


def properties(tpm, answers):
    """GetCapability(PCR_PROPERTIES): 10 bytes of header, moreData, capability, count, then tag, size, bitmap."""
    listed = {}
    r = answers[PROPERTIES]
    (count,) = struct.unpack_from(">I", r, 15)
    at = 19
    for _ in range(count):
        tag, size = struct.unpack_from(">IB", r, at)
        listed[tag] = r[at + 5:at + 5 + size]
        at += 5 + size

    def told(new):
        body = b"".join(struct.pack(">IB", tag, len(bits)) + bits for tag, bits in new.items())
        return {PROPERTIES: dropping(resized(r[:15] + struct.pack(">I", len(new)) + body))}

    def with_bit(tag, on, number=CAP):
        bits = bytearray(listed.get(tag, bytes(3)))
        bits[number // 8] = bits[number // 8] | 1 << number % 8 if on else bits[number // 8] & ~(1 << number % 8)
        return told({**listed, tag: bytes(bits)})
    reason = "the TPM can reset PCR 13, does not save it over suspend, or does not count its changes"
    unfit = [("reset at locality 0", with_bit(0x02, True)), ("at 1", with_bit(0x04, True)),
             ("at 2", with_bit(0x06, True)), ("at 3", with_bit(0x08, True)), ("at 4", with_bit(0x0a, True)),
             ("by a DRTM", with_bit(0x12, True)), ("not counted", with_bit(0x11, True)),
             ("not saved", with_bit(0x00, False)), ("nothing is saved", told({**listed, 0: b""})),
             ("nothing is said", told({})),
             ("not said whether it is saved", told({t: b for t, b in listed.items() if t}))]
    group(tpm, "a TPM that says that PCR 13 can be reset, or is not saved or not counted: unfit, but it is closed",
          [Case(what, rules, "unfit", reason=reason) for what, rules in unfit])
    group(tpm, "the same about another PCR does not matter", [
        Case("reset of 12", with_bit(0x02, True, 12), "held"), Case("14 not saved", with_bit(0, False, 14), "held"),
        Case("a new property", told({**listed, 0x99: b"\xff" * 3}), "held")])
    group(tpm, "a TPM that says so, and does not let PCR 13 be read or extended afterwards: open", [
        Case("not read", {**with_bit(0x02, True), READ_BACK: refusal(0x101)}, "open", pcr="any"),
        Case("not extended", {**with_bit(0x02, True), EXTEND: dropping(answers[EXTEND])}, "open")])


def reading(tpm):
    """Answers to PCR_Read with other values than asked for."""
    def asking(how):
        """A rule: the TPM is asked for other PCRs: how(the PCRs)."""
        def rule(command, forward):
            alg, pcrs = how(selected(command[14:]))
            return forward(command[:10] + pcr_selection(pcrs, alg))
        return {LOOK: rule, READ_BACK: rule}
    most = 100

    def limited(rules):
        """The TPM becomes honest, should the module ask again and again."""
        count = [0]

        def limit(rule):
            def limited_rule(command, forward):
                count[0] += 1
                return rule(command, forward) if count[0] < most else forward(command)
            return limited_rule
        return {name: limit(rule) for name, rule in rules.items()}

    def reads(n):
        return lambda tpm: [] if tpm.seen.count(LOOK) <= n else [f"{tpm.seen.count(LOOK)} times PCR_Read"]
    group(tpm, "PCR_Read with fewer values than asked for: the module asks for the rest", [
        Case("one", asking(lambda p: (SHA256, p[:1])), "held"),
        Case("three", asking(lambda p: (SHA256, p[:3])), "held"),
        Case("the last", asking(lambda p: (SHA256, p[-1:])), "held")])
    group(tpm, "PCR_Read with values that were not asked for: missed, and PCR 13 is closed", [
        Case("more", {LOOK: asking(lambda p: (SHA256, p[:6] + [0]))[LOOK]}, "missed",
             reason="nonsense to TPM2_PCR_Read"),
        Case("others", {LOOK: asking(lambda p: (SHA256, range(8)))[LOOK]}, "missed"),
        Case("16 to 23", {LOOK: asking(lambda p: (SHA256, range(16, 24)))[LOOK]}, "missed"),
        Case("SHA-1", {LOOK: asking(lambda p: (SHA1, p))[LOOK]}, "missed")])
    group(tpm, "PCR_Read without a value: the module does not ask for ever", [
        Case("none", limited({LOOK: asking(lambda p: (SHA256, []))[LOOK]}), "unfit", also=reads(3),
             reason="no PCR 13 in its SHA-256 bank"),
        Case("none for 13", limited(asking(lambda p: (SHA256, [n for n in p if n != CAP]))), "unfit", also=reads(3)),
        Case("13 later", {LOOK: asking(lambda p: (SHA256, [n for n in p if n != CAP]))[LOOK]}, "held"),
        Case("none at all", limited(asking(lambda p: (SHA256, []))), "unfit", also=reads(3)),
        Case("none afterwards", limited({READ_BACK: asking(lambda p: (SHA256, []))[READ_BACK]}), "open", pcr="closed")])

    def again(command, forward):
        """The first value again and again, whatever was asked for."""
        return forward(command[:10] + pcr_selection([8]))
    group(tpm, "PCR_Read with the same value again and again: missed", [
        Case("PCR 8", limited({LOOK: again}), "missed", also=reads(3))])


# ---------------------------------------------------------------- the TPM's state

def owner(tpm):
    """The owner hierarchy has a password, or is disabled."""
    def password(tpm):
        tpm.ask(by_password(0x129, RH_OWNER, tpm2b(b"secret")))

    def no_password(tpm):
        tpm.ask(resized(struct.pack(">HIIIIIHBH", ST_SESSIONS, 0, 0x129, RH_OWNER, 15, RS_PW, 0, 0, 6) + b"secret" +
                        bytes(2)))
        return []

    def disabled(tpm):
        tpm.ask(by_password(0x121, RH_PLATFORM, struct.pack(">IB", RH_OWNER, 0)))
    group(tpm, "an owner hierarchy with a password: missed, at once, and PCR 13 is closed", [
        Case("password", {}, "missed", before=password, also=no_password, plain="EACCES", tries=10,
             reason="the TPM's owner hierarchy has a password")])
    group(tpm, "an owner hierarchy that is disabled: missed, at once, and PCR 13 is closed", [
        Case("disabled", {}, "missed", before=disabled, plain="EACCES", tries=10,
             reason="the TPM's owner hierarchy is disabled")])


def fill_objects(tpm):
    """Make objects until the TPM is full."""
    while tpm.forward(by_password(CREATE_PRIMARY, RH_NULL, tpm2b(bytes(4)) + tpm2b(bytes.fromhex(
            "0008 000b 00040472 0000 0005 000b 0000")) + bytes(6)))[6:10] == bytes(4):
        pass


def fill_sessions(tpm):
    foreign = resized(struct.pack(">HIIIIH16xHBHH", ST_NO_SESSIONS, 0, START_AUTH_SESSION, RH_NULL, RH_NULL, 16, 0,
                                  0, 0x10, SHA256))
    while tpm.forward(foreign)[6:10] == bytes(4):
        pass


def full(tpm):
    for what, fill, kind, where in (("objects", fill_objects, 0x80, NULL), ("sessions", fill_sessions, 0x02, START)):
        group(tpm, f"a TPM that is full of {what}: missed, and PCR 13 is closed", [
            Case("always", {}, "missed", before=fill, stays=[kind], reason="the TPM is busy or full",
                 plain="EAGAIN")])

        def empties(number):
            """A rule: the TPM is emptied before the nth command."""
            count = [0]

            def rule(command, forward):
                count[0] += 1
                if count[0] == number:
                    tpm.flush([handle for handle in tpm.left() if handle in foreign])
                return forward(command)
            return rule
        foreign = []

        def fill_and_note(tpm, fill=fill, foreign=foreign):
            fill(tpm)
            foreign[:] = tpm.left()
        group(tpm, f"a TPM that is full of {what} for a while: held", [
            Case("for a while", {where: empties(5)}, "held", before=fill_and_note, tries=10,
                 also=lambda tpm, where=where: [] if tpm.seen.count(where) == 5 else [f"sent: {tpm.seen}"])])


def without_session(tpm):
    """No ECC, or an attacker on the bus who says so."""
    rules = [(name, rc) for name in (NULL, START) for rc in (0x2c4, 0x143, 0x2d6, 0x185)]
    group(tpm, "a TPM that cannot have a session (no ECC): missed, and PCR 13 is closed", [
        Case(f"{name}: TPM_RC {rc:#x}", {name: refusal(rc)}, "missed", tries=10,
             reason="The capped root is not fetched without one") for name, rc in rules])

    def no_secret(tpm):
        asked = {COMPUTE, CREATE, SEQ_START} & set(tpm.seen)
        problems = [f"sent: {asked}"] if asked else []
        return problems + ([] if str(status("session")).startswith("password") else ["the plain root: " + str(status("session"))])
    group(tpm, "the same with require_encryption=0: the plain root crosses the bus in clear, but the capped one "
               "does not", [
        Case(f"{name}: TPM_RC {rc:#x}", {name: refusal(rc), "plain: " + name: refusal(rc)}, "missed", tries=10,
             parameters=["require_encryption=0"], also=no_secret) for name, rc in rules])


def sequences(swtpm, tpm):
    """A TPM without TPM2_HMAC: the secret comes by a sequence, which has a random password."""
    auths = []

    def sequence(asked):
        want = by_sequence(FETCH)
        at = want.index(TEST_POLICY)
        want[at:at + 2] = [SEQ_START + " (test by policy)", SEQ_START + " (test by password)"]
        if asked:
            want.insert(want.index(SEQ_START), COMPUTE)

        def look(tpm):
            starts = [c for c in tpm.traffic if c[6:10] == struct.pack(">I", HMAC_START) and c[:2] == b"\x80\x02"]
            size, = struct.unpack_from(">I", starts[0], 14)
            auth = starts[0][18 + size:][2:34]
            problems = [] if len(auth) == 32 and auth not in auths and any(auth) else [f"its password: {auth.hex()}"]
            auths.append(auth)
            got = [name for name in tpm.seen if not name.startswith("plain")]
            return problems + ([] if got == want else [f"sent: {got}"])
        return look
    group(tpm, "a TPM that says only by its error that it has no TPM2_HMAC gives the same root, by a sequence", [
        Case("0x143", {COMPUTE: refusal(0x143)}, "held", also=sequence(True)) for _ in range(2)])

    # The sequence is left behind. Another program has its handle, but not its password.
    left = []

    def complete(tpm):
        return left

    def look_at_left(tpm, command):
        body = command[10:14]
        got = tpm.forward(resized(struct.pack(">HII", ST_SESSIONS, 0, SEQUENCE_COMPLETE) + body +
                                  struct.pack(">IIHBH", 9, RS_PW, 0, 0, 0) + tpm2b(b"x") +
                                  struct.pack(">I", RH_NULL)))
        if code_of(got) != 0x9a2:		# TPM_RC_BAD_AUTH, for the first session
            left.append(f"another program completes the sequence: TPM_RC {code_of(got):#x}")
        return error(0x101)
    group(tpm, "a sequence that cannot be removed from the TPM is of no use without its password", [
        Case("left behind", {COMPUTE: refusal(0x143), SEQ_COMPLETE: refusal(0x101),
                             FLUSH_SEQUENCE: lambda command, forward: look_at_left(tpm, command)}, "missed", [OBJECT],
             also=complete)])
    group(tpm, "a sequence, refused", [
        Case(f"{name}: TPM_RC {rc:#x}", {COMPUTE: refusal(0x143), name: refusal(rc)}, "missed")
        for name in (SEQ_START, SEQ_COMPLETE) for rc in (0x101, 0x143, 0x902)])

    forged = resized(struct.pack(">HIIIIHBH", ST_SESSIONS, 0, 0, 0x80000002, 0, 0, 0, 0))
    tpm.remove()
    tpm = new_tpm(swtpm, {"plain: GetCapability": without_command(HMAC)})
    group(tpm, "a TPM that does not list TPM2_HMAC gives the same root, by a sequence", [
        Case("not listed", {}, "held", also=sequence(False)) for _ in range(2)])
    group(tpm, "a negative test by a sequence", [
        Case(f"{how}: TPM_RC {rc:#x}", {f"{SEQ_START} (test by {how})": refusal(rc)}, want)
        for how, rc, want in (("policy", 0x101, "unfit"), ("policy", 0x99d, "held"), ("password", 0x101, "unfit"),
                              ("password", 0x12f, "held"), ("policy", 0x902, "missed"))] + [
        Case("a sequence that begins, and does not end",
             {f"{SEQ_START} (test by password)": dropping(forged),
              f"{SEQ_COMPLETE} (test by password)": refusal(0x12f)}, "unfit",
             reason="TPM2_HMAC_Start gave TPM_RC 0x000, not 0x12f")])
    tpm.remove()
    return new_tpm(swtpm)


def new_tpm(swtpm, rules=(), **kwargs):
    tpm = make_vtpm(swtpm, rules, name=Names(), **kwargs)
    tpm.rules = {}
    tpm.traffic = []
    return tpm


def banks_of(swtpm, tpm):
    """Other banks."""
    for wanted in ([SHA256], [SHA1, SHA256], [SHA256, SHA384], [SHA1], [SHA384, SHA512], list(HASHES)):
        allocate(tpm, wanted)
        tpm.remove()
        tpm = new_tpm(swtpm)
        names = " + ".join(HASHES[alg]().name for alg in wanted)
        same(f"the TPM has the banks {names}", banks(tpm), wanted)
        if SHA256 in wanted:
            group(tpm, f"banks {names}: PCR 13 is closed in all of them", [Case(names, {}, "held")])
        else:
            group(tpm, f"banks {names}: unfit, and PCR 13 is closed in all of them",
                  [Case(names, {}, "unfit", reason="the TPM has no PCR 13 in its SHA-256 bank")])
    return tpm


def no_tpm(swtpm, tpm):
    """No TPM, a TPM 1.2, and a TPM that appears later."""
    tpm.remove()
    swtpm.power_cycle()
    log.read()
    load("cap=13")
    same("without a TPM, the capped root waits for one",
         (state(), capped_key(), add_key(), status("capped reason")), ("wait", "ENXIO", "ENXIO", "no TPM"))
    flood("wait", None)
    time.sleep(2)
    same("the log says so once", len([line for line in log.read() if "no capped root yet: no TPM" in line]), 1)
    unload_module()

    with Swtpm(None, tpm2=False) as old:
        tpm12 = new_tpm(old, flags=0)
        load("cap=13")
        time.sleep(1.5)
        same("with a TPM 1.2 alone, the capped root waits for a TPM 2.0, without a command to the TPM 1.2",
             (state(), capped_key(), add_key(), status("capped reason"),
              [name for name in tpm12.seen if name.startswith(("plain: Create", "Get", "PCR"))]),
             ("wait", "ENXIO", "ENXIO", "the TPM is not a TPM 2.0 that works", []))
        unload_module()
        tpm12.remove()

    begin_case = Case("later", {}, "held")
    log.read()
    begin_case.load()
    log.read()
    tpm = new_tpm(swtpm)
    appeared = time.monotonic()
    comes_true(lambda: state() != "wait", 20)
    seconds = time.monotonic() - appeared
    point("a TPM that appears later: the capped root is fetched, and PCR 13 closed, without a request",
          begin_case.look(tpm) + ([] if seconds < 5 else [f"after {seconds:.1f} s"]))
    note(f"held {seconds:.1f} s after the TPM's device appeared")
    unload_module()
    return tpm


def vanishing(swtpm, tpm):
    """A TPM that vanishes while the module fetches, and another one that comes: the same swtpm."""
    for name, want in ((COMPUTE, "held"), (EXTEND, "held"), (READ_BACK, "late"), (TEST_POLICY, "missed")):
        tpm.reset()
        begin(tpm)
        tpm.rules = {name: vanish}
        case = Case(name, {}, want, tries=10)
        case.load()
        tpm.join(10)
        problems = [] if state() in ("wait", "missed") else [f"the state is {state()}"]
        if is_held():
            problems.append("the secret is in the module's memory")
        log.read()
        tpm = new_tpm(swtpm)
        tpm.flush(tpm.left())
        comes_true(lambda: state() != "wait", 20)
        if want != "missed":
            problems += case.look(tpm)
        elif state() != want or capped_key() != "EACCES" or read_pcr(tpm, CAP) != closed_value():
            problems.append(f"the state is {state()}")
        unload_module()
        point(f"a TPM that vanishes at {name}, and another one that comes: {want}", problems)
    return tpm


def flood(name, tpm):
    """1,000 capped requests. None makes a TPM command."""
    if tpm:
        del tpm.seen[:]
    got = {capped_key() for _ in range(1000)}
    same(f"1,000 capped requests in the state {name} get {ERRNOS[name]}, by 0 TPM commands",
         (got, state(), tpm.seen if tpm else []), ({ERRNOS[name]}, name, []))


def floods(tpm, answers):
    def other(tpm):
        extend_pcr(tpm, CAP, b"other")
    for name, rules, before in (("off", {}, None), ("held", {}, None), ("gone", {}, None), ("late", {}, other),
                                ("missed", {POLICY: refusal(0x101)}, None),
                                ("unfit", {TEST_POLICY: refusal(0x101)}, None),
                                ("open", {EXTEND: dropping(answers[EXTEND])}, None)):
        tpm.reset()
        begin(tpm)
        if before:
            before(tpm)
        tpm.rules = rules
        if name == "off":
            load()
        else:
            Case(name, {}, name).load()
        if name == "gone":
            forget()
            add_key()
            if is_held():
                point("forget wipes the secret", ["it is still in the module's memory"])
        flood(name, tpm)
        tpm.rules = {}
        unload_module()


def vanish(command, forward):
    raise Gone


def main():
    began = time.monotonic()
    with Swtpm(DERIVED + "/tests/vectors/tpm-golden") as swtpm:
        tpm = new_tpm(swtpm)
        answers = honest(tpm)
        closing(tpm, answers)
        negative(tpm, answers)
        changing(tpm)
        earlier(tpm)
        properties(tpm, answers)
        reading(tpm)
        owner(tpm)
        full(tpm)
        without_session(tpm)
        refused(tpm)
        cut(tpm, answers)
        longer(tpm)
        altered(tpm, answers)
        late(tpm)
        floods(tpm, answers)
        tpm = sequences(swtpm, tpm)
        tpm = vanishing(swtpm, tpm)
        tpm = no_tpm(swtpm, tpm)
        tpm = banks_of(swtpm, tpm)
        same("no nonce and no ephemeral key was used twice", (len(Vtpm.fresh) > 1000, Vtpm.reused), (True, []))
    note(f"{cases_run} cases, {time.monotonic() - began:.0f} s")
    done()


main()

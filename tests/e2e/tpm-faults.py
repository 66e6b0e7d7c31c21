#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
tpm-faults.py: for tpm-faults.sh: a misbehaving TPM, and requests to the module under test.

A TPM made by /dev/vtpmx relays commands to a private swtpm with the golden state.  Rules change
what it answers; then a key is asked for, and the errno, the root check value and what is left in
the swtpm are looked at.  An object may stay there only where the answer hid its handle.
"""

import ctypes
import errno
import fcntl
import hashlib
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time

DERIVED = os.environ["DERIVED"]
sys.dont_write_bytecode = True
sys.path.insert(0, DERIVED + "/tests/vectors")
from swtpm_private import Swtpm, connect, error, receive  # noqa: E402

PARAMETERS = "/sys/module/derived_keys/parameters/"
REQUEST = b"32 path tpm-faults v1"
SESSION_KEYRING = -3

CREATE_PRIMARY, HMAC, HMAC_START, SEQUENCE_COMPLETE, FLUSH, GET_CAPABILITY = \
    0x131, 0x155, 0x15b, 0x13e, 0x165, 0x17a
NAMES = {CREATE_PRIMARY: "CreatePrimary", HMAC: "HMAC", HMAC_START: "HMAC_Start",
         SEQUENCE_COMPLETE: "SequenceComplete", FLUSH: "FlushContext",
         GET_CAPABILITY: "GetCapability"}
SET_LOCALITY = 0x20001000	# the driver's own, not for the TPM
RC_COMMAND_CODE = 0x143

keyutils = ctypes.CDLL("libkeyutils.so.1", use_errno=True)


# ---------------------------------------------------------------- TAP

points = 0


def point(desc, problems):
    """A point; problems: what is wrong, nothing if it is ok."""
    global points
    points += 1
    print(f"{'not ok' if problems else 'ok'} {points} - {desc}")
    for problem in problems[:15]:
        print("# " + str(problem).replace("\n", "\n# "))
    if len(problems) > 15:
        print(f"# ... {len(problems)} in all")
    sys.stdout.flush()


def same(desc, got, want):
    point(desc, [] if got == want else [f"got:  {got!r}\nwant: {want!r}"])


# ---------------------------------------------------------------- the TPM

class Gone(Exception):
    """A rule wants the TPM gone."""


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


class Vtpm(threading.Thread):
    """The TPM that the kernel sees.  rules: command code -> what(command, forward) -> response."""

    def __init__(self, swtpm, rules=()):
        super().__init__(daemon=True)
        self.socket = connect(swtpm.socket)
        self.lock = threading.Lock()
        self.rules = dict(rules)
        self.delays = {}		# command code -> seconds
        self.seen = []			# the commands, by code
        self.failure = None
        # struct vtpm_proxy_new_dev: flags (VTPM_PROXY_FLAG_TPM2), tpm_num, fd, major, minor
        new = bytearray(struct.pack("=5I", 1, 0, 0, 0, 0))
        with open("/dev/vtpmx", "r+b", buffering=0) as vtpmx:
            fcntl.ioctl(vtpmx, 0xc014a100, new)		# VTPM_PROXY_IOC_NEW_DEV
        _, number, self.fd, _, _ = struct.unpack("=5I", new)
        self.start()
        # The driver gives up if it is not answered in time, which a busy machine may take for itself.
        self.accepted = comes_true(lambda: os.path.exists(f"/dev/tpmrm{number}"), 10)
        if not self.accepted:
            return
        # Nobody else shall ask it for anything.
        wait_for(lambda: f"tpm-rng-{number}" in text("/sys/class/misc/hw_random/rng_available"))
        with open("/sys/class/misc/hw_random/rng_current", "w", encoding="ascii") as file:
            file.write("none")

    def run(self):
        try:
            while True:
                command = os.read(self.fd, 4096)
                (code,) = struct.unpack_from(">I", command, 6)
                if code == SET_LOCALITY:
                    os.write(self.fd, error(0))
                    continue
                self.seen.append(code)
                rule, delay = self.rules.get(code), self.delays.get(code)
                response = rule(command, self.forward) if rule else self.forward(command)
                try:
                    time.sleep(delay or 0)
                    os.write(self.fd, response)
                except OSError:
                    if not delay:
                        raise		# else the driver has stopped waiting
        except Gone:
            pass
        except Exception as e:		# raised again where the test looks at the outcome
            self.failure = e
        self.socket.close()
        os.close(self.fd)

    def forward(self, command):
        with self.lock:
            self.socket.sendall(command)
            return receive(self.socket)

    def objects(self):
        """What is in the swtpm's transient slots, asked for behind the kernel's back."""
        out = self.forward(struct.pack(">HIIIII", 0x8001, 22, GET_CAPABILITY, 1, 0x80000000, 64))
        (count,) = struct.unpack_from(">I", out, 15)
        return list(struct.unpack_from(f">{count}I", out, 19))

    def flush(self, handles):
        for handle in handles:
            self.forward(struct.pack(">HIII", 0x8001, 14, FLUSH, handle))


def make_vtpm(swtpm, rules=()):
    """A vTPM that the kernel's driver has accepted."""
    for _ in range(5):
        tpm = Vtpm(swtpm, rules)
        if tpm.accepted:
            return tpm
    raise RuntimeError("the driver accepts no TPM")


# ---------------------------------------------------------------- the module

def text(path):
    with open(path, encoding="utf-8", errors="backslashreplace") as file:
        return file.read()


def load_module(*parameters):
    subprocess.run(["insmod", DERIVED + "/derived-keys.ko", *parameters], check=True)


def unload_module():
    subprocess.run(["rmmod", "derived_keys"], check=True)


def add_key(desc=b"tpm-faults", kind=b"derived", request=REQUEST):
    """The errno's name, or "ok"."""
    key = keyutils.add_key(kind, desc, request, ctypes.c_size_t(len(request)), SESSION_KEYRING)
    return "ok" if key >= 0 else errno.errorcode[ctypes.get_errno()]


def forget():
    with open(PARAMETERS + "forget", "w", encoding="ascii") as file:
        file.write("1")


def klog():
    out = subprocess.run(["dmesg", "--notime"], check=True, stdout=subprocess.PIPE, encoding="utf-8")
    return out.stdout.splitlines()


def status(what):
    for line in text(PARAMETERS + "status").splitlines():
        name, _, value = line.partition(": ")
        if name == what:
            return value
    return None


def golden_root_check():
    for line in text(DERIVED + "/tests/vectors/golden.tsv").splitlines():
        fields = line.split("\t")
        if fields[:2] == ["root", "golden"]:
            return fields[2]
    raise RuntimeError("no golden root check value")


GOLDEN = golden_root_check()


def outcome():
    """Ask for a key with the root forgotten: an errno, "ok" with the golden root, or "other root"."""
    forget()
    got = add_key()
    if got == "ok" and status("root check") != GOLDEN:
        got = "other root"
    return got


def attempt(tpm, rules, want, stays=False):
    """
    Ask with some rules, then honestly.  want: what must come of the first (a set: any of it);
    stays: whether an object stays in the TPM.  Returns problems.
    """
    problems = []
    tpm.rules = rules
    got = outcome()
    tpm.rules = {}
    if got not in (want if isinstance(want, set) else {want}):
        problems.append(f"got {got}, want {want}")
    if tpm.failure:
        raise tpm.failure
    left = tpm.objects()
    if bool(left) != stays:
        problems.append(f"left in the TPM: {[hex(h) for h in left]}")
    tpm.flush(left)
    got = outcome()
    if got != "ok":
        problems.append(f"the next honest fetch: {got}")
    return problems


def group(tpm, desc, cases):
    """Many attempts, one point.  cases: (what, rules, want[, stays])"""
    problems, count, began = [], 0, time.monotonic()
    for what, *case in cases:
        count += 1
        problems += [f"{what}: {problem}" for problem in attempt(tpm, *case)]
    if not count:
        problems.append("there were no cases")
    point(desc, problems)
    print(f"# {count} cases, {time.monotonic() - began:.1f} s", flush=True)


# ---------------------------------------------------------------- how to misbehave

class Layout:
    """Where the fields of a response are.  Read with no code of the module's."""

    def __init__(self, code, response):
        self.code = code
        self.length = len(response)
        self.fields = {}		# name -> (begin, end)
        self.response, self.at = response, 0
        self.take("tag", 2)
        self.take("size", 4)
        self.take("return code", 4)
        if code in (CREATE_PRIMARY, HMAC_START):
            self.take("handle", 4)
        self.take("parameter size", 4)
        if code == CREATE_PRIMARY:
            self.take("public size", 2)
            self.take("public", 14)
            self.take("unique size", 2)
            self.take("unique", 32)
            self.take("creation data size", 2)
            self.take("PCR selection count", 4)
            self.sized("PCR digest")
            self.take("locality", 1)
            self.take("parent nameAlg", 2)
            self.sized("parent name")
            self.sized("parent qualified name")
            self.sized("outsideInfo")
            self.sized("creation hash")
        if code in (HMAC, SEQUENCE_COMPLETE):
            self.sized("digest")
        if code in (CREATE_PRIMARY, SEQUENCE_COMPLETE):
            self.take("ticket tag", 2)
            self.take("ticket hierarchy", 4)
            self.sized("ticket digest")
        if code == CREATE_PRIMARY:
            self.sized("name")
        self.sized("nonce")
        self.take("session attributes", 1)
        self.sized("authorization")
        if self.at != self.length:
            raise RuntimeError(f"{NAMES[code]}: {self.length} bytes, understood {self.at}")

    def take(self, name, count):
        self.fields[name] = (self.at, self.at + count)
        self.at += count

    def sized(self, name):
        (count,) = struct.unpack_from(">H", self.response, self.at)
        self.take(name + " size", 2)
        self.take(name, count)

    def __getitem__(self, name):
        return self.fields[name]

    def name_of(self, at):
        return next(name for name, (begin, end) in self.fields.items() if begin <= at < end)

    def hides_object(self, name):
        """Whether an answer wrong in that field leaves nobody knowing what to flush."""
        return "handle" in self.fields and name in ("size", "return code", "handle")

    def rules(self, rule):
        """Rules by which the command is used at all, and answered by the rule."""
        sequence = self.code in (HMAC_START, SEQUENCE_COMPLETE)
        return {**({HMAC: refusal(RC_COMMAND_CODE)} if sequence else {}), self.code: rule}

    def spliced(self, begin, end, new, also=lambda r: r):
        """The bytes from begin to end replaced, and the sizes of response and parameters made right."""
        size_at, params = self["parameter size"]
        (size,) = struct.unpack(">I", self.response[size_at:params])
        size = struct.pack(">I", size + len(new) - (end - begin))

        def how(r):
            r = r[:begin] + new + r[end:]
            return also(resized(r[:size_at] + size + r[params:]))
        return changed(how)

    # Digests that the TPM itself computes over what it returns, made to fit.

    def renamed(self, r):
        public, name = self["public"][0], self["name"]
        digest = hashlib.sha256(r[public:self["unique"][1]]).digest()
        return r[:name[0] + 2] + digest + r[name[1]:]

    def rehashed(self, r):
        # What was spliced moved the end of the creation data; its size is still the honest one.
        begin, end = self["PCR selection count"][0], self["outsideInfo"][1] + len(r) - self.length
        r = r[:begin - 2] + struct.pack(">H", end - begin) + r[begin:]
        return r[:end + 2] + hashlib.sha256(r[begin:end]).digest() + r[end + 2 + 32:]


def changed(how):
    """A rule: the TPM does as told, and how(response) is what it says."""
    return lambda command, forward: how(forward(command))


def refusal(rc):
    """A rule: the TPM does nothing and returns rc."""
    return lambda command, forward: error(rc)


def resized(response):
    """The response with its size field made right."""
    return response[:2] + struct.pack(">I", len(response)) + response[6:]


def flip(at, mask, also=lambda r: r):
    return changed(lambda r: also(r[:at] + bytes([r[at] ^ mask]) + r[at + 1:]))


def gone(command, forward):
    raise Gone


# ---------------------------------------------------------------- the tests

def honest(tpm):
    """What is sent when all goes well; returns the responses' layouts, by code."""
    transaction = [CREATE_PRIMARY, HMAC, FLUSH, GET_CAPABILITY]
    sequence = [HMAC_START, SEQUENCE_COMPLETE]
    responses = {}

    def recording(code):
        def rule(command, forward):
            responses[code] = forward(command)
            return responses[code]
        return rule

    del tpm.seen[:]
    load_module()
    same("the module asks the TPM when it is loaded: four commands", tpm.seen, transaction)
    same("an honest relay gives the golden root check value", status("root check"), GOLDEN)
    del tpm.seen[:]
    same("no TPM command is sent for ten keys from a cached root",
         ([add_key(b"key %d" % i) for i in range(10)], tpm.seen), (["ok"] * 10, []))
    unload_module()

    del tpm.seen[:]
    load_module("root=transient")
    same("with root=transient loading sends no TPM command", tpm.seen, [])
    same("with root=transient each of ten keys takes the same four commands",
         ([add_key(b"key %d" % i) for i in range(10)], tpm.seen), (["ok"] * 10, transaction * 10))
    same("with root=transient the root check value is the same", status("root check"), GOLDEN)
    unload_module()

    load_module()
    forget()
    same("after forget no root is held", status("root"), "cached, not held")
    del tpm.seen[:]
    tpm.rules = {code: recording(code) for code in transaction}
    same("after forget the first of three keys takes the four commands",
         ([add_key() for i in range(3)], tpm.seen), (["ok"] * 3, transaction))
    same("the root is held again", status("root"), "cached, held in memory")
    del tpm.seen[:]
    tpm.rules = {HMAC: refusal(RC_COMMAND_CODE), **{code: recording(code) for code in sequence}}
    same("a TPM without TPM2_HMAC gives the golden root check value", outcome(), "ok")
    same("it takes a sequence instead",
         tpm.seen, [CREATE_PRIMARY, HMAC, *sequence, FLUSH, GET_CAPABILITY])
    tpm.rules = {}
    same("nothing is left in an honest TPM", tpm.objects(), [])
    return {code: Layout(code, responses[code])
            for code in (CREATE_PRIMARY, HMAC, HMAC_START, SEQUENCE_COMPLETE)}


def another_root(tpm, layouts):
    """With a password session nothing protects the digest: but it is noticed."""
    lines = len(klog())
    tpm.rules = {HMAC: flip(layouts[HMAC]["digest"][0], 0x01)}
    same("a changed digest in HMAC's answer is another root", outcome(), "other root")
    tpm.rules = {}
    said = [line for line in klog()[lines:] if line.startswith("derived: ")]
    same("the log says that the root changed, and to what",
         [line.split(",")[0] for line in said],
         [f"derived: the root changed: its check value was {GOLDEN}. Every key is another one now",
          f"derived: root check value {status('root check')}"])
    same("an honest answer is the golden root again", outcome(), "ok")


def remembered(tpm):
    tpm.rules = {CREATE_PRIMARY: refusal(0x101)}
    same("a TPM that fails is EIO", outcome(), "EIO")
    tpm.rules = {}
    del tpm.seen[:]
    same("for the next requests it is EIO without a TPM command",
         ([add_key() for i in range(5)], tpm.seen), (["EIO"] * 5, []))
    forget()
    same("after forget the TPM is asked again", (add_key(), tpm.seen[:1]), ("ok", [CREATE_PRIMARY]))
    unload_module()
    tpm.rules = {CREATE_PRIMARY: refusal(0x101)}
    load_module()
    tpm.rules = {}
    same("a failure when the module is loaded is remembered too", add_key(), "EIO")
    same("and after forget all is well", outcome(), "ok")


def busy(tpm):
    answers = []

    def retry_once(command, forward):
        answers.append(error(0x922) if not answers else forward(command))
        return answers[-1]

    tpm.rules = {CREATE_PRIMARY: retry_once}
    same("a TPM that says TPM_RC_RETRY once is asked again", (outcome(), len(answers)), ("ok", 2))
    tpm.rules = {CREATE_PRIMARY: refusal(0x922)}
    began = time.monotonic()
    got = outcome()
    same("a TPM that says nothing else is EAGAIN, soon", (got, time.monotonic() - began < 20),
         ("EAGAIN", True))
    lines = len(klog())
    tpm.rules = {FLUSH: refusal(0x101)}
    same("a TPM that flushes nothing is full after three keys, and that is EAGAIN",
         [outcome() for i in range(4)], ["ok"] * 3 + ["EAGAIN"])
    tpm.rules = {}
    same("what it did not flush is still there", len(tpm.objects()), 3)
    said = [line for line in klog()[lines:] if "could not be removed from the TPM" in line]
    point("the log says once that an object could not be removed",
          [] if len(said) == 1 and "0x80000000" in said[0] else klog()[lines:] or ["nothing"])
    tpm.flush(tpm.objects())
    same("and once it is empty all is well", outcome(), "ok")
    tpm.delays = {FLUSH: 1, GET_CAPABILITY: 1}
    same("answers to FlushContext and GetCapability that come too late do no harm", outcome(), "ok")
    tpm.delays = {}
    same("nor to the next request, and nothing is left in the TPM", (outcome(), tpm.objects()), ("ok", []))


def return_codes(tpm, layouts):
    wanted = [(rc, "EACCES") for rc in (0x185, 0x9a2, 0x12f, 0x120, 0x98e, 0x921)] + \
        [(rc, "EAGAIN") for rc in (0x902, 0x903)] + \
        [(rc, "EIO") for rc in (0x101, 0x100, 0x001, 0x143, 0x1c4, 0x2d5,
                                0x7fffffff, 0x80000000, 0xffffffff)]
    # The TPM layer hands a return code on as an int.
    posing = [(2**32 - number, "EIO") for number in (errno.EINTR, errno.ENOMEM, errno.ENODEV,
                                                     errno.EPIPE, errno.ETIME)]
    for code, layout in layouts.items():
        group(tpm, f"return codes of {NAMES[code]} become the right errnos",
              ((f"TPM_RC {rc:#x}", layout.rules(refusal(rc)), want)
               for rc, want in wanted if (code, rc) != (HMAC, RC_COMMAND_CODE)))
        group(tpm, f"return codes of {NAMES[code]} that pose as the kernel's errnos are EIO",
              ((f"TPM_RC {rc:#x}", layout.rules(refusal(rc)), want) for rc, want in posing))


def truncations(tpm, layout):
    """Every length, first with the size field as it was, then with it made right."""
    creates = "handle" in layout.fields
    name = NAMES[layout.code]
    # An empty answer is none at all: the driver goes on waiting.
    group(tpm, f"{name}'s answer cut short anywhere is EIO",
          ((f"{n} bytes", layout.rules(changed(lambda r, n=n: r[:n])), "EIO", creates)
           for n in range(1, layout.length)))
    group(tpm, f"{name}'s answer cut short anywhere, its size made right, is EIO",
          ((f"{n} bytes", layout.rules(changed(lambda r, n=n: resized(r[:n]))), "EIO",
            creates and n < layout["handle"][1])
           for n in range(10, layout.length)))


def additions(tpm, layouts):
    def cases():
        for code, layout in layouts.items():
            creates = "handle" in layout.fields
            params_end = layout["nonce size"][0]
            for n in (1, 2, 3000):
                more = bytes(n)
                yield (f"{NAMES[code]} and {n} bytes",
                       layout.rules(changed(lambda r, more=more: r + more)), "EIO", creates)
                yield (f"{NAMES[code]} and {n} bytes, size right",
                       layout.rules(changed(lambda r, more=more: resized(r + more))), "EIO")
                yield (f"{NAMES[code]} and {n} bytes of parameters, sizes right",
                       layout.rules(layout.spliced(params_end, params_end, more)), "EIO")
    group(tpm, "answers with bytes added, at the end or to the parameters, are EIO", cases())


# What may pass, and then must give the right root: nothing is known of it beforehand, or nothing
# depends on it.  A field of a key's creation data is under a digest: see consistent_lies().
HARMLESS = {"ok", "EIO"}
MAY_PASS = {
    CREATE_PRIMARY: {"ticket digest": HARMLESS, "session attributes": HARMLESS,
                     "handle": {"EIO", "EAGAIN"}},	# the TPM says then that it has no such object
    HMAC: {"digest": "other root", "session attributes": HARMLESS},
    HMAC_START: {"session attributes": HARMLESS, "handle": {"EIO", "EAGAIN"}},
    SEQUENCE_COMPLETE: {"digest": "other root", "ticket tag": HARMLESS, "ticket hierarchy": HARMLESS,
                        "session attributes": HARMLESS},
}
LONG = ("unique", "PCR digest", "creation hash", "ticket digest", "name", "digest")


def flips(tpm, layout, mask, without=()):
    may_pass = MAY_PASS[layout.code]
    group(tpm, f"{NAMES[layout.code]}'s answer with any byte {'but those of digests ' if without else ''}"
               f"changed by {mask:#04x} is EIO, but for those listed",
          ((f"byte {at} ({name})", layout.rules(flip(at, mask)), may_pass.get(name, "EIO"),
            layout.hides_object(name))
           for at in range(layout.length) if (name := layout.name_of(at)) not in without))


def consistent_lies(tpm, layout):
    """The TPM lies about the object, and the digest over the lie is right."""
    def public():
        for at in range(layout["public"][0], layout["unique"][1]):
            name = layout.name_of(at)
            yield (f"byte {at} ({name})", layout.rules(flip(at, 0x01, layout.renamed)),
                   "ok" if name == "unique" else "EIO")
        begin, end = layout["unique"]
        for new in (b"", bytes(31), bytes(33)):
            size = struct.pack(">H", len(new))
            def also(r, new=new):
                r = r[:18] + struct.pack(">H", 16 + len(new)) + r[20:]
                name = layout["name"][0] + len(new) - 32
                return r[:name + 2] + hashlib.sha256(r[20:36 + len(new)]).digest() + r[name + 34:]
            yield (f"{len(new)} bytes of unique",
                   layout.rules(layout.spliced(begin - 2, end, size + new, also)), "EIO")
    group(tpm, "CreatePrimary's answer with another public area, rightly named, is EIO, unless only "
               "unique differs", public())

    def creation():
        free = ("PCR digest", "locality", "parent nameAlg", "parent name", "parent qualified name")
        for at in range(layout["PCR selection count"][0], layout["outsideInfo"][1]):
            name = layout.name_of(at)
            yield (f"byte {at} ({name})", layout.rules(flip(at, 0x01, layout.rehashed)),
                   HARMLESS if name in free else "EIO")
        begin, end = layout["outsideInfo size"]
        yield ("some outsideInfo",
               layout.rules(layout.spliced(begin, end, b"\0\1x", layout.rehashed)), "EIO")
        begin, end = layout["PCR selection count"]
        yield ("a PCR selected",
               layout.rules(layout.spliced(begin, end, bytes.fromhex("00000001 000b 03 010000"),
                                           layout.rehashed)), "EIO")
        yield ("bytes after the creation data",
               layout.rules(layout.spliced(*2 * layout["outsideInfo"][1:], bytes(2), layout.rehashed)), "EIO")
    group(tpm, "CreatePrimary's answer with other creation data, rightly hashed, is EIO where it is not "
               "what was asked", creation())


def other_lies(tpm, layouts):
    def cases():
        for code in (HMAC, SEQUENCE_COMPLETE):
            layout = layouts[code]
            begin, end = layout["digest"]
            zero = bytes(end - begin)
            yield f"{NAMES[code]}: all zero", layout.rules(layout.spliced(begin, end, zero)), "EIO"
            for n in (0, 31, 33, 64):
                new = struct.pack(">H", n) + n * b"x"
                yield (f"{NAMES[code]}: a digest of {n} bytes",
                       layout.rules(layout.spliced(begin - 2, end, new)), "EIO")
            yield (f"{NAMES[code]}: CreatePrimary's answer",
                   layout.rules(changed(lambda r: layouts[CREATE_PRIMARY].response)), "EIO")
    group(tpm, "a digest all zero or not of 32 bytes is EIO", cases())

    answer = tpm.forward(struct.pack(">HIIIII", 0x8001, 22, GET_CAPABILITY, 6, 0x105, 8))
    group(tpm, "GetCapability's answer changed, cut short or refused does no harm",
          [(f"byte {at}", {GET_CAPABILITY: flip(at, 0x80)}, "ok") for at in range(len(answer))] +
          [(f"{n} bytes", {GET_CAPABILITY: changed(lambda r, n=n: resized(r[:n]))}, "ok")
           for n in range(10, len(answer), 3)] +
          [("7 bytes", {GET_CAPABILITY: changed(lambda r: r[:7])}, "ok"),
           ("TPM_RC 0x101", {GET_CAPABILITY: refusal(0x101)}, "ok")])
    # The first property's value: who made the TPM.
    tpm.rules = {GET_CAPABILITY: changed(lambda r: r[:23] + b"\x1b\xff\nA" + r[27:])}
    same("a TPM whose maker has an odd name gives a key", outcome(), "ok")
    tpm.rules = {}
    same("status shows nothing odd of it", status("TPM vendor"), "???A")


def slow(tpm, herd):
    """
    A slow TPM: how many wait, and that it is nobody else's trouble.  "At once" is before the TPM
    answers the one command that it has: so this depends on no clock.
    """
    answer = threading.Event()

    def held(command, forward):
        answer.wait()
        answer.clear()
        return forward(command)

    def refused(processes):
        return [p for p in processes if p.result() == "EAGAIN"]

    def waiting(processes):
        return [p for p in processes if p.result() is None]

    def user_key():
        return add_key(b"tpm-faults user", b"user", b"payload")

    unload_module()
    load_module("root=transient")
    del tpm.seen[:]
    tpm.rules = {CREATE_PRIMARY: held}
    first, others, more = herd[0], herd[1:20], herd[20:28]
    first.go()
    wait_for(lambda: tpm.seen)
    for process in others:
        process.go()
    comes_true(lambda: len(refused(others)) >= 12, 10)
    same("a key of type user is not delayed by those who wait for a slow TPM", user_key(), "ok")
    time.sleep(0.5)			# for one refused too many
    same("of 20 that ask a slow TPM 12 are refused with EAGAIN, at once", len(refused(others)), 12)
    same("the others wait", (len(waiting(others)), first.result()), (7, None))
    killed = waiting(others)
    same("those who wait die at once when killed", [p.pid for p in killed if not p.kill()], [])
    for process in more:
        process.go()
    comes_true(lambda: refused(more), 10)
    time.sleep(0.5)
    same("as many as were killed may wait in their place, and one more may not", len(refused(more)), 1)
    last, *killed = waiting(more)
    same("these die at once, too", [p.pid for p in killed if not p.kill()], [])
    same("all that was before the TPM answered anything", (tpm.seen, first.result()),
         ([CREATE_PRIMARY], None))
    answer.set()
    comes_true(lambda: first.result(), 10)
    same("the one at the TPM gets its key", first.result(), "ok")
    wait_for(lambda: tpm.seen.count(CREATE_PRIMARY) == 2)
    # He may die now or when the TPM has answered; what he made there is removed.
    os.kill(last.pid, signal.SIGKILL)
    time.sleep(0.2)
    answer.set()
    same("who is killed at the TPM dies", last.kill(), True)
    comes_true(lambda: len(tpm.seen) >= 8, 2)
    same("no command was sent for those who were killed while they waited, and all for who was at the TPM",
         tpm.seen, [CREATE_PRIMARY, HMAC, FLUSH, GET_CAPABILITY] * 2)
    same("nothing is left in a TPM whose user was killed", tpm.objects(), [])
    tpm.rules = {}
    same("and the next request is served", add_key(), "ok")


def vanishing(swtpm, tpm):
    """The TPM goes while it is asked, and another one comes."""
    # In the midst of a command the driver only says that it was canceled.
    for code, wants in ((CREATE_PRIMARY, ("ENXIO", "EIO")), (HMAC, ("ENXIO", "EIO")), (FLUSH, ("ok",))):
        tpm.rules = {code: gone}
        got = outcome()
        point(f"a TPM that vanishes at {NAMES[code]} is {' or '.join(wants)}",
              [] if got in wants else [f"got {got}"])
        tpm.join(10)
        if tpm.failure:
            raise tpm.failure
        same(f"the TPM gone at {NAMES[code]}, after forget a request is ENXIO", outcome(), "ENXIO")
        tpm = make_vtpm(swtpm)
        tpm.flush(tpm.objects())
        same(f"another TPM there after that at {NAMES[code]}, the very next request is served",
             (add_key(), status("root check")), ("ok", GOLDEN))
    return tpm


def without_hmac(swtpm, tpm):
    """A TPM that does not list TPM2_HMAC among its commands when the driver asks."""
    def unlist(r):
        # TPM_CAP_COMMANDS: TPMA_CCs, from 19 on.  The driver insists on their number.
        if r[11:15] != b"\0\0\0\2":
            return r
        listed = list(struct.unpack_from(f">{(len(r) - 19) // 4}I", r, 19))
        at = next(i for i, cca in enumerate(listed) if cca & 0xffff == HMAC)
        listed[at] = listed[at - 1]
        return r[:19] + struct.pack(f">{len(listed)}I", *listed)

    tpm.rules = {CREATE_PRIMARY: gone}
    outcome()
    tpm.join(10)
    tpm = make_vtpm(swtpm, {GET_CAPABILITY: changed(unlist)})
    tpm.rules = {}
    tpm.flush(tpm.objects())
    del tpm.seen[:]
    same("a TPM that does not list TPM2_HMAC gives the golden root check value", outcome(), "ok")
    same("it is not asked for it", tpm.seen,
         [CREATE_PRIMARY, HMAC_START, SEQUENCE_COMPLETE, FLUSH, GET_CAPABILITY])
    same("nothing is left in it", tpm.objects(), [])
    return tpm


class Asker:
    """A process that waits for go(), asks for a key, and reports."""

    def __init__(self, number):
        here, there = os.pipe(), os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            # It shall not outlive the test.
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
            os.read(here[0], 1)
            got = add_key(b"asker %d" % number)
            os.write(there[1], got.encode())
            os._exit(0)
        os.close(here[0])
        os.close(there[1])
        self.to, self.from_ = here[1], there[0]
        self.got = None

    def go(self):
        os.write(self.to, b"x")

    def result(self):
        """An errno or "ok"; None as long as there is none."""
        if self.got is None and select.select([self.from_], [], [], 0)[0]:
            self.got = os.read(self.from_, 100).decode() or None
        return self.got

    def kill(self, seconds=10):
        """Returns whether it dies within that time."""
        os.kill(self.pid, signal.SIGKILL)
        return comes_true(lambda: os.waitpid(self.pid, os.WNOHANG)[0], seconds)


def main():
    began = time.monotonic()
    herd = [Asker(number) for number in range(28)]	# before there are threads
    with Swtpm(DERIVED + "/tests/vectors/tpm-golden") as swtpm:
        tpm = make_vtpm(swtpm)
        layouts = honest(tpm)
        another_root(tpm, layouts)
        remembered(tpm)
        busy(tpm)
        return_codes(tpm, layouts)
        for layout in layouts.values():
            truncations(tpm, layout)
            flips(tpm, layout, 0x01)
            flips(tpm, layout, 0x80, LONG)
        additions(tpm, layouts)
        consistent_lies(tpm, layouts[CREATE_PRIMARY])
        other_lies(tpm, layouts)

        # Over a thousand failures of four causes, at most one line per cause and minute.  The module
        # was loaded twice meanwhile.
        lines = [line for line in klog() if ": refused: " in line]
        most = 4 * (1 + int((time.monotonic() - began) / 60)) + 4
        point("all these failures left few lines in the log",
              [] if 0 < len(lines) <= most else [f"{len(lines)} lines, at most {most}", *lines])

        slow(tpm, herd)
        tpm = vanishing(swtpm, tpm)
        tpm = without_hmac(swtpm, tpm)
        unload_module()
        same("nothing is left in the TPM at the end", tpm.objects(), [])
    print(f"1..{points}")


main()

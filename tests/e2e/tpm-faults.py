#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
tpm-faults.py: for tpm-faults.sh: a misbehaving TPM, and requests to the module under test.

A TPM made by /dev/vtpmx relays commands to a private swtpm with the golden state. Rules change its
answers; then the test requests a key, and checks the errno, the root check value, and the objects and
sessions that are left in the swtpm. An object or a session may stay there only if the answer hid its
handle.

All cases are tried with both kinds of session that the module has on a kernel without sessions. With
the own session, a fetch takes several times as long, because of the elliptic curves. So there an
honest request comes only after every sixteenth altered answer, not every length is tried, and not
every byte of the long fields in the less important answers (Kind, truncations(), flips()). With
EVERY_BYTE=1 in the environment, all of them are tried (tpm-faults-long.sh).
"""

import ctypes
import errno
import hashlib
import hmac
import os
import select
import signal
import struct
import sys
import threading
import time

from cryptography.hazmat.primitives.asymmetric import ec

DERIVED = os.environ["DERIVED"]
sys.dont_write_bytecode = True
sys.path[:0] = [DERIVED + "/tests/vectors", DERIVED + "/tests/lib"]
import derived_module  # noqa: E402
from derived_module import (  # noqa: E402
    ROOT_CHECK as GOLDEN, forget, insert_module, klog, session, status, unload_module)
from swtpm_private import Swtpm  # noqa: E402
from tap import done, point, same  # noqa: E402
from tpm_messages import (  # noqa: E402
    CREATE_PRIMARY, FLUSH_CONTEXT as FLUSH, GET_CAPABILITY, HMAC, HMAC_START, RH_NULL, RS_PW,
    SEQUENCE_COMPLETE, START_AUTH_SESSION as START_SESSION, ST_NO_SESSIONS, ST_SESSIONS, error, resized)
from vtpm import (  # noqa: E402
    CREATE_NULL, NAMES, Vtpm, answer, changed, code_of, comes_true, flip, gone, make_vtpm, nth, refusal,
    wait_for, without_command)

REQUEST = b"32 path tpm-faults v1"
EVERY_BYTE = "EVERY_BYTE" in os.environ

SEQUENCE = (HMAC_START, SEQUENCE_COMPLETE)	# instead of HMAC
STARTING = (CREATE_NULL, START_SESSION)		# the commands that begin the module's own session
OBJECT, SESSION = 0x80, 0x02	# the first byte of a handle
CREATES = {CREATE_NULL: OBJECT, START_SESSION: SESSION, CREATE_PRIMARY: OBJECT, HMAC_START: OBJECT}
RC_COMMAND_CODE, RC_VALUE = 0x143, 0x2c4


# ---------------------------------------------------------------- the module

loads = 0


def load_module(*parameters):
    global loads
    loads += 1
    insert_module(sys.argv[1], *parameters)


def use(tpm, kind):
    """Load the module again, with this kind of session from now on."""
    unload_module()
    tpm.kind = kind
    load_module(*kind.parameters)


def add_key(desc=b"tpm-faults", kind=b"derived", request=REQUEST):
    """The errno's name, or "ok"."""
    return derived_module.add_key(desc, request, kind)[1]


def outcome():
    return derived_module.outcome(add_key)


def attempt(tpm, rules, want, stays=(), then_honest=True):
    """
    Make a request with some rules, then one with honest answers. want: the outcome of the first (a set:
    any of these); stays: what stays in the TPM, by the first byte of the handles. Returns problems.
    """
    problems = []
    del tpm.by_password[:]
    tpm.rules = rules
    got = outcome()
    tpm.rules = {}
    if got not in (want if isinstance(want, set) else {want}):
        problems.append(f"got {got}, want {want}")
    if tpm.failure:
        raise tpm.failure
    # The null primary key is always made by password.
    in_clear = {NAMES[code] for code in tpm.by_password} - {NAMES[CREATE_NULL]}
    if in_clear and "in clear" not in (got, tpm.kind.ok):
        problems.append(f"by password: {in_clear}")
    left = tpm.left()
    if {handle >> 24 for handle in left} != set(stays):
        problems.append(f"left in the TPM: {[hex(h) for h in left]}")
    tpm.flush(left)
    if then_honest:
        got = outcome()
        if got != tpm.kind.ok:
            problems.append(f"the next honest fetch: {got}")
    return problems


def group(tpm, desc, cases):
    """Make many attempts, and print one point. cases: (what, rules, want[, stays])"""
    problems, count, began = [], 0, time.monotonic()
    for what, *case in cases:
        count += 1
        then_honest = count % tpm.kind.honest_every == 0
        found = attempt(tpm, *case, then_honest=then_honest)
        problems += [f"{what}: {problem}" for problem in found]
    if not count:
        problems.append("there were no cases")
    elif not then_honest and outcome() != tpm.kind.ok:
        problems.append("the honest fetch after all of them")
    point(f"{tpm.kind.name}: {desc}", problems)
    print(f"# {count} cases, {time.monotonic() - began:.1f} s", flush=True)


# ---------------------------------------------------------------- how to misbehave

class Layout:
    """The places of the fields in a response. This parser shares no code with the module."""

    def __init__(self, code, response):
        self.code = code
        self.length = len(response)
        self.fields = {}		# name -> (begin, end)
        self.response, self.at = response, 0
        self.take("tag", 2)
        self.take("size", 4)
        self.take("return code", 4)
        if code in CREATES:
            self.take("handle", 4)
        if code == START_SESSION:
            self.sized("nonce")
        else:
            self.parameters(code)
        if self.at != self.length:
            raise RuntimeError(f"{NAMES[code]}: {self.length} bytes, understood {self.at}")

    def parameters(self, code):
        primary = code in (CREATE_NULL, CREATE_PRIMARY)
        self.take("parameter size", 4)
        if primary:
            self.take("public size", 2)
            self.take("public", 22 if code == CREATE_NULL else 14)
            self.unique = ("x", "y") if code == CREATE_NULL else ("unique",)
            for name in self.unique:
                self.sized(name)
            self.public_end = self.at
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
        if primary or code == SEQUENCE_COMPLETE:
            self.take("ticket tag", 2)
            self.take("ticket hierarchy", 4)
            self.sized("ticket digest")
        if primary:
            self.sized("name")
        self.sized("nonce")
        self.take("session attributes", 1)
        self.sized("authorization")

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

    def hidden(self, hides=True):
        """The handles that stay in the TPM if the answer hides its handle."""
        return [CREATES[self.code]] if hides and self.code in CREATES else []

    def hidden_by(self, name):
        """The handles that stay in the TPM if the answer is wrong in this field."""
        return self.hidden(name in ("size", "return code", "handle"))

    def rules(self, rule):
        """Rules that make the module use this command, and that answer it by this rule."""
        refused = {HMAC: refusal(RC_COMMAND_CODE)} if self.code in SEQUENCE else {}
        return {**refused, self.code: rule}

    def is_parameter(self, name):
        return self["parameter size"][0] <= self[name][0] < self["nonce size"][0]

    def lengths(self, begin, every):
        """Every "every"th length, and the lengths that end with a field."""
        ends = {end for _, end in self.fields.values()}
        return [n for n in range(begin, self.length) if n % every == 0 or n in ends]

    def spliced(self, begin, end, new, also=lambda r: r):
        """A rule: replace the bytes from begin to end, and correct the sizes of response and parameters."""
        size_at, params = self["parameter size"]
        (size,) = struct.unpack(">I", self.response[size_at:params])
        size = struct.pack(">I", size + len(new) - (end - begin))

        def how(r):
            r = r[:begin] + new + r[end:]
            return also(resized(r[:size_at] + size + r[params:]))
        return changed(how)

    # Correct the digests that the TPM computes over the data that it returns.

    def renamed(self, r):
        public, name = self["public"][0], self["name"]
        digest = hashlib.sha256(r[public:self.public_end]).digest()
        return r[:name[0] + 2] + digest + r[name[1]:]

    def public(self, **unique):
        """The public area with another unique."""
        begin, end = self["public"]
        fields = [unique.get(name, self.response[slice(*self[name])]) for name in self.unique]
        return self.response[begin:end] + b"".join(struct.pack(">H", len(f)) + f for f in fields)

    def published(self, public):
        """A rule: another public area, with the right name for it."""
        begin, end = self["public size"][0], self.public_end
        name = self["name"][0] + len(public) - (end - begin - 2)

        def also(r):
            return r[:name + 2] + hashlib.sha256(public).digest() + r[name + 34:]
        return self.spliced(begin, end, struct.pack(">H", len(public)) + public, also)

    def rehashed(self, r):
        # Splicing has moved the end of the creation data. Its size field is still the old one.
        begin, end = self["PCR selection count"][0], self["outsideInfo"][1] + len(r) - self.length
        r = r[:begin - 2] + struct.pack(">H", end - begin) + r[begin:]
        return r[:end + 2] + hashlib.sha256(r[begin:end]).digest() + r[end + 2 + 32:]


class Kind:
    """
    A kind of session. rules: they make the module use it; the rules of a test come after these, nearer
    to the TPM. ok: the outcome of an honest fetch; honest_every: an honest fetch follows after this
    many altered answers; cut_every: one in this many lengths of a cut answer is tried; may_pass: command
    code -> field -> the possible outcomes if that field is wrong; parameters: those of the module.
    """

    def __init__(self, name, rules, ok, honest_every, cut_every, may_pass, parameters=()):
        self.name, self.rules, self.ok = name, rules, ok
        self.honest_every, self.cut_every, self.may_pass = honest_every, cut_every, may_pass
        self.parameters = parameters


def harmless(ok, *names):
    """Fields that may be wrong without an error; then the root must be the right one."""
    return {name: {ok, "EIO"} for name in names}


# Fields that nothing authenticates: their values are not known beforehand, or nothing depends on them.
# The fields of a key's creation data are covered by a digest: see consistent_lies().
OWN = Kind("own session", {}, "ok", 16, 1 if EVERY_BYTE else 8, {
    # If the handle cannot belong to a key, the TPM returns an error of format one: see downgrades().
    CREATE_NULL: {**harmless("ok", "ticket digest", "session attributes"),
                  "handle": {"EIO", "EOPNOTSUPP"}},
    # The TPM then has another session key, as if the key had a password.
    START_SESSION: {"nonce": "EACCES"},
    # If the sequence has the primary key's handle, the key's name is missing from the signed data.
    HMAC_START: {"handle": {"EIO", "EACCES"}},
})
PASSWORD = Kind("in clear", {CREATE_NULL: refusal(RC_VALUE)}, "in clear", 1, 1, {
    CREATE_PRIMARY: harmless("in clear", "ticket digest", "session attributes"),
    HMAC: {"digest": "other root", **harmless("in clear", "session attributes")},
    HMAC_START: harmless("in clear", "session attributes"),
    SEQUENCE_COMPLETE: {"digest": "other root",
                        **harmless("in clear", "ticket tag", "ticket hierarchy",
                                   "session attributes")},
}, ("require_encryption=0",))


def kdfa(key, label, u, v, count):
    """Part 1, 11.4.10.2."""
    context = label + b"\0" + u + v + struct.pack(">I", 8 * count)
    blocks = (hmac.digest(key, struct.pack(">I", i + 1) + context, "sha256")
              for i in range((count + 31) // 32))
    return b"".join(blocks)[:count]


class Interposer:
    """
    An attacker on the TPM's bus who puts a key of its own in the place of the null primary key. It gives
    the TPM an empty password, and signs any answer for the module. null: the layout of the answer with
    the null primary key.
    """

    def __init__(self, null):
        self.key = ec.generate_private_key(ec.SECP256R1())
        point = self.key.public_key().public_numbers()
        self.x, self.y = (n.to_bytes(32, "big") for n in (point.x, point.y))
        public = null.public(x=self.x, y=self.y)
        self.name = b"\0\x0b" + hashlib.sha256(public).digest()
        # The TPM has neither this key nor this session.
        self.null = null.published(public)(None, lambda _: null.response)
        self.session_key = None
        self.heard = None		# the parameters of the TPM's last answer
        self.lie = {}			# the fields of the next answer that are wrong
        self.rules = {CREATE_NULL: lambda command, forward: self.null, START_SESSION: self.start,
                      **{code: self.relay for code in (CREATE_PRIMARY, HMAC, *SEQUENCE)}}

    def start(self, command, _):
        """Part 1, C.6.1 and 19.6.8."""
        nonce_caller, x, y = command[20:52], command[56:88], command[90:122]
        point = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"),
                                              ec.SECP256R1())
        z = self.key.exchange(ec.ECDH(), point.public_key())
        salt = hashlib.sha256(b"\0\0\0\1" + z + b"SECRET\0" + x + self.x).digest()
        nonce = os.urandom(32)
        self.session_key = kdfa(salt, b"ATH", nonce, nonce_caller, 32)
        return resized(error(0) + struct.pack(">IH", SESSION << 24, len(nonce)) + nonce)

    def relay(self, command, forward):
        """Part 1, 18.8, 19.6 and 21.2."""
        code, nonce_caller, attributes = code_of(command), command[24:56], command[56]
        self.lie = {}
        response = forward(resized(struct.pack(">HII", ST_SESSIONS, 0, code) + command[10:14] +
                                   struct.pack(">IIHBH", 9, RS_PW, 0, 0, 0) + command[91:]))
        if response[6:10] != bytes(4):
            return response
        at = 14 if code in CREATES else 10
        (size,) = struct.unpack_from(">I", response, at)
        params = self.heard = response[at + 4:at + 4 + size]

        nonce = self.lie.get("nonce", os.urandom(32))
        if attributes & 0x40:		# TPMA_SESSION.encrypt
            size = int.from_bytes(params[:2], "big")
            mask = kdfa(self.session_key, b"XOR", nonce, nonce_caller, size)
            params = params[:2] + bytes(a ^ b for a, b in zip(params[2:], mask)) + params[2 + size:]
        attributes = self.lie.get("attributes", attributes)
        code = self.lie.get("signed_for", code)
        hashed = hashlib.sha256(struct.pack(">II", 0, code) + params).digest()
        nonces = self.lie.get("nonces", lambda newer, older: newer + older)(nonce, nonce_caller)
        signed = hmac.digest(self.session_key, hashed + nonces + bytes([attributes]), "sha256")
        signed = self.lie.get("hmac", lambda h: h)(signed)
        return resized(response[:at] + struct.pack(">I", len(params)) + params +
                       struct.pack(">H", len(nonce)) + nonce + bytes([attributes]) +
                       struct.pack(">H", len(signed)) + signed)

    def kind(self):
        return Kind("signed by an interposer", self.rules, "ok", 8, 8, {})

    def lying(self, code, **lie):
        """Rules by which the interposer gives a wrong answer to this command."""
        def rule(command, forward):
            self.lie = lie
            return forward(command)
        rules = {HMAC: refusal(RC_COMMAND_CODE)} if code in SEQUENCE else {}
        return {**rules, code: rule}


# ---------------------------------------------------------------- the tests

FETCH = [CREATE_NULL, START_SESSION, FLUSH, CREATE_PRIMARY, HMAC, FLUSH, GET_CAPABILITY]
IN_CLEAR = [CREATE_NULL, CREATE_PRIMARY, HMAC, FLUSH, GET_CAPABILITY]


def by_sequence(commands, asked=True):
    """The same commands with a sequence; asked: after a TPM2_HMAC that is refused."""
    at = commands.index(HMAC)
    return commands[:at + asked] + [*SEQUENCE] + commands[at + 1:]


def learn(tpm, kind):
    """The layouts of the answers in this kind of session, by code."""
    use(tpm, kind)
    layouts = {}
    for last in (HMAC, SEQUENCE_COMPLETE):
        tpm.rules = {HMAC: refusal(RC_COMMAND_CODE)} if last != HMAC else {}
        if outcome() != kind.ok:
            raise RuntimeError(f"{kind.name}: no honest answer to learn from")
        codes = STARTING if kind is OWN else ()
        codes += (CREATE_PRIMARY, HMAC) if last == HMAC else SEQUENCE
        layouts.update({code: Layout(code, tpm.answers[code]) for code in codes})
    tpm.rules = {}
    use(tpm, OWN)
    return layouts


def honest(tpm):
    """The commands that are sent when all goes well."""
    # A kernel that has sessions of its own has already made a null primary key.
    del tpm.seen[:], tpm.by_password[:]
    load_module()
    same("the module sends seven commands to the TPM when it is loaded", tpm.seen, FETCH)
    same("only the null primary key is made by password", tpm.by_password, [CREATE_NULL])
    same("an honest relay gives the golden root check value, by the module's own session",
         (status("root check"), session()), (GOLDEN, "ok"))
    del tpm.seen[:]
    same("no TPM command is sent for ten keys from a cached root",
         ([add_key(b"key %d" % i) for i in range(10)], tpm.seen), (["ok"] * 10, []))
    unload_module()

    del tpm.seen[:]
    load_module("root=transient")
    same("with root=transient loading sends no TPM command", tpm.seen, [])
    same("with root=transient each of ten keys takes the same seven commands",
         ([add_key(b"key %d" % i) for i in range(10)], tpm.seen), (["ok"] * 10, FETCH * 10))
    same("with root=transient the root check value is the same", status("root check"), GOLDEN)
    unload_module()

    load_module()
    forget()
    same("after forget no root is held", status("root"), "cached, not held")
    del tpm.seen[:]
    same("after forget the first of three keys takes the seven commands",
         ([add_key() for i in range(3)], tpm.seen), (["ok"] * 3, FETCH))
    same("the root is held again", status("root"), "cached, held in memory")
    del tpm.seen[:], tpm.by_password[:]
    tpm.rules = {HMAC: refusal(RC_COMMAND_CODE)}
    same("a TPM without TPM2_HMAC gives the golden root check value", outcome(), "ok")
    same("a TPM without TPM2_HMAC gets a sequence instead, in the same session",
         (tpm.seen, tpm.by_password), (by_sequence(FETCH), [CREATE_NULL]))
    tpm.rules = {}
    same("nothing is left in an honest TPM", tpm.left(), [])


def without_session(tpm):
    """
    A TPM that cannot have the module's own session, or an attacker who forges that answer: the commands that are
    sent by default and with require_encryption=0, and the lines in the log.
    """
    for code, rc, sent in ((CREATE_NULL, 0x2c4, IN_CLEAR), (START_SESSION, 0x2d6, FETCH)):
        desc = f"a TPM that cannot do {NAMES[code]}"
        reason = "no encrypted session: the TPM, or an attacker on its bus, refused it " \
                 f"(TPM2_{NAMES[code]}: TPM_RC {rc:#05x}). "
        unload_module()
        lines = len(klog())
        del tpm.seen[:]
        tpm.rules = {code: refusal(rc)}
        load_module()
        before = STARTING[:STARTING.index(code) + 1]
        same(f"{desc} gets no command for the root secret", tpm.seen,
             [*before, FLUSH] if code == START_SESSION else [*before])
        said = [line.partition(": refused: ")[2] for line in klog()[lines:]
                if line.startswith("derived: uid ")]
        same(f"{desc}: the log gives the reason, the risk, and the setting", said,
             [reason + "Without one the root secret, and so every key, could be read on the TPM's "
              'bus. To allow that: "options derived-keys require_encryption=0" in '
              "/etc/modprobe.d/derived-keys.conf"])
        del tpm.seen[:]
        same(f"{desc} is EOPNOTSUPP, from the remembered failure", (add_key(), tpm.seen),
             ("EOPNOTSUPP", []))
        same(f"{desc} is EOPNOTSUPP in a new fetch, too", (outcome(), status("root check")),
             ("EOPNOTSUPP", "none"))
        tpm.rules = {}
        same(f"{desc} at first, but can after forget, gives the golden root check value", outcome(),
             "ok")

        unload_module()
        lines = len(klog())
        del tpm.seen[:]
        tpm.rules = {code: refusal(rc)}
        load_module("require_encryption=0")
        tpm.rules = {}
        same(f"{desc}, with require_encryption=0, gives the golden root check value by password",
             (tpm.seen, status("root check"), session()), (sent, GOLDEN, "in clear"))
        said = [line for line in klog()[lines:] if line.startswith("derived: ")]
        same(f"{desc}: the log says that the administrator allows this, the risk, and the reason",
             [line.split(", TPM:")[0] for line in said],
             ["derived: require_encryption=0: the administrator lets the root secret cross the "
              "TPM's bus in clear, where no session encrypts it",
              f"derived: root check value {GOLDEN}, session: password, the TPM's answer crosses "
              f"its bus unencrypted", f"derived: {reason}The root secret crossed the TPM's bus in "
              "clear, as require_encryption=0 allows"])
        same(f"{desc}: nothing is left in it", tpm.left(), [])
        same(f"{desc} at first, but can after forget, is asked in the module's own session even with "
             "require_encryption=0", outcome(), "ok")
    use(tpm, OWN)


# Errors that mean that a TPM cannot do this: an error of format one (bit 7), or "no such command".
UNSUPPORTED = (RC_VALUE, RC_COMMAND_CODE, 0x084, 0x185, 0x1c4, 0x2d5, 0x2d6, 0x2e6, 0x98e, 0x9a2)
# Errors with another meaning, and their outcome.
NO_EXCUSE = [(rc, "EACCES") for rc in (0x12f, 0x120, 0x921)] + \
    [(rc, "EAGAIN") for rc in (0x902, 0x903, 0x905)] + \
    [(rc, "EIO") for rc in (0x101, 0x100, 0x001, 0x500, 0x910, 0x918)]
NONSENSE = [(rc, "EIO") for rc in (0x1084, 0x10143, 0x7fffffff, 0x80000000, 0xffffffff)]
# The TPM layer hands a return code on as an int.
POSING = [(2**32 - number, "EIO") for number in (errno.EINTR, errno.ENOMEM, errno.ENODEV,
                                                 errno.EPIPE, errno.ETIME)]


def downgrades(tpm):
    """No error makes the module use a password. With require_encryption=0, some errors do."""
    def cases(code, wanted):
        return ((f"TPM_RC {rc:#x}", {code: refusal(rc)}, want) for rc, want in wanted)

    # attempt() checks that no command is authorized by password then.
    cannot = [(rc, "EOPNOTSUPP") for rc in UNSUPPORTED]
    for code in STARTING:
        group(tpm, f"errors of {NAMES[code]} that mean that the TPM cannot are EOPNOTSUPP",
              cases(code, cannot))
        group(tpm, f"other errors of {NAMES[code]} have the same outcome as for other commands",
              cases(code, NO_EXCUSE + NONSENSE + POSING))

    unload_module()
    load_module("require_encryption=0")
    cannot = [(rc, "in clear") for rc in UNSUPPORTED]
    for code in STARTING:
        group(tpm, f"with require_encryption=0, errors of {NAMES[code]} that mean that the TPM "
                   "cannot lead to a password", cases(code, cannot))
        group(tpm, f"with require_encryption=0, other errors of {NAMES[code]} do not lead to a password",
              cases(code, NO_EXCUSE + NONSENSE + POSING))
    use(tpm, OWN)


def another_root(tpm, layouts):
    """In a password session nothing protects the digest, but the module notices that it changed."""
    use(tpm, PASSWORD)
    same("in clear, the TPM gives the golden root check value",
         (status("root check"), session()), (GOLDEN, "in clear"))
    lines = len(klog())
    tpm.rules = {HMAC: flip(layouts[HMAC]["digest"][0], 0x01)}
    same("in clear, a changed digest in HMAC's answer gives another root", outcome(), "other root")
    tpm.rules = {}
    said = [line for line in klog()[lines:] if line.startswith("derived: ")]
    same("the log says that the root changed, with the old and the new root check value",
         [line.split(",")[0] for line in said],
         [f"derived: the root changed: its check value was {GOLDEN}. Every key is another one now",
          f"derived: root check value {status('root check')}"])
    same("an honest answer gives the golden root again", outcome(), "in clear")
    use(tpm, OWN)


def remembered(tpm):
    tpm.rules = {CREATE_NULL: refusal(0x101)}
    same("a TPM that fails is EIO", outcome(), "EIO")
    tpm.rules = {}
    del tpm.seen[:]
    same("the next requests are EIO without a TPM command",
         ([add_key() for i in range(5)], tpm.seen), (["EIO"] * 5, []))
    forget()
    same("after forget the TPM is asked again", (add_key(), tpm.seen[:1]), ("ok", [CREATE_NULL]))
    unload_module()
    tpm.rules = {CREATE_NULL: refusal(0x101)}
    load_module()
    tpm.rules = {}
    same("a failure when the module is loaded is remembered, too", add_key(), "EIO")
    same("after forget the request is served", outcome(), "ok")


def busy(tpm):
    given = []

    def retry_once(command, forward):
        given.append(error(0x922) if not given else forward(command))
        return given[-1]

    for code in (CREATE_NULL, START_SESSION, CREATE_PRIMARY, HMAC):
        del given[:]
        tpm.rules = {code: retry_once}
        same(f"a TPM that returns TPM_RC_RETRY once, to {NAMES[code]}, is asked again",
             (outcome(), len(given)), ("ok", 2))
    tpm.rules = {CREATE_PRIMARY: refusal(0x922)}
    began = time.monotonic()
    got = outcome()
    same("a TPM that always returns TPM_RC_RETRY is EAGAIN, within seconds",
         (got, time.monotonic() - began < 20), ("EAGAIN", True))
    lines = len(klog())
    tpm.rules = {FLUSH: refusal(0x101)}
    same("a TPM that flushes nothing is full after three primary keys, and then it is EAGAIN",
         [outcome() for i in range(3)], ["ok"] + ["EAGAIN"] * 2)
    tpm.rules = {}
    same("the objects that it did not flush are still there, and a session",
         [handle >> 24 for handle in tpm.left()], [OBJECT] * 3 + [SESSION])
    said = [line for line in klog()[lines:] if "could not be removed from the TPM" in line]
    point("the log says once that an object could not be removed",
          [] if len(said) == 1 and "0x80000001" in said[0] else klog()[lines:] or ["nothing"])
    tpm.flush(tpm.left())
    same("after it is emptied, the request is served", outcome(), "ok")

    # TPM2_StartAuthSession: no key, nothing to bind to, a nonce, no salt, HMAC, no cipher, SHA-256.
    foreign = resized(struct.pack(">HIIIIH16xHBHH", ST_NO_SESSIONS, 0, START_SESSION,
                                    RH_NULL, RH_NULL, 16, 0, 0, 0x10, 0xb))
    while tpm.forward(foreign)[6:10] == bytes(4):
        pass
    full = tpm.left()
    del tpm.seen[:]
    same("a TPM without a slot for a session is EAGAIN, and gets no further commands",
         (outcome(), tpm.seen), ("EAGAIN", [CREATE_NULL, START_SESSION, FLUSH]))
    same("the other program's sessions are still in it",
         (tpm.left(), {handle >> 24 for handle in full}), (full, {SESSION}))
    tpm.flush(full)
    same("after these sessions are flushed, the request is served", outcome(), "ok")

    tpm.delays = {FLUSH: 1, GET_CAPABILITY: 1}
    same("answers to FlushContext and GetCapability may come too late", outcome(), "ok")
    tpm.delays = {}
    same("the request after such late answers is served, and nothing is left in the TPM",
         (outcome(), tpm.left()), ("ok", []))


def return_codes(tpm, layouts):
    wanted = [(rc, "EACCES") for rc in (0x185, 0x98e, 0x9a2)] + NO_EXCUSE + NONSENSE + \
        [(rc, "EIO") for rc in (RC_COMMAND_CODE, 0x1c4, 0x2d5)]
    for code, layout in layouts.items():
        if code in STARTING:		# see downgrades()
            continue
        group(tpm, f"return codes of {NAMES[code]} become the right errnos",
              ((f"TPM_RC {rc:#x}", layout.rules(refusal(rc)), want)
               for rc, want in wanted if (code, rc) != (HMAC, RC_COMMAND_CODE)))
        group(tpm, f"return codes of {NAMES[code]} that look like errnos of the kernel are EIO",
              ((f"TPM_RC {rc:#x}", layout.rules(refusal(rc)), want) for rc, want in POSING))

    # After TPM2_HMAC the own session has ended: denying the command then gains an attacker nothing.
    deniable = {code: "EOPNOTSUPP" for code in STARTING} if tpm.kind is OWN else {HMAC: "in clear"}

    def forged():
        for code, layout in layouts.items():
            for rc in (RC_COMMAND_CODE, 0x101):
                want = deniable.get(code, "EIO") if rc == RC_COMMAND_CODE else "EIO"
                yield (f"{NAMES[code]}: TPM_RC {rc:#x}",
                       layout.rules(changed(lambda r, rc=rc: error(rc))), want, layout.hidden())
    group(tpm, "errors of a TPM that has executed the command are EIO, except those with an outcome "
               "of their own", forged())


def truncations(tpm, layout):
    """Cut the answer, first with the old size field, then with the right one."""
    name, every = NAMES[layout.code], tpm.kind.cut_every
    # An empty answer is no answer: the driver would go on waiting.
    group(tpm, f"{name}'s answer, cut short anywhere, is EIO",
          ((f"{n} bytes", layout.rules(changed(lambda r, n=n: r[:n])), "EIO", layout.hidden())
           for n in range(1, layout.length, 5 * every - 4)))
    group(tpm, f"{name}'s answer, cut short anywhere and with the right size, is EIO",
          ((f"{n} bytes", layout.rules(changed(lambda r, n=n: resized(r[:n]))), "EIO",
            layout.hidden(n < 14))
           for n in layout.lengths(10, every)))


def additions(tpm, layouts):
    def cases():
        for code, layout in layouts.items():
            for n in (1, 2, 3000):
                more = bytes(n)
                yield (f"{NAMES[code]} and {n} bytes",
                       layout.rules(changed(lambda r, more=more: r + more)), "EIO", layout.hidden())
                yield (f"{NAMES[code]} and {n} bytes, size right",
                       layout.rules(changed(lambda r, more=more: resized(r + more))), "EIO")
                if code != START_SESSION:
                    end = layout["nonce size"][0]
                    yield (f"{NAMES[code]} and {n} bytes of parameters, sizes right",
                           layout.rules(layout.spliced(end, end, more)), "EIO")
    group(tpm, "answers with bytes added, at the end or to the parameters, are EIO", cases())


def sizes(tpm, layouts, of_parameters=False):
    one_off = tpm.kind is not OWN or EVERY_BYTE

    def cases():
        for layout in layouts.values():
            for name, (begin, end) in layout.fields.items():
                if not name.endswith(("size", "count")) or \
                   (of_parameters and not layout.is_parameter(name)):
                    continue
                was = int.from_bytes(layout.response[begin:end], "big")
                most = 256 ** (end - begin) - 1
                others = {0, 1, most}
                if one_off:
                    others |= {was - 1, was + 1, most // 2 + 1}
                for new in sorted(others - {was, -1}):
                    to = new.to_bytes(end - begin, "big")
                    rule = changed(lambda r, begin=begin, end=end, to=to: r[:begin] + to + r[end:])
                    yield (f"{NAMES[layout.code]}: {name} {new:#x}", layout.rules(rule), "EIO",
                           layout.hidden_by(name))
    group(tpm, f"sizes that are 0, 1{', one off' if one_off else ''} or huge are EIO", cases())


def authorizations(tpm, layouts):
    """Answers like those of the other kind of session."""
    have = (b"\0\0", b"\0\x20" + bytes(range(32)))

    def cases():
        for code, layout in layouts.items():
            if code in STARTING:	# always by password, or without authorization
                continue
            begin, at = layout["nonce size"][0], layout["session attributes"][0]
            for nonce in have:
                for signed in have:
                    def how(r, begin=begin, at=at, nonce=nonce, signed=signed):
                        return resized(r[:begin] + nonce + r[at:at + 1] + signed)
                    if how(layout.response) != layout.response:
                        yield (f"{NAMES[code]}: {len(nonce) - 2} bytes of nonce, {len(signed) - 2} "
                               "of HMAC", layout.rules(changed(how)), "EIO")
    group(tpm, "answers without the nonce and the HMAC of the session, or with some where the "
               "session has none, are EIO", cases())


LONG = ("unique", "x", "y", "PCR digest", "creation hash", "ticket digest", "name", "digest",
        "nonce", "authorization")


def flips(tpm, layout, mask, without=()):
    """
    Change each byte. In the module's own session, change every fourth byte of the long fields in the less
    important answers: those that neither the session nor the root secret depends on.
    """
    may_pass = tpm.kind.may_pass.get(layout.code, {})
    less = tpm.kind is OWN and layout.code in (CREATE_NULL, *SEQUENCE) and not EVERY_BYTE
    every = 4 if less else 1

    def want(at, name):
        # TPM_RC 0x080 is of format one: see downgrades().
        if layout.code in STARTING and name == "return code" and at == 9 and mask == 0x80:
            return "EOPNOTSUPP"
        return may_pass.get(name, "EIO")

    def cases():
        for at in range(layout.length):
            name = layout.name_of(at)
            if name not in without and (at % every == 0 or name not in LONG):
                yield (f"byte {at} ({name})", layout.rules(flip(at, mask)), want(at, name),
                       layout.hidden_by(name))
    group(tpm, f"{NAMES[layout.code]}'s answer with any byte "
               f"{'(except those of digests) ' if without else ''}changed by {mask:#04x} is EIO, "
               "except for the fields of may_pass", cases())


def consistent_lies(tpm, layout):
    """The TPM returns wrong data about the object, with the right digest over that data."""
    ok = tpm.kind.ok

    def public():
        for at in range(layout["public"][0], layout.public_end):
            name = layout.name_of(at)
            yield (f"byte {at} ({name})", layout.rules(flip(at, 0x01, layout.renamed)),
                   ok if name == "unique" else "EIO")
        for name in layout.unique:
            for n in (0, 31, 33, 100):
                yield (f"{n} bytes of {name}",
                       layout.rules(layout.published(layout.public(**{name: n * b"\1"}))), "EIO")
        yield "no public area", layout.rules(layout.published(b"")), "EIO"
        yield "a longer one", layout.rules(layout.published(layout.public() + b"\0\0")), "EIO"
    group(tpm, f"{NAMES[layout.code]}'s answer with another public area and its right name is EIO, "
               "unless only the unique of an HMAC key differs", public())

    def creation():
        free = ("PCR digest", "locality", "parent nameAlg", "parent name", "parent qualified name")
        for at in range(layout["PCR selection count"][0], layout["outsideInfo"][1]):
            name = layout.name_of(at)
            yield (f"byte {at} ({name})", layout.rules(flip(at, 0x01, layout.rehashed)),
                   {ok, "EIO"} if name in free else "EIO")
        begin, end = layout["outsideInfo size"]
        yield ("some outsideInfo",
               layout.rules(layout.spliced(begin, end, b"\0\1x", layout.rehashed)), "EIO")
        begin, end = layout["PCR selection count"]
        yield ("a PCR selected",
               layout.rules(layout.spliced(begin, end, bytes.fromhex("00000001 000b 03 010000"),
                                           layout.rehashed)), "EIO")
        yield ("bytes after the creation data",
               layout.rules(layout.spliced(*2 * layout["outsideInfo"][1:], bytes(2),
                                           layout.rehashed)), "EIO")
    group(tpm, f"{NAMES[layout.code]}'s answer with other creation data and its right hash is EIO, "
               "if the data does not match the command", creation())


def points_of_the_curve(tpm, null):
    """Other points in the place of the null primary key, with the right name."""
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    g = ec.derive_private_key(1, ec.SECP256R1()).public_key().public_numbers()
    x, y = (int.from_bytes(null.response[slice(*null[name])], "big") for name in ("x", "y"))
    lies = [("(0, 0)", 0, 0, "EIO"), ("(0, y)", 0, y, "EIO"), ("(x, 0)", x, 0, "EIO"),
            ("(y, x)", y, x, "EIO"), ("(p, y)", p, y, "EIO"), ("(x, p)", x, p, "EIO"),
            ("all ones", 2**256 - 1, 2**256 - 1, "EIO"),
            # On the curve, but the TPM computes another salt, as if the key had a password.
            ("the base point", g.x, g.y, "EACCES"),
            # Only x goes into the salt.
            ("(x, -y)", x, p - y, "ok")]

    def cases():
        for what, x, y, want in lies:
            public = null.public(x=x.to_bytes(32, "big"), y=y.to_bytes(32, "big"))
            yield what, null.rules(null.published(public)), want
    group(tpm, "other points in the place of the null primary key are EIO, or the session fails", cases())


def digests(tpm, layouts):
    def cases():
        for code in (HMAC, SEQUENCE_COMPLETE):
            layout = layouts[code]
            begin, end = layout["digest"]
            yield (f"{NAMES[code]}: all zero",
                   layout.rules(layout.spliced(begin, end, bytes(end - begin))), "EIO")
            for n in (0, 31, 33, 64, 2000):
                new = struct.pack(">H", n) + n * b"x"
                yield (f"{NAMES[code]}: a digest of {n} bytes",
                       layout.rules(layout.spliced(begin - 2, end, new)), "EIO")
            yield (f"{NAMES[code]}: no parameters",
                   layout.rules(layout.spliced(begin - 2, layout["nonce size"][0], b"")), "EIO")
            yield (f"{NAMES[code]}: CreatePrimary's answer",
                   layout.rules(answer(layouts[CREATE_PRIMARY].response)), "EIO")
    group(tpm, "a digest that is all zero or has not 32 bytes is EIO", cases())


def identification(tpm):
    use(tpm, PASSWORD)
    length = len(tpm.answers[GET_CAPABILITY])
    rules = [(f"byte {at}", flip(at, 0x80)) for at in range(length)] + \
        [(f"{n} bytes", changed(lambda r, n=n: resized(r[:n]))) for n in range(10, length, 3)] + \
        [("7 bytes", changed(lambda r: r[:7])), ("TPM_RC 0x101", refusal(0x101))]
    group(tpm, "a changed, cut or refused answer of GetCapability does not matter",
          ((what, {GET_CAPABILITY: rule}, "in clear") for what, rule in rules))
    # The value of the first property: the vendor of the TPM.
    tpm.rules = {GET_CAPABILITY: changed(lambda r: r[:23] + b"\x1b\xff\nA" + r[27:])}
    same("a TPM with special characters in its vendor's name gives a key", outcome(), "in clear")
    tpm.rules = {}
    same("status replaces the special characters", status("TPM vendor"), "???A")
    use(tpm, OWN)


def replays(tpm, layouts, root):
    """Answers of an earlier fetch, or to another command."""
    def digest():
        begin, end = layouts[HMAC]["digest"]
        return tpm.answers[HMAC][begin:end]

    got, earlier = [outcome()], dict(tpm.answers)
    first = digest()
    got.append(outcome())
    same("the encrypted digests of two fetches and the root secret are three different values",
         (got, len({first, digest(), root}), len(root)), (["ok"] * 2, 3, 32))
    same("the root secret does not cross the bus", [m.hex() for m in tpm.traffic if root in m], [])
    for code in STARTING:
        tpm.traffic.clear()
        tpm.rules = {code: refusal(RC_VALUE)}
        same(f"the root secret does not cross the bus if the TPM, or an attacker, refuses {NAMES[code]}",
             (outcome(), len(tpm.traffic) > 1, any(root in m for m in tpm.traffic)),
             ("EOPNOTSUPP", True, False))
    tpm.rules = {}
    use(tpm, PASSWORD)
    same("without the module's own session, the root secret crosses the bus",
         (outcome(), any(root in m for m in tpm.traffic)), ("in clear", True))
    use(tpm, OWN)
    tpm.rules = {HMAC: refusal(RC_COMMAND_CODE)}
    got = outcome()
    tpm.rules = {}
    same("by a sequence, the root secret does not cross the bus",
         (got, [m.hex() for m in tpm.traffic if root in m],
          root in tpm.answers[SEQUENCE_COMPLETE]), ("ok", [], False))
    earlier.update({code: tpm.answers[code] for code in SEQUENCE})

    def replayed():
        wants = {CREATE_NULL: "ok", START_SESSION: "EACCES"}
        for code, layout in layouts.items():
            yield NAMES[code], layout.rules(answer(earlier[code])), wants.get(code, "EIO")
        unasked = {code: lambda c, f, code=code: earlier[code] for code in earlier}
        yield "HMAC, and the TPM is not asked", {HMAC: unasked[HMAC]}, "EIO"
        yield "all of it, and the TPM is not asked", unasked, "EIO"
        yield ("all of it with a sequence, and the TPM is not asked",
               {**unasked, HMAC: refusal(RC_COMMAND_CODE)}, "EIO")
    group(tpm, "answers of an earlier fetch are EIO", replayed())

    def swapped():
        for asked, layout in layouts.items():
            for given in layouts:
                if given != asked:
                    hides = earlier[given][10:14] != earlier[asked][10:14]
                    yield (f"{NAMES[asked]}: {NAMES[given]}'s",
                           layout.rules(answer(earlier[given])), "EIO", layout.hidden(hides))
        yield ("HMAC: CreatePrimary's, of the same fetch",
               {HMAC: lambda c, f: (f(c), tpm.answers[CREATE_PRIMARY])[1]}, "EIO")
    group(tpm, "answers to other commands are EIO", swapped())


def interposed(tpm, layouts, root):
    """
    An attacker on the TPM's bus can be in the middle of the module's own session
    (Documentation/threat-model.rst). This attacker learns the root secret, and can give another one; but
    no answer that the attacker signs does more harm.
    """
    unload_module()
    load_module()
    null_primary = status("null primary")
    lines = len(klog())
    attacker = Interposer(layouts[OWN][CREATE_NULL])
    tpm.kind = attacker.kind()
    same("an interposer with a null primary key of its own learns the root secret",
         (outcome(), attacker.heard), ("ok", b"\0\x20" + root))
    same("status shows the name of the interposer's key, which differs from the TPM's",
         (status("null primary"), null_primary != attacker.name.hex()), (attacker.name.hex(), True))
    same("the log says that the null primary key changed", klog()[lines:],
         [f"derived: the name of the TPM's null primary key changed to {attacker.name.hex()}: the TPM "
          "was reset (as by hibernation), or an attacker is on its bus"])
    layouts = layouts[PASSWORD]
    tpm.rules = {HMAC: flip(layouts[HMAC]["digest"][0], 0x01)}
    same("an interposer can give another root", outcome(), "other root")
    tpm.rules = {}
    same("nothing is left in the TPM", tpm.left(), [])

    digests(tpm, layouts)
    sizes(tpm, layouts, True)
    consistent_lies(tpm, layouts[CREATE_PRIMARY])

    def cases():
        for code in (CREATE_PRIMARY, HMAC, *SEQUENCE):
            name = NAMES[code]
            for attributes in (0x00, 0x01, 0x20, 0x40, 0x41, 0xff):
                sent = 0x40 if code in (HMAC, SEQUENCE_COMPLETE) else 0x01
                if attributes != sent:
                    yield (f"{name}: attributes {attributes:#04x}",
                           attacker.lying(code, attributes=attributes), "EIO")
            for n in (0, 16, 31, 33, 64):
                yield f"{name}: a nonce of {n} bytes", attacker.lying(code, nonce=n * b"x"), "EIO"
                yield (f"{name}: an HMAC of {n} bytes",
                       attacker.lying(code, hmac=lambda h, n=n: (2 * h)[:n]), "EIO")
            yield f"{name}: signed as TPM2_Unseal's", attacker.lying(code, signed_for=0x15e), "EIO"
            yield (f"{name}: the nonces interchanged",
                   attacker.lying(code, nonces=lambda newer, older: older + newer), "EIO")
            yield f"{name}: no nonces", attacker.lying(code, nonces=lambda newer, older: b""), "EIO"
            yield f"{name}: no lie", attacker.lying(code), "ok"
    group(tpm, "answers that are signed wrongly are EIO", cases())
    tpm.kind = OWN
    same("without the interposer, the TPM's null primary key is used again",
         (outcome(), status("null primary")), ("ok", null_primary))


def slow(tpm, herd):
    """
    A slow TPM: the number of requests that wait, and that other processes are not delayed. "At once"
    means: before the TPM answers the one command that it has. So this does not depend on a clock.
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
    tpm.rules = {CREATE_NULL: held}
    first, others, more = herd[0], herd[1:20], herd[20:28]
    first.go()
    wait_for(lambda: tpm.seen)
    for process in others:
        process.go()
    comes_true(lambda: len(refused(others)) >= 12, 10)
    same("requests that wait for a slow TPM do not delay a key of type user", user_key(), "ok")
    time.sleep(0.5)			# one refusal too many would come in this time
    same("of 20 requests to a slow TPM, 12 are refused with EAGAIN, at once", len(refused(others)), 12)
    same("the other requests wait", (len(waiting(others)), first.result()), (7, None))
    killed = waiting(others)
    same("waiting processes die at once when they are killed", [p.pid for p in killed if not p.kill()], [])
    for process in more:
        process.go()
    comes_true(lambda: refused(more), 10)
    time.sleep(0.5)
    same("the places of the killed processes are free again: one request more than these is refused",
         len(refused(more)), 1)
    last, *killed = waiting(more)
    same("the new waiting processes die at once, too", [p.pid for p in killed if not p.kill()], [])
    same("until now, the TPM has not answered any command", (tpm.seen, first.result()),
         ([CREATE_NULL], None))
    answer.set()
    comes_true(lambda: first.result(), 10)
    same("the process at the TPM gets its key", first.result(), "ok")
    wait_for(lambda: tpm.seen.count(CREATE_NULL) == 2)
    # This process may die now, or when the TPM has answered; its objects in the TPM are removed.
    os.kill(last.pid, signal.SIGKILL)
    time.sleep(0.2)
    answer.set()
    same("a process that is killed at the TPM dies", last.kill(), True)
    comes_true(lambda: len(tpm.seen) >= 2 * len(FETCH), 2)
    same("no command was sent for the processes that were killed while they waited, and all commands "
         "for the two processes at the TPM", tpm.seen, FETCH * 2)
    same("a process that is killed at the TPM leaves nothing in it", tpm.left(), [])
    tpm.rules = {}
    same("after these, the next request is served", add_key(), "ok")


def vanishing(swtpm, tpm):
    """The TPM vanishes while it is asked, and another one comes."""
    # Within a command, the driver only reports that the command was canceled.
    for code, wants in ((CREATE_NULL, ("ENXIO", "EIO")), (START_SESSION, ("ENXIO", "EIO")),
                        (HMAC, ("ENXIO", "EIO")), (FLUSH, ("ok",))):
        tpm.rules = {code: nth(2, gone) if code == FLUSH else gone}
        got = outcome()
        point(f"a TPM that vanishes at {NAMES[code]} is {' or '.join(wants)}",
              [] if got in wants else [f"got {got}"])
        tpm.join(10)
        if tpm.failure:
            raise tpm.failure
        same(f"after the TPM has vanished at {NAMES[code]}, and forget, a request is ENXIO", outcome(), "ENXIO")
        tpm = make_vtpm(swtpm)
        tpm.kind = OWN
        tpm.flush(tpm.left())
        same(f"with another TPM after that at {NAMES[code]}, the very next request is served",
             (add_key(), status("root check"), session()), ("ok", GOLDEN, "ok"))
    return tpm


def without_hmac(swtpm, tpm):
    """A TPM that does not list TPM2_HMAC among its commands when the driver asks for them."""
    tpm.rules = {CREATE_NULL: gone}
    outcome()
    tpm.join(10)
    tpm = make_vtpm(swtpm, {GET_CAPABILITY: without_command(HMAC)})
    tpm.kind, tpm.rules = OWN, {}
    tpm.flush(tpm.left())
    del tpm.seen[:]
    same("a TPM that does not list TPM2_HMAC gives the golden root check value", outcome(), "ok")
    same("TPM2_HMAC is not sent to it", tpm.seen, by_sequence(FETCH, False))
    same("nothing is left in a TPM that does not list TPM2_HMAC", tpm.left(), [])
    return tpm


class Asker:
    """A process that waits for go(), requests a key, and reports the outcome."""

    def __init__(self, number):
        here, there = os.pipe(), os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            # The process must not outlive the test.
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
        """An errno or "ok"; None as long as there is no outcome."""
        if self.got is None and select.select([self.from_], [], [], 0)[0]:
            self.got = os.read(self.from_, 100).decode() or None
        return self.got

    def kill(self, seconds=10):
        """Kill the process. Returns whether it dies within that time."""
        os.kill(self.pid, signal.SIGKILL)
        return comes_true(lambda: os.waitpid(self.pid, os.WNOHANG)[0], seconds)


def main():
    began = time.monotonic()
    herd = [Asker(number) for number in range(28)]	# before there are threads
    with Swtpm(DERIVED + "/tests/vectors/tpm-golden") as swtpm:
        tpm = make_vtpm(swtpm)
        tpm.kind = OWN
        honest(tpm)
        without_session(tpm)
        layouts = {kind: learn(tpm, kind) for kind in (OWN, PASSWORD)}
        digest = layouts[PASSWORD][HMAC]["digest"]
        root = layouts[PASSWORD][HMAC].response[slice(*digest)]
        another_root(tpm, layouts[PASSWORD])
        remembered(tpm)
        busy(tpm)
        downgrades(tpm)
        for kind, of_kind in layouts.items():
            use(tpm, kind)
            return_codes(tpm, of_kind)
            for layout in of_kind.values():
                truncations(tpm, layout)
                flips(tpm, layout, 0x01)
                if kind is PASSWORD or layout.code in STARTING:
                    flips(tpm, layout, 0x80, LONG)
            additions(tpm, of_kind)
            sizes(tpm, of_kind)
            authorizations(tpm, of_kind)
        consistent_lies(tpm, layouts[PASSWORD][CREATE_PRIMARY])
        digests(tpm, layouts[PASSWORD])
        use(tpm, OWN)
        consistent_lies(tpm, layouts[OWN][CREATE_NULL])
        points_of_the_curve(tpm, layouts[OWN][CREATE_NULL])
        replays(tpm, layouts[OWN], root)
        interposed(tpm, layouts, root)
        identification(tpm)
        same("no nonce and no ephemeral key was used twice",
             (len(Vtpm.fresh) > 1000, Vtpm.reused), (True, []))

        # There were thousands of failures with five causes. The log has at most one line per cause and
        # minute; loading the module starts a new minute.
        lines = [line for line in klog() if ": refused: " in line]
        most = 5 * (loads + int((time.monotonic() - began) / 60))
        point("all these failures make few lines in the log",
              [] if 0 < len(lines) <= most else [f"{len(lines)} lines, at most {most}", *lines])

        slow(tpm, herd)
        tpm = vanishing(swtpm, tpm)
        tpm = without_hmac(swtpm, tpm)
        unload_module()
        same("nothing is left in the TPM at the end", tpm.left(), [])
    done()


main()

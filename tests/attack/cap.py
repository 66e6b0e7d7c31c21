#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
cap.py: for cap.sh: an attacker with the TPM device, who wants a root secret of the module. It sends the commands
of the TCG's TPM 2.0 Library specification itself.

    cap.py TPM prepare DIRECTORY     keep in DIRECTORY and in the TPM what may be of use after the cap
    cap.py TPM attack DIRECTORY      try each row of ROWS; for each, print "ROW plain RESULT" and "ROW capped RESULT"
    cap.py TPM tidy DIRECTORY        remove from the TPM what prepare has left there
    cap.py TPM fetch TARGET          fetch the root secret, and print it in hexadecimal or the TPM's refusal
    cap.py TPM policy TARGET         print the policy of the target's key, and the values of its PCRs
    cap.py TPM extend PCR=HEX...     extend PCRs of the SHA-256 bank
    cap.py TPM allocate              TPM2_PCR_Allocate, of the SHA-1 bank alone
    cap.py TPM reset PCR             TPM2_PCR_Reset
    cap.py TPM leftover TARGET       complete every sequence that is left in the TPM; print the results
    cap.py TPM trick                 the TPM computes the policy itself: an outcome before and after PCR 13 is extended

TPM is a device or the UNIX socket of an swtpm. TARGET is plain, or capped:PCR[,PCR...][:POLICY]: the PCRs of the
policy, whose last one is the cap PCR. Without POLICY (in hexadecimal) the policy is the one of this boot.

A result is "root": the attacker has the golden root secret; another word if the TPM did something else; or the
TPM's refusal, as in Part 2, 6.6.3, without "TPM_RC_".
"""

import hashlib
import hmac
import os
import socket
import stat
import struct
import sys

sys.dont_write_bytecode = True
TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TREE, "tests", "lib"))
from tpm_messages import (  # noqa: E402
    CODES, LOADED_SESSIONS, OBJECTS, RH_NULL, RH_OWNER, RS_PW, ST_NO_SESSIONS, ST_SESSIONS, Refused, code_of,
    flush, handles, pcr_allocate, pcr_extend, pcr_selection, receive, tpm2b)

RH_LOCKOUT = 0x4000000a
SE_HMAC, SE_POLICY, SE_TRIAL = 0, 1, 3
ALG_NULL, ALG_HMAC, ALG_SHA1, ALG_SHA256 = 0x10, 0x5, 0x4, 0xb
SHA256_SIZE = 32
ZERO = bytes(SHA256_SIZE)
SHA1_ALONE = {ALG_SHA1: range(24), ALG_SHA256: ()}

NAMES = {
    0x082: "ATTRIBUTES", 0x084: "VALUE", 0x085: "HIERARCHY", 0x08a: "TYPE", 0x08b: "HANDLE", 0x08e: "AUTH_FAIL", 0x095: "SIZE",
    0x09b: "SIGNATURE", 0x09d: "POLICY_FAIL", 0x0a2: "BAD_AUTH", 0x100: "INITIALIZE", 0x101: "FAILURE", 0x124: "AUTH_TYPE",
    0x128: "PCR_CHANGED", 0x12f: "AUTH_UNAVAILABLE", 0x143: "COMMAND_CODE", 0x902: "OBJECT_MEMORY", 0x907: "LOCALITY",
    0x910: "REFERENCE_H0",
}


def name_of(rc):
    """The name of a return code, without the number of the handle, parameter or session that it is about."""
    rc &= 0xfff			# the resource manager's layer
    if rc & 0x80:
        rc = 0x80 | rc & 0x3f
    return NAMES.get(rc, f"{rc:#05x}")


def sha256(data):
    return hashlib.sha256(data).digest()


PASSWORD = struct.pack(">IHBH", RS_PW, 0, 0, 0)


def by_session(session, password=b""):
    """Authorized by a session without a key: the HMAC is empty, and it goes on."""
    return struct.pack(">IHB", session, 0, 1) + tpm2b(password)


class Tpm:
    def __init__(self, path):
        self.is_socket = stat.S_ISSOCK(os.stat(path).st_mode)
        if self.is_socket:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(path)
        else:
            self.fd = os.open(path, os.O_RDWR)

    def exchange(self, command):
        if self.is_socket:
            self.socket.sendall(command)
            return receive(self.socket)
        os.write(self.fd, command)
        return os.read(self.fd, 4096)

    def run(self, code, handle_list=(), parameters=b"", auth=None):
        """Send a command; returns what follows the header of its response, without the authorization's fields."""
        code = CODES.get(code, code)
        body = b"".join(struct.pack(">I", handle) for handle in handle_list)
        if auth is not None:
            body += struct.pack(">I", len(auth)) + auth
        body += parameters
        tag = ST_NO_SESSIONS if auth is None else ST_SESSIONS
        return self.ask(struct.pack(">HII", tag, 10 + len(body), code) + body)[10:]

    def ask(self, command):
        response = self.exchange(command)
        if code_of(response):
            raise Refused(code_of(response))
        return response

    # Each of these is one command.

    def create(self, public):
        answer = self.run("CreatePrimary", [RH_OWNER],
                          tpm2b(bytes(4)) + tpm2b(public) + tpm2b(b"") + struct.pack(">I", 0), PASSWORD)
        return struct.unpack_from(">I", answer)[0]

    def read_public(self, handle):
        """The public area and the name."""
        answer = self.run("ReadPublic", [handle])
        length, = struct.unpack_from(">H", answer)
        public, rest = answer[2:2 + length], answer[2 + length:]
        return public, rest[2:2 + struct.unpack_from(">H", rest)[0]]

    def start_session(self, kind):
        answer = self.run("StartAuthSession", [RH_NULL, RH_NULL],
                          tpm2b(os.urandom(SHA256_SIZE)) + tpm2b(b"") + struct.pack(">BHH", kind, ALG_NULL, ALG_SHA256))
        return struct.unpack_from(">I", answer)[0], answer[6:6 + SHA256_SIZE]

    def policy_pcr(self, session, pcrs, digest=b"", bank=ALG_SHA256):
        self.run("PolicyPCR", [session], tpm2b(digest) + pcr_selection(pcrs, bank))

    def hmac(self, handle, data, auth):
        answer = self.run("HMAC", [handle], tpm2b(data) + struct.pack(">H", ALG_SHA256), auth)
        return answer[6:6 + SHA256_SIZE]

    def hmac_start(self, handle, auth):
        answer = self.run("HMAC_Start", [handle], tpm2b(b"") + struct.pack(">H", ALG_SHA256), auth)
        return struct.unpack_from(">I", answer)[0]

    def complete(self, sequence, data, auth=PASSWORD):
        answer = self.run("SequenceComplete", [sequence], tpm2b(data) + struct.pack(">I", RH_NULL), auth)
        return answer[6:6 + SHA256_SIZE]

    def save(self, handle):
        return self.run("ContextSave", [handle])

    def load(self, context):
        return struct.unpack(">I", self.run("ContextLoad", [], context))[0]

    def evict(self, handle, persistent):
        self.run(0x120, [RH_OWNER, handle], struct.pack(">I", persistent), PASSWORD)

    def pcr(self, pcr):
        answer = self.run("PCR_Read", [], pcr_selection([pcr]))
        return answer[-SHA256_SIZE:]

    def extend(self, pcr, digest):
        self.ask(pcr_extend(pcr, digest))

    def left(self, *kinds):
        return handles(self.exchange, *(kinds or (OBJECTS, LOADED_SESSIONS)))

    def clear(self):
        """Remove our objects and sessions, so that the next attempt has free slots."""
        flush(self.exchange, self.left())


class Plain:
    name = "plain"
    data = struct.pack(">I", 1) + b"derived-keys v1 root\0" + struct.pack(">I", 256)
    pcrs = (13,)			# for a policy, which this key does not have

    def public(self, attributes=0x00040472):
        return struct.pack(">HHI", 8, ALG_SHA256, attributes) + tpm2b(b"") + \
            struct.pack(">HH", ALG_HMAC, ALG_SHA256) + tpm2b(sha256(b"derived-keys v1"))


class Capped:
    name = "capped"

    def __init__(self, tpm, pcrs, policy=None):
        self.pcrs = pcrs
        values = {pcr: tpm.pcr(pcr) for pcr in pcrs[:-1]}
        values[pcrs[-1]] = ZERO
        self.values = values
        self.policy = policy or sha256(ZERO + struct.pack(">I", CODES["PolicyPCR"]) + pcr_selection(pcrs) +
                                       sha256(b"".join(values[pcr] for pcr in sorted(pcrs))))
        self.data = struct.pack(">I", 1) + b"derived-keys v1 capped root\0" + self.policy + struct.pack(">I", 256)

    def public(self, attributes=0x000404b2):
        return struct.pack(">HHI", 8, ALG_SHA256, attributes) + tpm2b(self.policy) + \
            struct.pack(">HH", ALG_HMAC, ALG_SHA256) + tpm2b(sha256(b"derived-keys v1 capped"))


def target(tpm, text):
    if text == "plain":
        return Plain()
    _, pcrs, *policy = text.split(":")
    return Capped(tpm, [int(pcr) for pcr in pcrs.split(",")], bytes.fromhex(policy[0]) if policy else None)


def golden(name):
    """The root secret of tests/vectors/tpm-golden."""
    wanted = {"plain": (["root", "golden"], 3), "capped": (["capped-root", "golden", "13"], 9)}
    words, column = wanted[name]
    with open(os.path.join(TREE, "tests", "vectors", "golden.tsv"), encoding="utf-8") as file:
        for line in file:
            fields = line.rstrip("\n").split("\t")
            if fields[:len(words)] == words:
                return bytes.fromhex(fields[column])
    raise RuntimeError("golden.tsv has no such root")


# ---------------------------------------------------------------- the attacks

def satisfied(tpm, key):
    """A policy session for the key."""
    session, _ = tpm.start_session(SE_POLICY)
    tpm.policy_pcr(session, key.pcrs)
    return session


def with_policy(tpm, key, handle=None):
    return tpm.hmac(handle or tpm.create(key.public()), key.data, by_session(satisfied(tpm, key)))


def with_password(tpm, key, handle=None):
    return tpm.hmac(handle or tpm.create(key.public()), key.data, PASSWORD)


def authorized(tpm, key, attempt):
    """Try it by password, and then, if the key has a policy, by a policy session."""
    try:
        return attempt(PASSWORD)
    except Refused:
        if key.name == "plain":
            raise
    return attempt(by_session(satisfied(tpm, key)))


def with_any(tpm, key, handle=None):
    handle = handle or tpm.create(key.public())
    return authorized(tpm, key, lambda auth: tpm.hmac(handle, key.data, auth))


def with_hmac_session(tpm, key):
    handle = tpm.create(key.public())
    name = tpm.read_public(handle)[1]
    session, nonce = tpm.start_session(SE_HMAC)
    parameters = tpm2b(key.data) + struct.pack(">H", ALG_SHA256)
    ours, attributes = os.urandom(SHA256_SIZE), b"\1"
    digest = hmac.digest(b"", sha256(struct.pack(">I", CODES["HMAC"]) + name + parameters) + ours + nonce + attributes,
                         "sha256")
    answer = tpm.run("HMAC", [handle], parameters,
                     struct.pack(">I", session) + tpm2b(ours) + attributes + tpm2b(digest))
    return answer[6:6 + SHA256_SIZE]


def with_zero_digest(tpm, key):
    """The values that the policy demands, instead of those that the PCRs have."""
    session, _ = tpm.start_session(SE_POLICY)
    tpm.policy_pcr(session, key.pcrs, sha256(ZERO * len(key.pcrs)))
    return tpm.hmac(tpm.create(key.public()), key.data, by_session(session))


def with_trial(tpm, key):
    """A trial session reaches any policy."""
    session, _ = tpm.start_session(SE_TRIAL)
    tpm.policy_pcr(session, key.pcrs, sha256(ZERO * len(key.pcrs)))
    return tpm.hmac(tpm.create(key.public()), key.data, by_session(session))


def sign(tpm, key, data):
    handle = tpm.create(key.public())
    scheme = struct.pack(">HH", ALG_HMAC, ALG_SHA256)
    ticket = struct.pack(">HIH", 0x8024, RH_NULL, 0)
    answer = authorized(tpm, key, lambda auth: tpm.run(0x15d, [handle], tpm2b(data) + scheme + ticket, auth))
    return answer[8:8 + SHA256_SIZE]


def sign_root(tpm, key):
    return sign(tpm, key, key.data)


def sign_digest(tpm, key):
    sign(tpm, key, sha256(b"a digest"))
    return "signs"


def quote(tpm, key):
    """The key signs, by TPM2_Quote, what the TPM says about a PCR."""
    handle = tpm.create(key.public())
    parameters = tpm2b(b"") + struct.pack(">HH", ALG_HMAC, ALG_SHA256) + pcr_selection([0])
    authorized(tpm, key, lambda auth: tpm.run(0x158, [handle], parameters, auth))
    return "signs"


def sequence(tpm, key):
    handle = tpm.create(key.public())
    begun = authorized(tpm, key, lambda auth: tpm.hmac_start(handle, auth))
    return tpm.complete(begun, key.data)


def verify(tpm, key):
    """Nothing authorizes TPM2_VerifySignature. The attacker has a guess, which happens to be right."""
    handle = tpm.create(key.public())
    signature = struct.pack(">HH", ALG_HMAC, ALG_SHA256) + golden(key.name)
    tpm.run(0x177, [handle], tpm2b(key.data) + signature)
    return "answers"


def verify_wrong(tpm, key):
    """The same with a guess that is wrong."""
    handle = tpm.create(key.public())
    tpm.run(0x177, [handle], tpm2b(key.data) + struct.pack(">HH", ALG_HMAC, ALG_SHA256) + ZERO)
    return "answers"


def certify(tpm, key):
    """A statement about the key, which nothing signs."""
    handle = tpm.create(key.public())
    parameters = tpm2b(b"") + struct.pack(">H", ALG_NULL)
    answer = authorized(tpm, key, lambda auth: tpm.run(0x148, [handle, RH_NULL], parameters, auth + PASSWORD))
    return secret_in(answer, key)


def duplicate(tpm, key):
    handle = tpm.create(key.public())
    parameters = tpm2b(b"") + struct.pack(">H", ALG_NULL)
    answer = authorized(tpm, key, lambda auth: tpm.run(0x14b, [handle, RH_NULL], parameters, auth))
    return secret_in(answer, key)


def unseal(tpm, key):
    handle = tpm.create(key.public())
    answer = authorized(tpm, key, lambda auth: tpm.run(0x15e, [handle], b"", auth))
    return secret_in(answer, key)


def change_auth(tpm, key):
    """TPM2_ObjectChangeAuth gives the sensitive area, encrypted for the parent."""
    handle = tpm.create(key.public())
    answer = authorized(tpm, key, lambda auth: tpm.run(0x150, [handle, handle], tpm2b(b""), auth))
    return secret_in(answer, key)


def read_public(tpm, key):
    handle = tpm.create(key.public())
    return secret_in(tpm.run("ReadPublic", [handle]), key)


def secret_in(answer, key):
    """Whether the answer has the root secret, or the key that it is computed with."""
    secret = golden(key.name)
    for at in range(len(answer) - SHA256_SIZE + 1):
        piece = answer[at:at + SHA256_SIZE]
        if secret in (piece, hmac.digest(piece, key.data, "sha256")):
            return secret
    return "nothing secret"


def other_attributes(tpm, key):
    """The same template, but a password authorizes."""
    return with_password(tpm, key, tpm.create(key.public(0x000404f2)))


def other_policy(tpm, key):
    """The same template without a policy."""
    public = Plain().public().replace(sha256(b"derived-keys v1"), sha256(b"derived-keys v1 capped"))
    return tpm.hmac(tpm.create(public), key.data, PASSWORD)


def pcr_reset(tpm, key):
    tpm.run(0x13d, [key.pcrs[-1]], b"", PASSWORD)
    return with_policy(tpm, key)


def allocate(tpm, key):
    """The SHA-1 bank alone, from the next reset of the TPM on."""
    tpm.ask(pcr_allocate(SHA1_ALONE))
    return with_policy(tpm, key)


def startup(tpm, key):
    tpm.run("Startup", [], struct.pack(">H", 0))
    return with_policy(tpm, key)


def shutdown(tpm, key):
    tpm.run("Shutdown", [], struct.pack(">H", 0))
    return with_any(tpm, key)


class Store:
    """What the attacker keeps from before the cap, for each kind of key."""

    def __init__(self, tpm, directory, key, number):
        self.tpm, self.key = tpm, key
        self.directory = os.path.join(directory, key.name)
        self.persistent = 0x81000100 + number

    def put(self, name, context):
        os.makedirs(self.directory, exist_ok=True)
        with open(os.path.join(self.directory, name), "wb") as file:
            file.write(context)

    def get(self, name):
        with open(os.path.join(self.directory, name), "rb") as file:
            return file.read()

    def prepare(self):
        tpm, key = self.tpm, self.key
        handle = tpm.create(key.public())
        self.put("primary", tpm.save(handle))
        tpm.evict(handle, self.persistent)
        begun = authorized(tpm, key, lambda auth: tpm.hmac_start(handle, auth))
        self.put("sequence", tpm.save(begun))
        tpm.clear()
        if key.name == "capped":
            self.put("session", tpm.save(satisfied(tpm, key)))

    def tidy(self):
        self.tpm.evict(self.persistent, self.persistent)


def context(tpm, key, store):
    handle = tpm.load(store.get("primary"))
    return with_any(tpm, key, handle)


def persistent(tpm, key, store):
    return with_any(tpm, key, store.persistent)


def old_session(tpm, key, store):
    session = tpm.load(store.get("session"))
    return tpm.hmac(tpm.create(key.public()), key.data, by_session(session))


def old_sequence(tpm, key, store):
    return tpm.complete(tpm.load(store.get("sequence")), key.data)


ROWS = {
    "K1": with_policy, "K1b": with_zero_digest, "K1c": with_trial, "K2": with_password, "K3": with_hmac_session,
    "K4": sign_root, "K4b": sign_digest, "K4c": quote, "K5": sequence, "K6": context, "K7": persistent,
    "K8": old_session, "K9": old_sequence, "K10": verify, "K10b": verify_wrong, "K11": read_public, "K11b": certify,
    "K11c": duplicate, "K11d": unseal, "K11e": change_auth, "K12": other_attributes, "K12b": other_policy,
    "K13": pcr_reset, "K14": startup, "K14b": shutdown, "K15": allocate,
}
STORED = (context, persistent, old_session, old_sequence)
ONLY_CAPPED = (with_zero_digest, with_trial, old_session, other_attributes, other_policy, pcr_reset, startup, shutdown,
               allocate)	# the plain key has no policy, and no PCR concerns it


def outcome(tpm, attack, key, store):
    if key.name == "plain" and attack in ONLY_CAPPED:
        return "-"
    try:
        result = attack(tpm, key, store) if attack in STORED else attack(tpm, key)
    except Refused as refused:
        result = name_of(refused.return_code)
    tpm.clear()
    if isinstance(result, bytes):
        return "root" if result == golden(key.name) else "another root"
    return result


def stores(tpm, directory):
    number = int(os.path.basename(directory)) * 2		# each directory has persistent handles of its own
    return [Store(tpm, directory, key, number + index) for index, key in enumerate((Plain(), Capped(tpm, [13])))]


def attack_all(tpm, directory):
    for row, attack in ROWS.items():
        for store in stores(tpm, directory):
            print(row, store.key.name, outcome(tpm, attack, store.key, store), flush=True)


def fetch(tpm, key):
    try:
        return with_any(tpm, key).hex()
    except Refused as refused:
        return name_of(refused.return_code)


def leftover(tpm, key):
    """Complete each sequence that is in the TPM by an empty password."""
    found = []
    for handle in tpm.left(OBJECTS):
        try:
            result = tpm.complete(handle, key.data)
            found.append("root" if result == golden(key.name) else "another root")
        except Refused as refused:
            found.append(name_of(refused.return_code))
    return " ".join(sorted(set(found))) or "nothing"


def trick(tpm):
    """
    The key's policy is the one that the TPM computes. Where the bank does not have the PCR, that policy does not
    depend on the PCR's value: it is satisfied for ever.
    """
    session, _ = tpm.start_session(SE_TRIAL)
    tpm.policy_pcr(session, [13])
    policy = tpm.run(0x189, [session])[2:]		# PolicyGetDigest
    key = Plain()
    key.public = lambda: Capped.public(type("", (), {"policy": policy}))
    results = []
    for after in False, True:
        if after:
            for bank, size in ((ALG_SHA1, 20), (ALG_SHA256, SHA256_SIZE)):
                try:
                    tpm.run("PCR_Extend", [13], struct.pack(">IH", 1, bank) + b"\1" * size, PASSWORD)
                except Refused:
                    pass
        tpm.clear()
        try:
            with_policy(tpm, key)
            results.append("computes")
        except Refused as refused:
            results.append(name_of(refused.return_code))
    return " ".join(results)


def main(path, action, *arguments):
    tpm = Tpm(path)
    if action == "leftover":
        print(leftover(tpm, target(tpm, arguments[0])))
        return
    tpm.clear()
    if action in ("prepare", "tidy"):
        for store in stores(tpm, arguments[0]):
            getattr(store, action)()
    elif action == "attack":
        attack_all(tpm, arguments[0])
    elif action == "fetch":
        print(fetch(tpm, target(tpm, arguments[0])))
    elif action == "policy":
        key = target(tpm, arguments[0])
        print(key.policy.hex(), *(f"{pcr}={value.hex()}" for pcr, value in key.values.items()))
    elif action == "extend":
        for argument in arguments:
            pcr, _, digest = argument.partition("=")
            tpm.extend(int(pcr), bytes.fromhex(digest))
    elif action == "reset":
        tpm.run(0x13d, [int(arguments[0])], b"", PASSWORD)
    elif action == "allocate":
        tpm.ask(pcr_allocate(SHA1_ALONE))
    elif action == "trick":
        print(trick(tpm))
    else:
        sys.exit(__doc__)
    tpm.clear()


main(*sys.argv[1:])

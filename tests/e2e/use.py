#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
use.py: what the possessor of a key learns from AF_ALG, with the serial number of the key only.

    use.py set TYPE NAME SERIAL         set the key: print "ok" or the errno
    use.py ghash SERIAL                 print what ghash gives away, in hexadecimal: the key
    use.py xxhash SERIAL                print the answer of hmac(xxhash64) to a block
    use.py poly1305 SERIAL              print 106 bits of what hmac(poly1305) computes from the key
    use.py poly1305-of KEY              print the right value of these bits
    use.py essiv MODE HASH SERIAL KEY   does essiv(MODE,HASH) encrypt its vectors with the HASH of KEY?
    use.py walk SERIAL...               print which algorithms accept these keys, by the keys' lengths
    use.py names                        print the names of all algorithms and templates that modules declare

For the walk, all modules with algorithms have to be loaded.
"""

import errno
import os
import re
import socket
import sys
import textwrap
import zlib

SET_KEY_BY_SERIAL = 7			# ALG_SET_KEY_BY_KEY_SERIAL
P1305 = 2**130 - 5
CLAMP = 0x0ffffffc0ffffffc0ffffffc0fffffff	# the bits that Poly1305 uses of the first half of its key


def algorithm(kind, name):
    sock = socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET, 0)
    sock.bind((kind, name))
    return sock


def keyed(kind, name, serial):
    sock = algorithm(kind, name)
    sock.setsockopt(socket.SOL_ALG, SET_KEY_BY_SERIAL, int(serial))
    return sock


def digest(sock, message, size):
    with sock.accept()[0] as operation:
        operation.sendall(message)
        return operation.recv(size)


def encrypt(sock, data, iv=None):
    with sock.accept()[0] as operation:
        operation.sendmsg_afalg([data], op=socket.ALG_OP_ENCRYPT, **({"iv": iv} if iv else {}))
        return operation.recv(len(data))


def command_set(kind, name, serial):
    try:
        keyed(kind, name, serial).close()
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]


def command_ghash(serial):
    """The digest of one block X is X * H in GF(2^128), where H is the key. This block is 1."""
    return digest(keyed("hash", "ghash", serial), b"\x80" + bytes(15), 16).hex()


def command_xxhash(serial):
    return digest(keyed("hash", "hmac(xxhash64)", serial), bytes(32), 8).hex()


def poly1305(data):
    r, s = int.from_bytes(data[:16], "little") & CLAMP, int.from_bytes(data[16:32], "little")
    h = 0
    for i in range(32, len(data), 16):
        h = (h + int.from_bytes(data[i:i + 16] + b"\x01", "little")) * r % P1305
    return ((h + s) % 2**128).to_bytes(16, "little")


def command_poly1305(serial):
    """
    The kernel's poly1305 takes its one-time key, r and s, from the first 32 bytes of the message. So in
    HMAC, r is the key xor ipad, and the caller chooses s. The outer hash is over 32 bytes only, so it
    equals its own s, which is the inner hash. A key of more than 16 bytes is first hashed by poly1305.
    """
    sock = keyed("hash", "hmac(poly1305)", serial)
    # s is 0 and the message is n zero bytes, so the answer is 256^n * r modulo 2^130 - 5, without
    # its two top bits.
    answers = [int.from_bytes(digest(sock, bytes(16 + n), 16), "little") for n in (1, 2)]
    inverse = pow(256, -1, P1305)
    for top in range(4):
        r = (answers[0] + top * 2**128) * inverse % P1305
        if r & CLAMP == r and r * 256**2 % P1305 % 2**128 == answers[1]:
            return f"{r:032x}"
    return "no solution"


def command_poly1305_of(key):
    key = bytes.fromhex(key)
    if len(key) > 16:
        key = poly1305(key)
    return f"{(int.from_bytes(key, 'little') ^ int.from_bytes(bytes([0x36] * 16), 'little')) & CLAMP:032x}"


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def crct10dif(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x8bb7 if crc & 0x8000 else 0)) & 0xffff
    return crc


DIGESTS = {
    "crc32": lambda data: (zlib.crc32(data, 0xffffffff) ^ 0xffffffff).to_bytes(4, "little"),
    "crc32c": lambda data: crc32c(data).to_bytes(4, "little"),
    "crct10dif": lambda data: crct10dif(data).to_bytes(2, "little"),
}


def command_essiv(mode, name, serial, key):
    """
    essiv(M(C),H) is M(C) with the vector encrypted by C, and C's key is the digest H of the key. With
    M(C) under the same key, too, the possessor can try all digests; after these two answers, even
    without the kernel.
    """
    cipher = re.search(r"\((\w+)\)", mode)[1]
    data = bytes(64)
    iv = bytes(range(8 if cipher == "blowfish" else 16))
    wanted = encrypt(keyed("skcipher", f"essiv({mode},{name})", serial), data, iv)
    plain = keyed("skcipher", mode, serial)

    def is_it(guess):
        sock = algorithm("skcipher", f"ecb({cipher})")
        sock.setsockopt(socket.SOL_ALG, socket.ALG_SET_KEY, guess)
        return encrypt(plain, data, encrypt(sock, iv)) == wanted
    right = DIGESTS[name](bytes.fromhex(key))
    wrong = bytes([right[0] ^ 1]) + right[1:]
    return f"with its {name}: {is_it(right)}, with another: {is_it(wrong)}"


# Templates that pass the key on unchanged: they give no new results.
WRAPPERS = {"cryptd", "pcrypt", "seqiv", "echainiv"}
KINDS = {"shash": "hash", "ahash": "hash", "skcipher": "skcipher", "lskcipher": "skcipher", "aead": "aead",
         "rng": "rng", "cipher": "cipher"}


def known():
    """The names in /proc/crypto, by their kind as AF_ALG names it."""
    names = {kind: set() for kind in KINDS.values()}
    with open("/proc/crypto", encoding="ascii") as file:
        for entry in file.read().split("\n\n"):
            fields = dict(re.findall(r"^(\S+)\s*: (.*)$", entry, re.M))
            if fields.get("type") in KINDS and fields.get("internal") != "yes":
                names[KINDS[fields["type"]]].add(fields["name"])
    return names


def candidates():
    names = known()
    ciphers = sorted(names["cipher"] | {"cipher_null"})
    hashes = sorted(name for name in names["hash"] if "(" not in name)
    modes = [mode for cipher in ciphers for mode in (
        f"ecb({cipher})", f"cbc({cipher})", f"ctr({cipher})", f"xts({cipher})", f"lrw({cipher})",
        f"cts(cbc({cipher}))", f"pcbc({cipher})", f"rfc3686(ctr({cipher}))", f"kw({cipher})")]
    skciphers = sorted(names["skcipher"] | set(modes))
    yield from (("skcipher", name) for name in skciphers)
    yield from (("skcipher", f"adiantum({stream},{cipher})")
                for stream in skciphers if "chacha" in stream and "(" not in stream for cipher in ciphers)
    yield from (("skcipher", f"essiv({mode},{name})") for mode in modes for name in hashes
                if re.match(r"(cbc|lrw|xts)\((blowfish|serpent|aes)\)", mode))
    yield from (("hash", name) for name in sorted(names["hash"]))
    yield from (("hash", f"hmac({name})") for name in hashes)
    yield from (("hash", f"{mode}({cipher})") for cipher in ciphers
                for mode in ("cmac", "xcbc", "vmac64", "cbcmac"))
    aeads = names["aead"] | {aead for cipher in ciphers for aead in (
        f"gcm_base(ctr({cipher}),ghash)", f"ccm({cipher})", f"gcm({cipher})")}
    aeads |= {f"{wrap}({aead})" for aead in aeads for wrap in ("rfc4106", "rfc4543", "rfc4309")
              if "(" in aead and not aead.startswith("rfc")}
    aeads |= {f"{how}({stream},{name})" for how in ("rfc7539", "rfc7539esp")
              for stream in ("chacha20", "ctr(aes)") for name in hashes if name in ("poly1305", "ghash", "md5")}
    aeads |= {f"{how}({mac},{mode})" for how in ("authenc", "authencesn", "krb5enc")
              for mac in ("hmac(sha256)", "hmac(xxhash64)", "cmac(aes)", "digest_null")
              for mode in ("cbc(aes)", "cts(cbc(aes))", "ecb(cipher_null)", "cbc(des)")}
    yield from (("aead", aead) for aead in sorted(aeads))
    yield from (("rng", name) for name in sorted(names["rng"]))


def ranges(numbers):
    found = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


def command_walk(*serials):
    lengths = {}
    with open("/proc/keys", encoding="utf-8", errors="replace") as file:
        for line in file:
            found = re.match(r"([0-9a-f]+) .* logon +derived:.*: (\d+)$", line)
            if found:
                lengths[int(found[1], 16)] = int(found[2])
    groups = {}
    for kind, name in dict.fromkeys(candidates()):
        if name.split("(")[0] in WRAPPERS:
            continue
        try:
            sock = algorithm(kind, name)
        except OSError:
            continue
        takes = set()
        for serial in map(int, serials):
            try:
                sock.setsockopt(socket.SOL_ALG, SET_KEY_BY_SERIAL, serial)
                takes.add(lengths[serial])
            except OSError as error:
                # A wrong length; an algorithm without a key; poly1305's errno for less than 32 bytes.
                if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOKEY):
                    raise
        if takes:
            groups.setdefault((kind, ranges(takes)), []).append(name)
        sock.close()
    return "\n".join(textwrap.fill(f"{kind} {takes}: " + " ".join(sorted(names)), 110, subsequent_indent="    ",
                                   break_long_words=False, break_on_hyphens=False)
                     for (kind, takes), names in sorted(groups.items()))


def command_names():
    """A new name in this list may be a template that candidates() does not know."""
    release = os.uname().release
    with open(f"/lib/modules/{release}/modules.alias", encoding="ascii") as file:
        names = set(re.findall(r"^alias crypto-(\S+) ", file.read(), re.M))
    with open(f"/lib/modules/{release}/modules.builtin.modinfo", "rb") as file:
        names |= set(re.findall(r"\.alias=crypto-([^\0]+)\0", file.read().decode("ascii", "replace")))
    return textwrap.fill("names: " + " ".join(sorted(names)), 110, subsequent_indent="    ",
                         break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    print(globals()["command_" + sys.argv[1].replace("-", "_")](*sys.argv[2:]))

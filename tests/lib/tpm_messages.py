# SPDX-License-Identifier: GPL-2.0
"""
tpm_messages.py: the commands and responses of a TPM 2.0, as bytes. Nothing here comes from the module's code.
"""

import struct

CODES = {
    "NV_Read": 0x14e, "CreatePrimary": 0x131, "SequenceComplete": 0x13e, "SelfTest": 0x143,
    "Startup": 0x144, "Shutdown": 0x145, "HMAC": 0x155, "HMAC_Start": 0x15b, "ContextLoad": 0x161,
    "ContextSave": 0x162, "FlushContext": 0x165, "ReadPublic": 0x173, "StartAuthSession": 0x176,
    "GetCapability": 0x17a, "GetRandom": 0x17b, "PCR_Read": 0x17e, "PolicyPCR": 0x17f, "PolicyRestart": 0x180,
    "ReadClock": 0x181, "PCR_Extend": 0x182, "PolicyGetDigest": 0x189, "HierarchyControl": 0x121,
    "PCR_Allocate": 0x12b,
}
NAMES = {code: name for name, code in CODES.items()}
CREATE_PRIMARY, START_AUTH_SESSION = CODES["CreatePrimary"], CODES["StartAuthSession"]
HMAC, HMAC_START, SEQUENCE_COMPLETE = CODES["HMAC"], CODES["HMAC_Start"], CODES["SequenceComplete"]
FLUSH_CONTEXT, CONTEXT_LOAD = CODES["FlushContext"], CODES["ContextLoad"]
READ_PUBLIC, GET_CAPABILITY = CODES["ReadPublic"], CODES["GetCapability"]
PCR_READ, PCR_EXTEND, POLICY_PCR = CODES["PCR_Read"], CODES["PCR_Extend"], CODES["PolicyPCR"]
PCR_ALLOCATE = CODES["PCR_Allocate"]

ST_NO_SESSIONS, ST_SESSIONS = 0x8001, 0x8002
RH_OWNER, RH_NULL, RS_PW, RH_PLATFORM = 0x40000001, 0x40000007, 0x40000009, 0x4000000c
OBJECTS, LOADED_SESSIONS, SAVED_SESSIONS = 0x80000000, 0x02000000, 0x03000000	# the first handle of each kind
CAP_HANDLES = 1
SE_POLICY = 0x01
ALG_SHA256 = 0x000b
RC_AUTH_UNAVAILABLE, RC_POLICY_FAIL, RC_PCR_CHANGED = 0x12f, 0x99d, 0x128	# the policy's: for the first session

HEADER = struct.Struct(">HII")		# tag, size, and command code or return code
STARTUP_CLEAR = bytes.fromhex("8001 0000000c 00000144 0000")


def code_of(message):
    """The command code of a command, the return code of a response."""
    return HEADER.unpack_from(message)[2]


def error(return_code):
    """A response that consists of a return code."""
    return HEADER.pack(ST_NO_SESSIONS, HEADER.size, return_code)


def resized(message):
    """The message, with a size field that is right."""
    return message[:2] + struct.pack(">I", len(message)) + message[6:]


def sized(message, at):
    """The TPM2B at that offset: its bytes, and the offset of the next field."""
    (length,) = struct.unpack_from(">H", message, at)
    return message[at + 2:at + 2 + length], at + 2 + length


def receive(channel):
    """Read one message from a socket. At the end of the stream it is empty."""
    data = b""
    while len(data) < HEADER.size or len(data) < HEADER.unpack_from(data)[1]:
        more = channel.recv(8192)
        if not more:
            return b""
        data += more
    return data


def tpm2b(data):
    """A TPM2B: the data, behind its size."""
    return struct.pack(">H", len(data)) + data


def by_password(code, handle, parameters):
    """A command that an empty password authorizes."""
    auth = struct.pack(">IHBH", RS_PW, 0, 0, 0)
    return resized(HEADER.pack(ST_SESSIONS, 0, code) + struct.pack(">II", handle, len(auth)) + auth + parameters)


def pcr_bitmap(pcrs):
    return sum(1 << pcr for pcr in pcrs).to_bytes(3, "little")


def pcr_selection(pcrs, bank=ALG_SHA256):
    """TPML_PCR_SELECTION: these PCRs of one bank."""
    return struct.pack(">IHB", 1, bank, 3) + pcr_bitmap(pcrs)


def pcr_extend(pcr, digest):
    """The command that extends that PCR of the SHA-256 bank."""
    return by_password(PCR_EXTEND, pcr, struct.pack(">IH", 1, ALG_SHA256) + digest)


def pcr_allocate(banks):
    """The command that changes the banks, from the next reset on. banks: algorithm -> its PCRs."""
    selections = b"".join(struct.pack(">HB", bank, 3) + pcr_bitmap(pcrs) for bank, pcrs in banks.items())
    return by_password(PCR_ALLOCATE, RH_PLATFORM, struct.pack(">I", len(banks)) + selections)


def pcr_read(exchange, pcr, bank=ALG_SHA256):
    """
    The value of that PCR; None if the bank does not have it. exchange(command) returns the response.
    """
    response = exchange(resized(HEADER.pack(ST_NO_SESSIONS, 0, PCR_READ) + pcr_selection([pcr], bank)))
    if code_of(response):
        raise Refused(code_of(response))
    (count,) = struct.unpack_from(">I", response, 14)	# of selections, which name the PCRs that were read
    at = 18 + 6 * count
    return sized(response, at + 4)[0] if struct.unpack_from(">I", response, at)[0] else None


class Refused(Exception):
    """The TPM answered with this return code."""

    def __init__(self, return_code):
        super().__init__(f"rc={return_code:#x}")
        self.return_code = return_code


def handles(exchange, *kinds):
    """The handles in the TPM of these kinds. exchange(command) returns the response."""
    found = []
    for first in kinds:
        response = exchange(struct.pack(">HIIIII", ST_NO_SESSIONS, 22, GET_CAPABILITY, CAP_HANDLES, first, 64))
        if code_of(response):
            raise Refused(code_of(response))
        (count,) = struct.unpack_from(">I", response, 15)
        found += struct.unpack_from(f">{count}I", response, 19)
    return found


def all_handles(exchange):
    """The objects and sessions in the TPM."""
    return handles(exchange, OBJECTS, LOADED_SESSIONS, SAVED_SESSIONS)


def flush(exchange, to_remove):
    """Remove these objects and sessions from the TPM."""
    for handle in to_remove:
        exchange(struct.pack(">HIII", ST_NO_SESSIONS, 14, FLUSH_CONTEXT, handle))

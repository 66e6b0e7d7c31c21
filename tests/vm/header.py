# SPDX-License-Identifier: GPL-2.0
"""
header.py: what the comments at the beginning of a test say, and which tests there are.

A test is a shell script that is run inside the machine.  Comment lines in it say how:

    # vm: boot tpm=NAME [timeout=SECONDS] [cpus=N] [args="words for the kernel's command line"]
               [memory=MIB] [init=systemd] [initrd=initramfs-tools] [proxy="RULE..."]
               [image=builtin|noima]
          One line for each boot, in order; the script runs in each, with $BOOT = 1, 2, ...
          cpus=2 goes with args="maxcpus=1", and the script brings the second one up: under TCG, a
          kernel that starts with two of them may trip over its own patching of itself.
          The disk and the TPMs keep their state from boot to boot of one test.  TPMs:
            golden, other   a private copy of tests/vectors/tpm-golden, tests/vectors/tpm-other
            none            no TPM device
            tpm12:NAME      a new TPM 1.2
            NAME            a new TPM 2.0
          init=systemd: process 1 is systemd, and the script is run by a service of it.
          initrd=initramfs-tools: an initramfs that Debian's mkinitramfs makes, with the module
          and examples/initramfs-tools in it (tests/vm/initramfs).
          proxy="CreatePrimary:delay=300 HMAC@2-:rc=0x101": the TPM is reached through
          tests/vm/tpm-proxy, which has it dawdle, fail or lie by such rules.
          image=builtin: the kernel "debug" with the module built into it. image=noima: the same
          without IMA.
    # vm: observer FILE
          A program beside the script, that is run on the host while the machine runs, anew for each
          boot.  Its stdin and stdout are the machine's fourth serial line, which the script uses by
          ask_observer() of tests/lib/lib.sh: the program answers each line with one.  It ends, with status
          0, when its stdin does.  What it says on stderr goes to observer.log.  In its environment:
            VM_RAM          a file that is the machine's memory, byte for byte (with memory= below 2048)
            VM_QMP          QEMU's monitor (QMP), a UNIX socket
            VM_TPM_LOG      swtpm's log: all that crosses the TPM's bus
            VM_TPM_PID      a file with swtpm's process id
            VM_TPM_PROXY    where tests/vm/tpm-proxy takes orders, a UNIX socket (with proxy=)
            VM_DISK         the disk of "# vm: disk", qcow2
            VM_BUILD        what tests/vm/build made for this kernel
    # vm: disk SIZE
          An empty disk of that size (64M, 1G), /dev/vdc.
    # vm: skip[KERNEL] DESCRIPTION
          The point of this description is skipped (on that kernel; without [KERNEL], on all).
    # vm: not-on[KERNEL] REASON
          The whole test is skipped on that kernel.
    # vm: only-on[KERNEL] REASON
          It is run on that kernel only.
    # vm: long[KERNEL] REASON
          It takes long: it is run on that kernel (without [KERNEL], on all) only with --long, or by its
          name.  On the kernel "debug" that is so for all but those of tests/debug/.
    # vm: console-allow REGEX
          Console lines that match are no fault.
    # vm: expect-red REGEX
          For the harness's self-test: the test must fail, for a reason that matches.

Three serial lines leave the machine: the kernel's console, the script's TAP, and the verdict
of tests/vm/guest-init; a fourth is for the observer.  judge() says what makes a pass of them.
"""

import os
import re
import shlex

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
TEST_DIRS = ("e2e", "attack", "stress", "bench", "debug")	# what "run" runs when no test is named
NAMED_DIRS = (*TEST_DIRS, "demo", "selftest")	# where a test is looked for by its name
DEBUG = "debug"				# the kernel of tests/vm/debug-kernel
TIMEOUT = 180				# seconds for a boot, from power on to power off
MEMORY = 1024				# MiB


class Problem(Exception):
    """Something that keeps tests from being run at all."""


class Boot:
    def __init__(self, tpm, args="", timeout=TIMEOUT, cpus=1, init="", initrd="", proxy="",
                 memory=MEMORY, image=""):
        self.tpm, self.args, self.timeout, self.cpus = tpm, args, int(timeout), int(cpus)
        self.memory = int(memory)
        self.proxy = proxy.split()	# rules for tests/vm/tpm-proxy
        if init not in ("", "systemd") or initrd not in ("", "initramfs-tools"):
            raise ValueError("unknown init or initrd")
        if image not in ("", "builtin", "noima"):
            raise ValueError("unknown image")
        self.initrd, self.image = initrd, image
        if init:
            self.args += f" vm_init={init}"
        if initrd:
            self.args += " root=/dev/vda rw rootfstype=ext4 fsck.mode=skip init=/derived/tests/vm/guest-init"


class Test:
    def __init__(self, path):
        self.path = os.path.abspath(path)
        self.name = os.path.splitext(os.path.basename(path))[0]
        self.boots = []
        self.disk = ""			# size of a disk of its own
        self.observer = ""		# path of a program for the host
        self.skips = []			# (kernel or None, description)
        self.not_on = {}		# kernel: reason
        self.only_on = {}
        self.long = {}			# kernel or None: reason
        self.allow = []
        self.expect_red = None
        with open(path, encoding="utf-8") as file:
            for line in file:
                header = re.match(r"#\s*vm:\s*([a-z-]+)(?:\[(\S+)\])?\s+(.*\S)", line)
                if header:
                    try:
                        self.header(*header.groups())
                    except (ValueError, TypeError, re.error) as error:
                        raise Problem(f"{path}: {line.strip()!r}: {error}") from error
                elif re.match(r"#\s*vm:", line):
                    raise Problem(f"{path}: not understood: {line.strip()!r}")
        if not self.boots:
            raise Problem(f"{path}: there is no '# vm: boot' line")

    def header(self, word, kernel, rest):
        if word == "boot":
            self.boots.append(Boot(**dict(item.split("=", 1) for item in shlex.split(rest))))
        elif word == "disk":
            if not re.fullmatch(r"[1-9][0-9]*[MG]", rest):
                raise ValueError("not a size")
            self.disk = rest
        elif word == "observer":
            self.observer = os.path.join(os.path.dirname(self.path), rest)
            if not os.access(self.observer, os.X_OK):
                raise ValueError("there is no such program")
        elif word == "skip":
            self.skips.append((kernel, rest))
        elif word in ("not-on", "only-on"):
            if not kernel:
                raise ValueError("no kernel is named")
            (self.not_on if word == "not-on" else self.only_on)[kernel] = rest
        elif word == "long":
            self.long[kernel] = rest
        elif word == "console-allow":
            self.allow.append(re.compile(rest))
        elif word == "expect-red":
            self.expect_red = re.compile(rest)
        else:
            raise ValueError("unknown word")

    def is_for(self, kernel):
        return (not self.only_on or kernel in self.only_on) and kernel not in self.not_on

    def why_long(self, kernel):
        """Why it is run on a kernel only when that is asked for; None if it is not so."""
        if kernel == DEBUG and os.path.basename(os.path.dirname(self.path)) != DEBUG:
            return "that kernel is slow"
        return self.long.get(kernel) or self.long.get(None)

    def skips_on(self, kernel):
        return {desc for on, desc in self.skips if on in (None, kernel)}


def find_test(name):
    """A path, or the name of a test script below tests/."""
    if os.path.isfile(name):
        return Test(name)
    found = [path for directory in NAMED_DIRS
             if os.path.isfile(path := os.path.join(TREE, "tests", directory, name + ".sh"))]
    if len(found) != 1:
        raise Problem(f"no test is named '{name}'" if not found else
                      f"several tests are named '{name}': {' '.join(found)}")
    return Test(found[0])


def tests_in(*dirs):
    paths = []
    for directory in dirs:
        directory = os.path.join(TREE, "tests", directory)
        if os.path.isdir(directory):
            paths += [os.path.join(directory, f) for f in sorted(os.listdir(directory))
                      if f.endswith(".sh")]
    return [Test(path) for path in paths]


def test_in_guest(test):
    """Where the script is, under /derived.  One from outside tests/ is put into extra/."""
    inside = os.path.relpath(test.path, TREE)
    return inside if inside.startswith("tests/") else "extra/" + os.path.basename(test.path)

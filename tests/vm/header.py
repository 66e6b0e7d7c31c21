# SPDX-License-Identifier: GPL-2.0
"""
header.py: read the header of a test: the comment lines that say how it is run.

A test is a shell script that is run inside a virtual machine. These lines can be in its header:

    # vm: boot tpm=NAME [timeout=SECONDS] [cpus=N] [args="words for the kernel's command line"]
               [memory=MIB] [init=systemd] [off=systemd] [usb=yes]
               [initrd=initramfs-tools|dracut|dracut-no-systemd] [proxy="RULE..."] [image=builtin|noima]
          One line for each boot, in order. The script runs in each boot, with $BOOT = 1, 2, ...
          The disk and the TPMs keep their state from boot to boot of one test.
          tpm=
            golden, other   a private copy of tests/vectors/tpm-golden or tests/vectors/tpm-other
            none            no TPM
            tpm12:NAME      a new TPM 1.2
            NAME            a new TPM 2.0
          cpus=2 needs args="maxcpus=1", and the script brings up the second CPU. Under TCG, a kernel that
          starts with two CPUs may fail when it patches its own code.
          init=systemd: process 1 is systemd, and one of its services runs the script.
          off=systemd: after the script, systemd stops its units before the machine is powered off. Without
          this, everything is stopped and powered off at once.
          initrd=initramfs-tools: Debian's mkinitramfs makes the initramfs, with the module (cap=13),
          integration/initramfs-tools and an /etc/derivedtab in it (tests/vm/initramfs).
          initrd=dracut: dracut makes it, with systemd, the module (cap=13), integration/dracut and an
          /etc/derivedtab in it. initrd=dracut-no-systemd: the same without systemd.
          In each, args="rdinit=/guest-early ..." gives another derivedtab, or makes the TPM or the disk come
          late (tests/vm/guest-early). args="root=..." is another root file system, which needs no /usr.
          proxy="CreatePrimary:delay=300 HMAC@2-:rc=0x101": the TPM is reached through
          tests/vm/tpm-proxy, which delays, refuses or changes its answers by these rules.
          image=builtin: the kernel "debug" with the module built in. image=noima: the same without IMA.
          usb=yes: there is a USB controller, "usb" in QEMU, to which the observer can plug something.
    # vm: observer FILE
          A program beside the script. It runs on the host while the machine runs, and starts anew for each
          boot. The machine's fourth serial line is its stdin and stdout: with ask_observer() of
          tests/lib/lib.sh the script sends a line, and the program answers with a line. The program ends,
          with status 0, at the end of its stdin. Its stderr goes to observer.log. It gets this environment:
            VM_RAM          a file that is the machine's memory, byte for byte (with memory= below 2048)
            VM_QMP          QEMU's monitor (QMP), a UNIX socket
            VM_TPM_LOG      swtpm's log: all messages on the TPM's bus
            VM_TPM_PID      a file with swtpm's process id
            VM_TPM_PROXY    the UNIX socket on which tests/vm/tpm-proxy takes orders (with proxy=)
            VM_DISK         the disk of "# vm: disk", qcow2
            VM_BUILD        the directory that tests/vm/build made for this kernel
    # vm: disk SIZE
          An empty disk of that size (64M, 1G), /dev/vdc.
    # vm: skip[KERNEL] DESCRIPTION
          The point with this description is skipped on that kernel. Without [KERNEL]: on all kernels.
    # vm: not-on[KERNEL] REASON
          The whole test is skipped on that kernel.
    # vm: only-on[KERNEL] REASON
          The test is run on that kernel only.
    # vm: long[KERNEL] REASON
          The test takes long. On that kernel (without [KERNEL]: on all kernels) it is run only with --long
          or if it is named. On the kernel "debug" that holds for all tests outside tests/debug/.
    # vm: console-allow REGEX
          Console lines that match are no fault.
    # vm: expect-red REGEX
          For the harness's self-test: the test must fail, for a reason that matches.
"""

import os
import re
import shlex

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
TEST_DIRS = ("e2e", "attack", "stress", "bench", "debug")	# "run" runs these if no test is named
NAMED_DIRS = (*TEST_DIRS, "demo", "selftest")	# find_test() looks for a name in these
DEBUG = "debug"				# the kernel of tests/vm/debug-kernel
INITRDS = ("", "initramfs-tools", "dracut", "dracut-no-systemd")	# tests/vm/initramfs makes them
TIMEOUT = 180				# seconds for a boot, from power on to power off
MEMORY = 1024				# MiB


class Problem(Exception):
    """The reason why tests cannot be run at all."""


class Boot:
    """A "# vm: boot" line."""

    def __init__(self, tpm, args="", timeout=TIMEOUT, cpus=1, init="", initrd="", proxy="",
                 memory=MEMORY, image="", off="", usb=""):
        self.tpm, self.args, self.timeout, self.cpus = tpm, args, int(timeout), int(cpus)
        self.memory = int(memory)
        self.proxy = proxy.split()	# rules for tests/vm/tpm-proxy
        if init not in ("", "systemd") or initrd not in INITRDS:
            raise ValueError("unknown init or initrd")
        if image not in ("", "builtin", "noima"):
            raise ValueError("unknown image")
        if off not in ("", init) or usb not in ("", "yes"):
            raise ValueError("unknown off or usb")
        self.initrd, self.image, self.usb = initrd, image, usb
        if init:
            self.args += f" vm_init={init}"
        if off:
            self.args += f" vm_off={off}"
        if initrd:
            if not re.search(r"(?<!\S)root=", self.args):
                self.args += " root=/dev/vda"
            self.args += " rw rootfstype=ext4 fsck.mode=skip init=/derived/tests/vm/guest-init"


class Test:
    """A test script and its header."""

    def __init__(self, path):
        self.path = os.path.abspath(path)
        self.name = os.path.splitext(os.path.basename(path))[0]
        self.boots = []
        self.disk = ""			# the size of its own disk
        self.observer = ""		# the path of the observer
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
                    raise Problem(f"{path}: this line is not understood: {line.strip()!r}")
        if not self.boots:
            raise Problem(f"{path}: there is no '# vm: boot' line")

    def header(self, word, kernel, rest):
        if word == "boot":
            self.boots.append(Boot(**dict(item.split("=", 1) for item in shlex.split(rest))))
        elif word == "disk":
            if not re.fullmatch(r"[1-9][0-9]*[MG]", rest):
                raise ValueError("this is not a size")
            self.disk = rest
        elif word == "observer":
            self.observer = os.path.join(os.path.dirname(self.path), rest)
            if not os.access(self.observer, os.X_OK):
                raise ValueError("there is no such program")
        elif word == "skip":
            self.skips.append((kernel, rest))
        elif word in ("not-on", "only-on"):
            if not kernel:
                raise ValueError("it does not name a kernel")
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
        """The reason why it is run on that kernel only on request; None if there is none."""
        if kernel == DEBUG and os.path.basename(os.path.dirname(self.path)) != DEBUG:
            return "that kernel is slow"
        return self.long.get(kernel) or self.long.get(None)

    def skips_on(self, kernel):
        return {desc for on, desc in self.skips if on in (None, kernel)}


def find_test(name):
    """Find a test by the path or by the name of its script."""
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
    """The path of the script under /derived. A script from outside tests/ is put into extra/."""
    inside = os.path.relpath(test.path, TREE)
    return inside if inside.startswith("tests/") else "extra/" + os.path.basename(test.path)

# SPDX-License-Identifier: GPL-2.0
"""
machine.py: the parts of the virtual machine: kernel, disks, TPM, observer, and QEMU's command line.
"""

import concurrent.futures
import contextlib
import os
import shutil
import socket
import subprocess

from header import DEBUG, HERE, MEMORY, TREE, Problem, test_in_guest
from processes import finish, read, say, start, wait_for_socket


class Kernel:
    """A kernel that is ready to boot, with its root, and with the payload disk that is made from the tree."""
    def __init__(self, name, tests, work):
        self.name = name
        images = sorted({boot.image for test in tests for boot in test.boots if boot.image})
        for command in (["build", name, *images],
                        ["debug-kernel"] if name == DEBUG else ["root", name]):
            done = subprocess.run([os.path.join(HERE, command[0]), *command[1:]], check=False,
                                  stdout=subprocess.PIPE, text=True)
            if done.returncode:
                raise Problem(f"tests/vm/{' '.join(command)} failed")
        self.root = done.stdout.strip()
        # How many times slower this kernel is, the additional MiB that it needs, and additional words for its
        # command line. The kernel "debug" panics at the first warning of its checkers.
        self.slower, self.more_memory, self.args = 1, 0, ""
        if name == DEBUG:
            self.slower, self.more_memory, self.args = 8, 512, "panic_on_warn=1 page_poison=1"
        self.initramfs = {}	# the program that makes it -> the file
        for program in sorted({boot.initrd for test in tests for boot in test.boots} - {""}):
            self.initramfs[program] = os.path.join(work, f"{program}-{name}")
            if subprocess.run([os.path.join(HERE, "initramfs"), name, program, self.initramfs[program]],
                              check=False).returncode:
                raise Problem(f"tests/vm/initramfs {name} {program} failed")
        self.payload = os.path.join(work, f"payload-{name}.ext4")
        self.make_payload(tests, os.path.join(work, f"payload-{name}"))

    def memory(self, boot):
        return (boot.memory if boot else MEMORY) + self.more_memory

    def image(self, boot):
        if boot and boot.image:
            return os.path.join(TREE, "build", self.name, "vmlinuz-" + boot.image)
        return os.path.join(self.root, "vmlinuz")

    def make_payload(self, tests, stage):
        shutil.copytree(os.path.join(TREE, "build", self.name), stage,
                        ignore=shutil.ignore_patterns(".*", "build.log", "vmlinuz-*"))
        modules = os.path.join(self.root, "lib-modules")
        if os.path.isdir(modules):
            shutil.copytree(modules, os.path.join(stage, "lib-modules"))
        # The documentation is needed because tests run the commands in it.
        for directory in ("tests", "examples", "integration", "tools", "Documentation"):
            shutil.copytree(os.path.join(TREE, directory), os.path.join(stage, directory))
        shutil.copy(os.path.join(TREE, "README.md"), stage)
        os.makedirs(os.path.join(stage, "extra"))
        for test in tests:
            if test_in_guest(test).startswith("extra/"):
                shutil.copy(test.path, os.path.join(stage, "extra"))
        # For a test that itself starts another kernel (kexec).
        shutil.copy(os.path.join(self.root, "initrd"), stage)
        subprocess.run(["chmod", "-R", "u+w,a+rX", stage], check=True)
        subprocess.run(["truncate", "-s", "256M", self.payload], check=True)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal",
                        "-E", "root_owner=0:0", "-d", stage, self.payload], check=True)
        shutil.rmtree(stage)


def prepare(tests, work):
    """Build for all kernels, two at a time. tests: the name of a kernel -> its list of tests."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda name: Kernel(name, tests[name], work), tests))


@contextlib.contextmanager
def running_proxy(swtpm, sockets, logs, rules):
    """If there are rules, run tests/vm/tpm-proxy between QEMU and swtpm. Yields the socket for QEMU."""
    if not rules:
        yield swtpm
        return
    path, errors = os.path.join(sockets, "tpm-proxy"), os.path.join(logs, "tpm-proxy.errors")
    for old in (path, path + ".orders"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(old)
    with open(errors, "wb") as file:
        proxy = start([os.path.join(HERE, "tpm-proxy"), path, swtpm,
                       os.path.join(logs, "tpm-proxy.log"), *rules],
                      stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        wait_for_socket(path, proxy, "tests/vm/tpm-proxy", errors)
        yield path
    finally:
        # The proxy ends with QEMU, but not if QEMU has never connected.
        proxy.terminate()
        finish(proxy, 5)


@contextlib.contextmanager
def running_tpm(name, states, sockets, logs, rules=()):
    """Run a TPM, named as in a boot line. Yields QEMU's options for it."""
    if name == "none":
        yield []
        return
    state = os.path.join(states, "tpm-" + name.replace("tpm12:", "12-"))
    if not os.path.isdir(state):
        saved = os.path.join(TREE, "tests", "vectors", "tpm-" + name)
        if name not in ("golden", "other"):
            os.makedirs(state)
        elif os.path.isdir(saved):
            shutil.copytree(saved, state)
        else:
            raise Problem(f"the saved TPM state {saved} is missing")
    path = os.path.join(sockets, "tpm")
    for old in (path, path + ".pid"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(old)
    log = os.path.join(logs, "swtpm.log")
    version = [] if name.startswith("tpm12:") else ["--tpm2"]
    swtpm = start(["swtpm", "socket", *version, "--tpmstate", f"dir={state}",
                   "--ctrl", f"type=unixio,path={path}", "--pid", f"file={path}.pid",
                   "--log", f"file={log},level=2"], stdin=subprocess.DEVNULL)
    try:
        wait_for_socket(path, swtpm, "swtpm", log)
        with running_proxy(path, sockets, logs, rules) as qemu_socket:
            yield ["-chardev", f"socket,id=tpm,path={qemu_socket}",
                   "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-tis,tpmdev=tpm0"]
    finally:
        # QEMU stops swtpm when the machine stops, but not if QEMU was killed.
        if swtpm.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                swtpm.wait(1)
        swtpm.terminate()
        finish(swtpm, 5)


class Observer:
    """The observer of a boot, if the test has one: QEMU's options for it, and its exit status."""

    def __init__(self, test, boot, kernel, work, logs, disk):
        self.options, self.fds, self.process, self.status = [], [], None, 0
        if not test.observer:
            return
        ram, qmp = os.path.join(work, "ram"), os.path.join(work, "qmp")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(ram)
        ours, self.channel = socket.socketpair()
        self.fds = [self.channel.fileno()]
        self.options = [
            "-object", f"memory-backend-file,id=ram,size={kernel.memory(boot)}M,mem-path={ram},share=on",
            "-machine", "memory-backend=ram", "-qmp", f"unix:{qmp},server=on,wait=off",
            "-chardev", f"socket,id=serial3,fd={self.channel.fileno()}",
            "-device", "isa-serial,chardev=serial3,index=3",
            *(["-device", "qemu-xhci,id=usb"] if boot.usb else [])]
        environment = {"VM_RAM": ram, "VM_QMP": qmp, "VM_TPM_LOG": os.path.join(logs, "swtpm.log"),
                       "VM_TPM_PID": os.path.join(work, "tpm.pid"),
                       "VM_TPM_PROXY": os.path.join(work, "tpm-proxy.orders"),
                       "VM_DISK": disk or "", "VM_BUILD": os.path.join(TREE, "build", kernel.name)}
        with ours, open(os.path.join(logs, "observer.log"), "wb") as log:
            self.process = start([test.observer], env={**os.environ, **environment},
                                 stdin=ours, stdout=ours, stderr=log)

    def close(self):
        """QEMU has ended or could not be started: let the observer see the end of its stdin, and wait for it."""
        if self.process:
            self.channel.close()
            self.status = finish(self.process, 20)


def make_disk(kernel, path):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw",
                    "-b", os.path.join(kernel.root, "base.ext4"), path], check=True)


def qemu_command(kernel, disk, serial, append, tpm, accel, boot=None, own_disk=None, more=(),
                 coverage=None):
    """
    serial: the chardev options of the three serial lines, without id. There is one CPU unless the test asks
    for more: with TCG and one machine for each core, one CPU is a third faster than two.
    """
    cpus = boot.cpus if boot else 1
    initrd = kernel.initramfs[boot.initrd] if boot and boot.initrd else os.path.join(kernel.root, "initrd")
    own = [] if not own_disk else [
        "-drive", f"file={own_disk},format=qcow2,if=none,id=own,cache=unsafe",
        "-device", "virtio-blk-pci,drive=own"]
    if coverage:
        own += ["-drive", f"file={coverage},format=raw,if=none,id=coverage",
                "-device", "virtio-blk-pci,drive=coverage,serial=coverage"]
    command = [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
        "-no-reboot", "-machine", "q35", "-smp", str(cpus), "-m", str(kernel.memory(boot)),
        "-accel", "kvm" if accel == "kvm" else "tcg,thread=multi",
        "-cpu", "host" if accel == "kvm" else "max",
        "-kernel", kernel.image(boot), "-initrd", initrd,
        "-append", " ".join(f"console=ttyS0 panic=-1 {kernel.args} {append}".split()),
        "-drive", f"file={disk},format=qcow2,if=none,id=root,cache=unsafe",
        "-device", "virtio-blk-pci,drive=root",
        "-drive", f"file={kernel.payload},format=raw,if=none,id=payload,readonly=on",
        "-device", "virtio-blk-pci,drive=payload",
        *own, *tpm, *more]
    for index, chardev in enumerate(serial):
        kind, _, options = chardev.partition(",")
        command += ["-chardev", f"{kind},id=serial{index},{options}".rstrip(","),
                    "-device", f"isa-serial,chardev=serial{index},index={index}"]
    return command


@contextlib.contextmanager
def collecting_coverage(kernel, logs):
    """
    Yields the path of a disk, on which tests/vm/guest-init puts the counts of gcov; None if the kernel does not
    count. The disk's content becomes coverage.tar.gz, which tests/checks/coverage reads.
    """
    if not os.path.isdir(os.path.join(TREE, "build", kernel.name, "gcno")):
        yield None
        return
    path = os.path.join(logs, "coverage")
    with open(path, "wb") as file:
        file.truncate(16 << 20)
    yield path
    with open(path, "rb") as file:
        length = int(file.read(512).split(b"\0")[0] or b"0")
        data = file.read(length)
    os.unlink(path)
    if data:
        with open(path + ".tar.gz", "wb") as file:
            file.write(data)


def kvm_boots(kernel, work):
    """Boot a guest with KVM. KVM is used only if that works, because on some hosts it opens and then hangs."""
    console = os.path.join(work, "probe-console")
    disk = os.path.join(work, "probe.qcow2")
    make_disk(kernel, disk)
    probe = start(qemu_command(kernel, disk, [f"file,path={console}", "null", "null"],
                               "vm_probe=1", [], "kvm"))
    return finish(probe, 20) == 0 and "reboot: Power down" in read(console)


def choose_accel(wanted, kernel, work):
    if wanted == "kvm" and not kvm_boots(kernel, work):
        say("no guest boots with KVM on this host; using TCG instead")
        return "tcg"
    return wanted

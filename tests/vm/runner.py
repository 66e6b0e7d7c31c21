# SPDX-License-Identifier: GPL-2.0
"""
runner.py: run tests, and report their results.
"""

import concurrent.futures
import contextlib
import fcntl
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from header import TREE, test_in_guest
from judge import Result, judge, judge_skips
from machine import Observer, collecting_coverage, make_disk, qemu_command, running_tpm
from processes import finish, kill_children, read, say, start


def tests_on(kernel, tests, long=True):
    """The tests that are run on that kernel."""
    return [test for test in tests if test.is_for(kernel) and (long or not test.why_long(kernel))]


def stream(path, process):
    """Until the process has ended, copy its growing file of TAP to stdout, in a form for people."""
    rest = ""
    with open(path, "a"), open(path, encoding="utf-8", errors="replace", newline="\n") as file:
        while True:
            ended = process.poll() is not None
            data = file.read()
            *lines, rest = (rest + data).split("\n")
            for line in lines:
                if re.match(r"1\.\.\d+$", line):
                    continue
                line = re.sub(r"^ok \d+ - ", "      => ", line)
                print(re.sub(r"^not ok \d+ - ", "      => FAILED: ", line))
            sys.stdout.flush()
            if ended and not data:
                return
            time.sleep(0.1)


def run_test(test, kernel, logs, accel, keep=False, show=False):
    """Run all boots of a test and judge them. logs: the directory for the logs; show: print the TAP."""
    os.makedirs(os.path.dirname(logs), exist_ok=True)
    with open(logs + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)	# another run may use the same directory
        return run_boots(test, kernel, logs, accel, keep, show)


def run_boots(test, kernel, logs, accel, keep, show):
    shutil.rmtree(logs, ignore_errors=True)
    os.makedirs(logs)
    total = Result()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="derived-vm-") as work:
        states = logs if keep else work
        disk = os.path.join(states, "disk.qcow2")
        make_disk(kernel, disk)
        own_disk = os.path.join(states, "own.qcow2") if test.disk else None
        if own_disk:
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", own_disk, test.disk], check=True)
        for number, boot in enumerate(test.boots, 1):
            boot_logs = os.path.join(logs, f"boot-{number}")
            os.makedirs(boot_logs)
            paths = [os.path.join(boot_logs, f) for f in ("console", "tap", "verdict")]
            if show:
                say(f"[{time.monotonic() - began:3.0f} s] starting the machine (boot {number}, "
                    f"kernel {kernel.name}, TPM {boot.tpm})")
            with running_tpm(boot.tpm, states, work, boot_logs, boot.proxy) as tpm, \
                    collecting_coverage(kernel, boot_logs) as coverage:
                observer = Observer(test, boot, kernel, work, boot_logs, own_disk)
                with contextlib.closing(observer), open(os.path.join(boot_logs, "qemu.log"), "wb") as log:
                    command = qemu_command(
                        kernel, disk, [f"file,path={path}" for path in paths],
                        f"ignore_loglevel vm_test={test_in_guest(test)} vm_boot={number} {boot.args}",
                        tpm, accel, boot, own_disk, observer.options, coverage)
                    log.write((shlex.join(command) + "\n").encode())
                    log.flush()
                    qemu = start(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 pass_fds=observer.fds)
                    streamer = threading.Thread(target=stream, args=(paths[1], qemu))
                    if show:
                        streamer.start()
                    timeout = boot.timeout * kernel.slower + seconds_more(kernel.args)
                    status = finish(qemu, timeout)
                    if show:
                        streamer.join()
            result = judge(*map(read, paths), status, timeout, test.allow)
            if observer.status != 0:
                result.reasons.append(f"the observer ended with status {observer.status}"
                                      if observer.status else "the observer did not end")
            total.add(result, f"boot {number}: " if len(test.boots) > 1 else "")
            if result.reasons:
                break			# later boots could only fail because of this
    if not total.reasons:
        judge_skips(total, test.skips_on(kernel.name))
    total.seconds = time.monotonic() - began
    if total.reasons and not total.failed:
        total.failed = 1
    with open(os.path.join(logs, "result"), "w", encoding="utf-8") as file:
        file.write("\n".join(total.reasons or ["pass"]) + "\n")
    return total


def run_all(tests, kernels, options, accel, report):
    """
    Run each kernel's tests, options.jobs at a time. Those that may take longest come first, so that no long
    test runs alone at the end. report() is called at the end of each test.
    """
    logs = os.path.abspath(options.keep or os.path.join(TREE, "build", "logs"))
    pairs = [(kernel, test) for kernel in kernels for test in tests[kernel.name]]
    pairs.sort(key=lambda pair: -pair[0].slower * sum(boot.timeout for boot in pair[1].boots))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = {}
        for kernel, test in pairs:
            where = os.path.join(logs, kernel.name, test.name)
            job = pool.submit(run_test, test, kernel, where, accel, bool(options.keep))
            jobs[job] = (test, kernel, where)
        try:
            for job in concurrent.futures.as_completed(jobs):
                report(*jobs[job], job.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            kill_children()
            raise


def explain(test, kernel, logs, result):
    """The reasons why the test is red, and what helps to find the cause, as a text for people."""
    lines = [f"  {reason}" for reason in result.reasons]
    lines += [f"  | {line}" for line in result.not_ok[:60]]
    boots = sorted(d for d in os.listdir(logs) if d.startswith("boot-"))
    last = os.path.join(logs, boots[-1])
    lines += [f"  QEMU: {line}" for line in read(os.path.join(last, "qemu.log")).splitlines()[1:]]
    lines += [f"  observer: {line}" for line in read(os.path.join(last, "observer.log")).splitlines()[-30:]]
    lines.append("  the console's last lines:")
    lines += [f"  > {line}" for line in read(os.path.join(last, "console")).splitlines()[-30:]]
    lines.append(f"  the logs of {test.name} on {kernel.name}: {logs}")
    return "\n".join(lines)


def report_line(test, kernel, result):
    return (f"{'not ok' if result.reasons else 'ok'} {kernel.name} {test.name} "
            f"(boots {len(test.boots)}, tests {result.passed}, {result.seconds:.1f} s)")


def seconds_more(args):
    """The N of vm_seconds=N in words for the kernel's command line: for how many more seconds tests go on."""
    return max((int(n) for n in re.findall(r"(?<!\S)vm_seconds=(\d+)(?!\S)", args)), default=0)

# SPDX-License-Identifier: GPL-2.0
"""
processes.py: start and end the processes of the harness; print messages; read files.
"""

import os
import subprocess
import sys
import threading
import time

from header import Problem

children = set()			# the processes that must end with the harness
children_lock = threading.Lock()
stopping = False


def say(text):
    print(f"vm: {text}", file=sys.stderr, flush=True)


def start(command, **options):
    """Start a process that is killed when the harness ends."""
    with children_lock:
        if stopping:
            raise Problem("the run was stopped")
        process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command],
                                   start_new_session=True, **options)
        children.add(process)
    return process


def finish(process, timeout):
    """Wait for the process. After the timeout it is killed, and the result is None; else it is the exit status."""
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None
    finally:
        with children_lock:
            children.discard(process)


def kill_children():
    global stopping
    with children_lock:
        stopping = True
        for process in children:
            process.kill()


def wait_for_socket(path, process, what, log):
    deadline = time.monotonic() + 10
    while not os.path.exists(path):
        if process.poll() is not None or time.monotonic() > deadline:
            raise Problem(f"{what} does not start; its log is {log}")
        time.sleep(0.02)


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""

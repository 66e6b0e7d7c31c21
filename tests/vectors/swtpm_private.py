# SPDX-License-Identifier: GPL-2.0
"""A private software TPM for one test.

It works on a private copy of a saved state (swtpm rewrites the file at each
start), uses UNIX sockets in a private directory, and ends with the "with"
statement that started it.
"""

import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from tpm_messages import LOADED_SESSIONS, OBJECTS, code_of, handles, receive  # noqa: E402

STATE_FILE = "tpm2-00.permall"
START_TIMEOUT = 10
CMD_INIT = 2			# of swtpm's control channel


class Swtpm:
    """swtpm on a copy of @state (a directory), or on a new TPM if None: a TPM 2.0, or a TPM 1.2."""

    def __init__(self, state=None, tpm2=True):
        self.state = state
        self.version = ["--tpm2"] if tpm2 else []
        self.dir = None
        self.process = None

    def __enter__(self):
        # Not $TMPDIR: the path of a UNIX socket has 108 bytes.
        self.dir = tempfile.mkdtemp(prefix="derived-keys-tpm-", dir="/tmp")
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def socket(self):
        return self.dir + "/tpm"

    @property
    def tcti(self):
        # The TCTI looks for the control channel at the path with ".ctrl".
        return "swtpm:path=" + self.socket

    def start(self):
        if self.state is not None:
            shutil.copyfile(os.path.join(self.state, STATE_FILE),
                            os.path.join(self.dir, STATE_FILE))
        with open(self.dir + "/log", "wb") as log:
            self.process = subprocess.Popen(
                ["swtpm", "socket", *self.version, "--tpmstate", "dir=" + self.dir,
                 "--server", "type=unixio,path=" + self.socket,
                 "--ctrl", "type=unixio,path=" + self.socket + ".ctrl",
                 "--flags", "not-need-init,startup-clear"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + START_TIMEOUT
        for path in (self.socket, self.socket + ".ctrl"):
            while not accepts(path):
                if self.process.poll() is not None or time.monotonic() > end:
                    with open(self.dir + "/log", encoding="utf-8",
                              errors="replace") as f:
                        raise RuntimeError("swtpm did not start: " + f.read())
                time.sleep(0.01)

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        shutil.rmtree(self.dir)

    def power_cycle(self):
        """Switch the TPM off and on: it waits for TPM2_Startup."""
        with connect(self.socket + ".ctrl") as s:
            s.sendall(struct.pack(">II", CMD_INIT, 0))
            if s.recv(4) != bytes(4):
                raise RuntimeError("swtpm does not switch the TPM off and on")

    def command(self, data):
        """Send one raw TPM command, return the raw response."""
        with connect(self.socket) as s:
            s.sendall(data)
            return receive(s)

    def transient(self):
        """Handles of the transient objects in the TPM."""
        return handles(self.command, OBJECTS)

    def sessions(self):
        """Handles of the sessions loaded in the TPM."""
        return handles(self.command, LOADED_SESSIONS)


class Proxy:
    """A relay between tpm2-tools and @swtpm, which sees, changes or delays commands.

    rule(code, command, forward) returns the response; forward(command) asks
    the TPM.
    """

    def __init__(self, swtpm, rule):
        self.swtpm = swtpm
        self.rule = rule
        self.path = swtpm.dir + "/proxy"
        self.listener = None
        self.thread = None
        self.failure = None

    @property
    def tcti(self):
        return "swtpm:path=" + self.path

    def __enter__(self):
        os.symlink(self.swtpm.socket + ".ctrl", self.path + ".ctrl")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.listener.close()
        os.unlink(self.path)
        os.unlink(self.path + ".ctrl")
        if self.failure is not None:
            raise self.failure

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client, connect(self.swtpm.socket) as tpm:

                def forward(data, tpm=tpm):
                    tpm.sendall(data)
                    return receive(tpm)

                while True:
                    command = receive(client)
                    if not command:
                        break
                    try:
                        client.sendall(self.rule(code_of(command), command, forward))
                    except OSError:
                        break
                    except Exception as e:	# raised at the end of the test
                        self.failure = e
                        break


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect(path)
    except BaseException:
        s.close()
        raise
    return s


def accepts(path):
    try:
        connect(path).close()
    except OSError:
        return False
    return True

# SPDX-License-Identifier: GPL-2.0
"""
suspend.py: suspend the machine to RAM, for tests with tpm.observer, which wakes it up.
"""

import os

from tpm_tis import ask_observer

PMBASE = 0x40			# in the configuration space of the chip set's LPC bridge (ICH9)


def suspend_to_ram(*orders):
    """
    Suspend the machine to RAM until the observer wakes it up. orders: for tests/vm/tpm-proxy, while the
    machine sleeps. An OSError says that the kernel has refused.

    The firmware (SeaBIOS) does not restore the base address of the power management registers, which are
    needed to suspend the machine again or to power it off. So it is saved and restored here.
    """
    with open("/sys/bus/pci/devices/0000:00:1f.0/config", "r+b", buffering=0) as lpc_bridge:
        lpc_bridge.seek(PMBASE)
        registers = lpc_bridge.read(5)
        with open("/sys/power/mem_sleep", "w", encoding="ascii") as file:
            file.write("deep")
        ask_observer("wake", *orders)
        # Not by a buffered file, which writes again when it is closed after an error.
        state = os.open("/sys/power/state", os.O_WRONLY)
        try:
            os.write(state, b"mem")
        except OSError:
            ask_observer("awake")
            raise
        finally:
            os.close(state)
        lpc_bridge.seek(PMBASE)
        lpc_bridge.write(registers)

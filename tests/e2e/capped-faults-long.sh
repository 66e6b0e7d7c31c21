#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# capped-faults-long.sh: capped-faults.sh with every byte and every length of each answer, and with every return
# code at each command.
#
# vm: boot tpm=golden timeout=7200
# vm: only-on[7.3] this tests the module, not the kernel
# vm: long every byte

export EVERY_BYTE=1
. "$DERIVED/tests/e2e/capped-faults.sh"

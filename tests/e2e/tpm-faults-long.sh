#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tpm-faults-long.sh: tpm-faults.sh with every byte and every length of the own session's answers.
#
# vm: boot tpm=golden timeout=2400
# vm: only-on[7.3] this tests the module, not the kernel
# vm: long every byte

export EVERY_BYTE=1
. "$DERIVED/tests/e2e/tpm-faults.sh"

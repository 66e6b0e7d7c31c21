#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# capped-sleep.sh: the capped root over suspend to RAM, suspend to idle, and resets of the TPM: the cap PCR is
# closed again before user space runs, and the keys stay.
#
# The test is capped-sleep.py, with tpm.observer on the host. While the machine sleeps, three kinds of programs
# (cap-race.c) have commands for the TPM ready: through /dev/tpmrm0, through /dev/tpm0, and through a queue of
# the kernel's. They must never fetch the capped root. The same programs fetch it before the module is loaded.
#
# A firmware that loses the TPM's PCRs is made by rules of tests/vm/tpm-proxy: at the TPM2_Startup(STATE) of
# SeaBIOS, the TPM is reset and started with TPM2_Startup(CLEAR).
#
# Not tested: a TPM that the kernel has disabled (TPM_CHIP_FLAG_DISABLE), because only a kernel with sessions of
# its own does that, for a null primary key that has changed. Nor a TPM that does not answer at all when the
# machine resumes: its driver waits for two minutes.
#
# vm: boot tpm=golden timeout=600 proxy="any:delay=0"
# vm: observer tpm.observer
# vm: long[6.12] many suspends

exec python3 "$DERIVED/tests/e2e/capped-sleep.py"

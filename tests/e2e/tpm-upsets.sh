#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tpm-upsets.sh: while four processes ask for keys without a pause, the TPM is reset under their
# feet, the machine is suspended to RAM and woken up, and swtpm is killed: every key that comes is
# the right one, and all is well afterwards, or refused in a moment if the TPM is gone.
#
# tpm-upsets.py does it, with tpm.observer on the host.
#
# vm: boot tpm=golden timeout=300 proxy="any:delay=0"
# vm: observer tpm.observer
# vm: long[6.12] the TPM driver's waits

exec python3 "$DERIVED/tests/e2e/tpm-upsets.py"

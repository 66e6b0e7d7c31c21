#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tpm-upsets.sh: while four processes request keys without a pause, the TPM is reset, the machine is
# suspended to RAM and woken up, and swtpm is killed. Every key is the right one. Afterwards
# requests are served again or, if the TPM is gone, refused within a moment.
#
# The test is tpm-upsets.py, with tpm.observer on the host.
#
# vm: boot tpm=golden timeout=300 proxy="any:delay=0"
# vm: observer tpm.observer
# vm: long[6.12] the TPM driver's waits

exec python3 "$DERIVED/tests/e2e/tpm-upsets.py"

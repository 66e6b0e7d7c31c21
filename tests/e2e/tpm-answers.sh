#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tpm-answers.sh: each command of a transaction with the TPM is refused, cut, bent, answered late or not
# before it is canceled, or finds a TPM that was reset: the right errno or the right key, nothing is left
# in the TPM, and the next try gives the right key.  And some are never answered.  tpm-answers-long.sh
# does all of that at each command.
#
# tpm-faults.sh has more of each, on a TPM that is made up in user space; this is about the driver
# of real ones (TIS), which sends again, gives up, cancels, and must find the way back.  Between it
# and swtpm is tests/vm/tpm-proxy, with rules that tpm.observer changes.  tpm-answers.py has the
# cases.
#
# Some return codes are random: DERIVED_SEED=N in the environment of tests/vm/vm gives those of a
# run that printed N.
#
# vm: boot tpm=golden timeout=300 proxy="any:delay=0"
# vm: observer tpm.observer
# vm: long[6.12] the TPM driver's waits

exec python3 "$DERIVED/tests/e2e/tpm-answers.py"

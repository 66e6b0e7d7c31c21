#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tpm-answers.sh: the answer to each command of a fetch is an error, is cut, altered, late, or comes
# only after the command is canceled; or the TPM was reset before. The request gets the right errno
# or the right key, nothing is left in the TPM, and the next request gets the right key. Some
# commands are never answered. tpm-answers-long.sh does all of this at each command.
#
# tpm-faults.sh has more cases of each kind, on a TPM that is simulated in user space. This test is
# about the driver of real TPMs (TIS): it sends commands again, gives up, cancels commands, and must
# recover from that. tests/vm/tpm-proxy stands between the driver and swtpm, with rules that
# tpm.observer changes. The cases are in tpm-answers.py.
#
# Some return codes are random. To repeat a run that printed DERIVED_SEED=N, set DERIVED_SEED=N in the
# environment of tests/vm/vm.
#
# vm: boot tpm=golden timeout=300 proxy="any:delay=0"
# vm: observer tpm.observer
# vm: long[6.12] the TPM driver's waits

exec python3 "$DERIVED/tests/e2e/tpm-answers.py"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tpm-answers-long.sh: tpm-answers.sh with the cases that take seconds at each command.
#
# vm: boot tpm=golden timeout=900 proxy="any:delay=0"
# vm: observer tpm.observer
# vm: long the TPM driver's waits, at each command

export EVERY_COMMAND=1
. "$DERIVED/tests/e2e/tpm-answers.sh"

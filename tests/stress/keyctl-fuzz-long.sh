#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# keyctl-fuzz-long.sh: keyctl-fuzz.sh for ten minutes.
#
# vm: boot tpm=golden cpus=2 args="maxcpus=1" timeout=1200
# vm: long ten minutes

export FUZZ_SECONDS=600
. "$DERIVED/tests/stress/keyctl-fuzz.sh"

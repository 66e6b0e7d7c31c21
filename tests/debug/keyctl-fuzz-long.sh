#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# keyctl-fuzz-long.sh: keyctl-fuzz.sh for five minutes.
#
# vm: boot tpm=golden cpus=2 args="maxcpus=1" timeout=900
# vm: long five minutes

export FUZZ_SECONDS=300
. "$DERIVED/tests/debug/keyctl-fuzz.sh"

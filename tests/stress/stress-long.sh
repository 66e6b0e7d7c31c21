#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stress-long.sh: stress.sh with a thousand rounds.
#
# vm: boot tpm=golden cpus=2 args="maxcpus=1" timeout=2400
# vm: long a thousand times

export STRESS_ROUNDS=1000 STRESS_SECONDS=1800
. "$DERIVED/tests/stress/stress.sh"

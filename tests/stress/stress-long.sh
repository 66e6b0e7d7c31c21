#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stress-long.sh: stress.sh with five hundred rounds.
#
# vm: boot tpm=golden cpus=2 args="maxcpus=1" timeout=1200
# vm: long five hundred times

export STRESS_ROUNDS=500 STRESS_SECONDS=600
. "$DERIVED/tests/stress/stress.sh"

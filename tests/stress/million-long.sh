#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# million-long.sh: million.sh with a million derivations, and 3000 with a fetch each.
#
# vm: boot tpm=golden timeout=2400
# vm: long a million derivations

export MILLION=1000000 MILLION_TRANSIENT=3000
. "$DERIVED/tests/stress/million.sh"

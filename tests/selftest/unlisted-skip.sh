#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# unlisted-skip.sh: a skip that no header lists.
#
# vm: boot tpm=none
# vm: expect-red ^skipped, but not listed: two$

. "$DERIVED/tests/lib/lib.sh"

plan 2
ok 'one' true
skip 'two' 'nobody said so'

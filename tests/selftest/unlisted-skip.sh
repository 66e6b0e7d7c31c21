#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# unlisted-skip.sh: a point is skipped that the header does not list.
#
# vm: boot tpm=none
# vm: expect-red ^skipped, but not listed: two$

. "$DERIVED/tests/lib/lib.sh"

plan 2
ok 'one' true
skip 'two' 'for no reason'

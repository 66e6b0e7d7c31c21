#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# missing-skip.sh: a point that is listed as skipped is tested.
#
# vm: boot tpm=none
# vm: skip one
# vm: expect-red ^listed as skipped, but was not: one$

. "$DERIVED/tests/lib/lib.sh"

plan 1
ok 'one' true

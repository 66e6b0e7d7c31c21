#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# missing-skip.sh: a listed skip that does not happen.
#
# vm: boot tpm=none
# vm: skip one
# vm: expect-red ^listed as skipped, but was not: one$

. "$DERIVED/tests/lib/lib.sh"

plan 1
ok 'one' true

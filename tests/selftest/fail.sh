#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fail.sh: a point is not ok.
#
# vm: boot tpm=none
# vm: expect-red ^1 of 2 points are not ok$

. "$DERIVED/tests/lib/lib.sh"

plan 2
ok 'good' true
ok 'bad' false
exit 0

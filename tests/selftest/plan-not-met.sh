#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# plan-not-met.sh: there are fewer points than planned.
#
# vm: boot tpm=none
# vm: expect-red ^the plan was 3 points, 2 were reported$

. "$DERIVED/tests/lib/lib.sh"

plan 3
ok 'one' true
ok 'two' true

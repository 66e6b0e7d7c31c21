#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# no-plan.sh: there are points, but done_testing is missing.
#
# vm: boot tpm=none
# vm: expect-red ^the test printed no plan$

. "$DERIVED/tests/lib/lib.sh"

plan_later
ok 'one' true

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# exit-status.sh: all points are ok, but the script fails.
#
# vm: boot tpm=none
# vm: expect-red ^the verdict is: fail: the script ended with exit status 3$

. "$DERIVED/tests/lib/lib.sh"

plan 1
ok 'one' true
exit 3

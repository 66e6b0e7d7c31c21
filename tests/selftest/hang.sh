#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# hang.sh: the script does not end.
#
# vm: boot tpm=none timeout=25
# vm: expect-red ^the machine did not power off in (25|200) s$

. "$DERIVED/tests/lib/lib.sh"

plan 1
ok 'one' true
sleep 1000

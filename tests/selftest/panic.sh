#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# panic.sh: the kernel panics after the last point and before the verdict.
#
# vm: boot tpm=none
# vm: not-on[debug] it has no sysrq; there kernel-warning.sh ends with a panic
# vm: expect-red ^the console does not end with

. "$DERIVED/tests/lib/lib.sh"

plan 1
ok 'one' true
sync
echo c >/proc/sysrq-trigger

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# panic.sh: a panic after the last point, before the verdict.
#
# vm: boot tpm=none
# vm: not-on[debug] it has no sysrq; its kernel-warning.sh ends in a panic, too
# vm: expect-red ^the console does not end with

. "$DERIVED/tests/lib/lib.sh"

plan 1
ok 'one' true
sync
echo c >/proc/sysrq-trigger

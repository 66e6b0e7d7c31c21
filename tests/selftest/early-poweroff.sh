#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# early-poweroff.sh: the machine powers off after the last point and before the verdict.
#
# vm: boot tpm=none
# vm: expect-red ^no verdict was written$

. "$DERIVED/tests/lib/lib.sh"

plan 1
ok 'one' true
busybox poweroff -f
sleep 60

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# systemd-exit-status.sh: the exit status of the script is also noticed if a service of systemd runs it.
#
# vm: boot tpm=none init=systemd timeout=400
# vm: expect-red exit status 3

. "$DERIVED/tests/lib/lib.sh"
plan 1
is 'process 1 is systemd' "$(cat /proc/1/comm)" systemd
exit 3

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# observer.sh: the observer answers, and ends with an error.
#
# vm: boot tpm=fresh memory=384
# vm: disk 64M
# vm: observer observer.observer
# vm: expect-red ^the observer ended with status 3$

. "$DERIVED/tests/lib/lib.sh"

plan 5
# The kernel "debug" gets additional memory.
memory=384
! on_debug_kernel || memory=$((memory + 512))
is "the machine's memory is a file" "$(ask_observer memory)" $((memory << 20))
like "swtpm's log is there" "$(ask_observer tpm)" '^[1-9]'
is 'the monitor is there' "$(ask_observer qmp)" socket
like 'the disk is there' "$(ask_observer disk)" '^64 MiB'
is 'the directory of the build is there' "$(ask_observer build)" directory

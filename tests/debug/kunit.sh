#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kunit.sh: the KUnit tests (tests/kunit/), in a kernel that detects memory errors.
#
# vm: boot tpm=none
# vm: only-on[debug] the other kernels have no KUnit

. "$DERIVED/tests/lib/lib.sh"

plan_later
ok 'the module with its KUnit tests loads' insmod "$DERIVED/kunit/derived-keys.ko"

for suite in derived-keys-request derived-keys-kdf derived-keys-tpm derived-keys-capped; do
	results=$(cat /sys/kernel/debug/kunit/$suite/results)
	cases=$(sed -n 's/^    1\.\.//p' <<<"$results")
	seen=0
	while read -r line; do
		case $line in
		'ok '*|'not ok '*) ;;
		*) continue ;;
		esac
		name=${line#*ok * }
		name=${name%% *}
		seen=$((seen + 1))
		# No case may be skipped.
		case $line in
		'not ok'*|*'# SKIP'*)	fail "$suite: $name" "$results" ;;
		*)			pass "$suite: $name" ;;
		esac
	done < <(sed -n 's/^    //p' <<<"$results")
	is "$suite: all of its cases have run" "$seen" "${cases:-no plan}"
	like "$suite: the suite has passed" "$results" "^ok [0-9]+ $suite"
done
ok 'the module unloads' unload_module
done_testing

# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# tap.sh: print test points as TAP. The tests in the virtual machine source it through tests/lib/lib.sh,
# and the checks on the host (tests/checks/) source it directly.
#
#	. "$tree/tests/lib/tap.sh"
#	plan 2				# or: plan_later, and done_testing at the end
#	ok 'a key can be added' keyctl add user name payload @u
#	is 'one and one' "$((1 + 1))" 2
#
# A script goes on after a failed point. A check ends with "all_passed", for its exit status; the verdict
# about a test in the virtual machine comes from the host, which reads the TAP.

tap_count=0 tap_failed=0

plan() { echo "1..$1"; }
plan_later() { :; }
done_testing() { echo "1..$tap_count"; }
all_passed() { [ "$tap_failed" -eq 0 ]; }
note() { echo "# ${*//$'\n'/$'\n'# }"; }
bail_out() { echo "Bail out! $*"; exit 1; }

# tap_point STATUS DESC DIAGNOSTICS...: print a point. It is ok if STATUS is 0; otherwise the diagnostics are
# printed, too. A "#" in the description would begin a directive, so it is escaped.
tap_point() {
	local status=$1 desc=${2//[$'\n\r']/ } word=ok
	shift 2
	tap_count=$((tap_count + 1))
	[ "$status" -eq 0 ] || word='not ok' tap_failed=$((tap_failed + 1))
	echo "$word $tap_count - ${desc//#/\\#}"
	[ "$status" -eq 0 ] || note "$@"
	return "$status"
}

pass() { tap_point 0 "$1"; }
fail() { tap_point 1 "$1" "${*:2}"; }

# skip DESC WHY: a point that is not tested here. The test's header must list it.
skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - ${1//#/\\#} # SKIP $2"
}

# The next three run a command. Its output is in $out afterwards.
# ok DESC CMD...: the command succeeds.
ok() {
	local desc=$1 status=0
	shift
	out=$("$@" 2>&1) || status=$?
	tap_point $status "$desc" "command: $*
exit status: $status
output: $out"
}
# fails DESC CMD...: the command fails.
fails() { fails_with "$1" '' "${@:2}"; }
# fails_with DESC ERE CMD...: the command fails, and a line of its output matches.
fails_with() {
	local desc=$1 want=$2 status=0
	shift 2
	out=$("$@" 2>&1) || status=$?
	# With 126 and 127 the shell could not run the command, which proves nothing.
	[ $status -ne 0 ] && [ $status -lt 126 ] && grep -qE -e "$want" <<<"$out"
	tap_point $? "$desc" "command: $*
exit status: $status${want:+
expected to match: $want}
output: $out"
}

# is DESC GOT WANT: the two are equal.
is() {
	[ "$2" = "$3" ]
	tap_point $? "$1" "got:  '$2'
want: '$3'"
}
# isnt DESC GOT UNWANTED: the two differ, and GOT is not empty.
isnt() {
	[ -n "$2" ] && [ "$2" != "$3" ]
	tap_point $? "$1" "got:      '$2'
unwanted: '$3'"
}

# like DESC TEXT ERE: some line of TEXT matches. unlike: no line does, and TEXT is not empty.
like() {
	grep -qE -e "$3" <<<"$2"
	tap_point $? "$1" "text: $2
does not match: $3"
}
unlike() {
	[ -n "$2" ] && ! grep -qE -e "$3" <<<"$2"
	tap_point $? "$1" "text: '$2'
is empty or matches: $3"
}

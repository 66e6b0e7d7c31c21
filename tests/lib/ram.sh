# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# ram.sh: for tests/e2e/ram.sh and ram-capped.sh: have tests/e2e/ram.observer search the memory.

. "$DERIVED/tests/lib/lib.sh"

observe() { note "$1: $(ask_observer "${@:2}")"; }
# is_at DESC NAME PLACES: the last search has found the secret in these places.
is_at() {
	local got
	got=$(ask_observer where "$2")
	is "$1" "$got" "$3" || pages "$got"
}
# Print the flags of the pages of some addresses, by the names of
# include/uapi/linux/kernel-page-flags.h.
pages() {
	local address flags bit names=(LOCKED ERROR REFERENCED UPTODATE DIRTY LRU ACTIVE SLAB WRITEBACK RECLAIM
		BUDDY MMAP ANON SWAPCACHE SWAPBACKED COMPOUND_HEAD COMPOUND_TAIL)
	while read -r address; do
		flags=$(od -An -t u8 -j $(((address >> 12) * 8)) -N 8 /proc/kpageflags)
		note "$address: page flags:$(for bit in "${!names[@]}"; do
			((flags >> bit & 1)) && printf ' %s' "${names[bit]}"; done)"
	done < <(grep -oE '0x[0-9a-f]+' <<<"$1")
}
# hold REQUEST...: a process requests keys, the observer keeps a copy of all memory at once, and the
# process waits until it is killed. This script does nothing meanwhile.
hold() {
	local answer
	coproc HOLDER { exec "$DERIVED/bin/hold" "$@" <>/dev/ttyS3; }
	read -r -t 60 -u "${HOLDER[0]}" answer
	note "kept: $answer"
}
# watch_session: from now on, record the secrets of sessions.
watch_session() {
	local at dx='' di=''
	for at in 0 16 4 20 8 24 12 28; do
		dx+=" w$at=+$at(%dx):x32" di+=" w$at=+$at(%di):x32"
	done
	echo "p:session/ecdh crypto_ecdh_shared_secret$dx" >$tracing/kprobe_events
	echo "p:session/kdfe derived_keys:derived_tpm_kdfe$di" >>$tracing/kprobe_events
	echo >$tracing/trace
	echo 1 >$tracing/events/session/enable
}
# session_is_known DESC root|capped: from now on, search for the secrets of the last session that fetched the
# root secret, or of the first one, which fetched the capped root secret.
session_is_known() {
	local words
	words=$(awk -v first="$([ "$2" != capped ] || echo yes)" '/ (ecdh|kdfe): / {
			for (i = 1; i <= NF; i++)
				if (split($i, w, "=0x") == 2 && !(first && (/ kdfe: /, w[1]) in word))
					word[/ kdfe: /, w[1]] = w[2]
		} END {
			for (kdfe = 0; kdfe < 2; kdfe++) for (at = 0; at < 32; at += 4) print word[kdfe, "w" at]
		}' $tracing/trace)
	echo 0 >$tracing/events/session/enable
	echo >$tracing/kprobe_events
	# shellcheck disable=SC2086
	is "$1: the session's secrets are known" "$(ask_observer session "$2" $words)" proved
}
# kexec_away MARKER FILE: fill memory with the marker, keep the number of points in the file, and go to another kernel,
# which finds vm_kexec=1 in its command line.
kexec_away() {
	yes "$(printf '%-4095s' "$1")" | head -c 4M >/dev/shm/marker
	ok 'another kernel is loaded' kexec --load --kexec-file-syscall --reuse-cmdline \
		--append=vm_kexec=1 --initrd="$DERIVED/initrd" "/boot/vmlinuz-$(uname -r)"
	echo "$tap_count" >"$2"
	sync
	kexec --exec
	sleep 60
	bail_out 'kexec did not start the other kernel'
}

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# floods.sh: 200 processes that ask at once, on a slow TPM: rows D1 to D3 of the table in
# Documentation/threat-model.rst.  Who asks is served or refused, and whoever else has something to
# do is delayed by no more than the line for the TPM.  The numbers are printed.
#
# The TPM takes as long as a discrete one (an Infineon SLB9670) for each command that a key from
# root=transient needs: for a CreatePrimary, the mean of its two.  Delays are stated in transactions,
# which is all the commands for one key, as measured here; the slack beyond them is for the virtual
# machine, in which each step of a program is some 20 times as slow.
#
# vm: boot tpm=golden timeout=300 proxy="CreatePrimary:delay=107 StartAuthSession:delay=85 HMAC:delay=14 FlushContext:delay=3 GetCapability:delay=4"
# vm: boot tpm=golden timeout=300 args="ima_policy=tcb" proxy="CreatePrimary:delay=107 StartAuthSession:delay=85 HMAC:delay=14 FlushContext:delay=3 GetCapability:delay=4"
# vm: long[7.3] a TPM made slow
# vm: long[debug] minutes, and no times are judged there

. "$DERIVED/tests/lib/lib.sh"

plan_later
flood=$DERIVED/bin/flood
crowd=200
line=8			# who is at the TPM, and 7 who wait
slow=323		# what the proxy adds to a transaction, in ms
slack=2000
request='32 path flood v1'

# Of what flood prints: of an outcome (default: ok) how often it was, and the median and longest
# time; and all outcomes.
count() { awk -v what="${2-ok}" '$1 == what { n = $2 } END { print n + 0 }' <<<"$1"; }
median() { awk -v what="${2-ok}" '$1 == what { n = $4 } END { print n + 0 }' <<<"$1"; }
longest() { awk -v what="${2-ok}" '$1 == what { n = $5 } END { print n + 0 }' <<<"$1"; }
outcomes() { awk 'NF == 5 { printf "%s ", $1 }' <<<"$1"; }
# numbers WHAT TEXT: what flood printed, for people.
numbers() {
	note "$1: $(awk '$1 == "together" { print $2, "in line when the last one asked" }
		NF == 5 { printf "%d %s in %d to %d ms (median %d)\n", $2, $1, $3, $5, $4 }' <<<"$2" |
		paste -sd ';')"
}
# between DESC MIN NUMBER MAX
between() {
	[ -n "$3" ] && [ "$2" -le "$3" ] && [ "$3" -le "$4" ]
	tap_point $? "$1" "got: $3, not from $2 to $4"
}

# in_time DESC MIN MS MAX: the same for a time; but on the kernel "debug" any will do.
in_time() {
	if on_debug_kernel; then
		between "$1 (here, it only has to end)" 0 "$3" 1000000
	else
		between "$@"
	fi
}

ms() { echo $((${EPOCHREALTIME/./} / 1000)); }
# timed CMD...: sets $took to the ms that it takes.
timed() {
	local began
	began=$(ms)
	"$@"
	local status=$?
	took=$(($(ms) - began))
	return $status
}

# How many commands the kernel has sent to the TPM.
count_tpm_commands() {
	mount_tracing
	echo 'p:tpm_command tpm_transmit_cmd' >$tracing/kprobe_events
	echo 1 >$tracing/events/kprobes/tpm_command/enable
	# It would ask the TPM now and then.
	echo none >/sys/class/misc/hw_random/rng_current
}
tpm_commands() { awk '$1 == "tpm_command" { print $2 }' $tracing/kprobe_profile; }

# begin NAME CMD...: start it in the background, with a stdin that ends when "end NAME" is called.
# What it prints is in /run/NAME.out then.
declare -A ends pids
begin() {
	local name=$1 fd
	shift
	rm -f "/run/$name.out"
	mkfifo "/run/$name"
	"$@" <"/run/$name" >"/run/$name.out" 2>&1 &
	pids[$name]=$!
	exec {fd}>"/run/$name"
	ends[$name]=$fd
}
# begin_flood CMD...: the same, and it is under way.
begin_flood() {
	local i
	begin flood "$@"
	for i in $(seq 100); do
		! grep -qs begun /run/flood.out || break
		sleep 0.1
	done
	sleep 0.5
}
end() {
	local name fd
	for name; do
		fd=${ends[$name]}
		exec {fd}>&-
	done
	for name; do
		wait "${pids[$name]}"
		rm "/run/$name"
	done
}

transaction=0
measure_transaction() {
	local i out
	for i in 1 2 3; do
		out+=$(as_user 1000 "$flood" once 1 "$request")$'\n'
	done
	transaction=$(awk '$1 == "ok" { print $4 }' <<<"$out" | sort -n | sed -n 2p)
	in_time 'the TPM is slow' $slow "${transaction:-0}" $((slow + slack))
	note "T, one transaction: $transaction ms"
	all_of_line=$((line * transaction + slack))
}

# others WHEN: what others do: add keys of type user, read /proc/keys, load and unload a module that
# registers a key type.  Sets $adding and $showing to what flood printed, $loading and $unloading to
# the ms that it took.
others() {
	begin add as_user 1001 "$flood" add 20
	begin keys as_user 1001 "$flood" keys 20
	sleep 0.5
	timed modprobe dns_resolver || fail "$1: dns_resolver can be loaded"
	loading=$took
	timed modprobe -r dns_resolver || fail "$1: dns_resolver can be unloaded"
	unloading=$took
	sleep 0.5
	end add keys
	adding=$(cat /run/add.out) showing=$(cat /run/keys.out)
	numbers "$1: add_key of type user" "$adding"
	numbers "$1: cat /proc/keys" "$showing"
	note "$1: loading dns_resolver $loading ms, unloading $unloading ms"
	is "$1: every key of type user was made, and /proc/keys was read" \
		"$(outcomes "$adding")$(outcomes "$showing")" 'ok ok '
}

transient() {
	local before commands served refused

	ok 'the module loads with root=transient' load_module root=transient
	before=$(tpm_commands)
	measure_transaction
	commands=$(($(tpm_commands) - before))
	per_key=$((commands / 3))
	is 'each key takes as many TPM commands' "$commands $((per_key >= 4))" "$((3 * per_key)) 1"
	note "one transaction is $per_key TPM commands"
	others 'when all is quiet'

	before=$(tpm_commands)
	out=$(as_user 1000 "$flood" once $crowd "$request")
	commands=$(($(tpm_commands) - before))
	numbers "transient: $crowd ask at once" "$out"
	is "$crowd at once, with root=transient, are served or get EAGAIN" \
		"$(outcomes "$out")" 'EAGAIN ok '
	served=$(count "$out") refused=$(count "$out" EAGAIN)
	is 'each of them' $((served + refused)) $crowd
	between 'at least those are served for whom there is room in the line' $line "$served" $crowd
	between 'no more than that are in line' 1 "$(count "$out" together)" $line
	in_time 'the last one served has waited for the others in line' \
		$((line * slow)) "$(longest "$out")" $all_of_line
	is 'TPM commands were sent for those who were served, and none for the others' \
		"$commands" $((per_key * served))

	begin_flood as_user 1000 "$flood" on $crowd 1000 "$request"
	before=$(tpm_commands)
	others 'transient, flooded'
	commands=$(($(tpm_commands) - before))
	end flood
	out=$(cat /run/flood.out)
	numbers "transient, $crowd ask again and again" "$out"
	is 'who floods is served or gets EAGAIN' "$(outcomes "$out")" 'EAGAIN ok '
	# On "debug" it is the programs that are busy.
	if ! on_debug_kernel; then
		[ $((commands * transaction / per_key)) -gt $(((loading + unloading) * 3 / 4)) ]
		tap_point $? 'the TPM was busy all that time' "$commands commands"
	fi
	in_time 'a key of type user is delayed by no more than the line' \
		0 "$(longest "$adding")" $all_of_line
	in_time '/proc/keys is not delayed' 0 "$(median "$showing")" $((transaction / 4))
	in_time '/proc/keys is never delayed' 0 "$(longest "$showing")" $slack
	in_time 'loading a module with a key type is delayed by no more than the line' \
		0 $loading $all_of_line
	in_time 'unloading it, too' 0 $unloading $all_of_line

	out=$(as_user 1000 "$flood" kill 20 $line "$request")
	numbers 'transient, of 20 those in line are killed' "$out"
	is 'all but the one at the TPM waited for it when they were killed' \
		"$(count "$out" waiting)" $((line - 2))
	in_time 'who waits for the TPM and is killed dies at once' \
		0 "$(longest "$out" waiting)" $((transaction / 2))
	in_time 'who is at the TPM and is killed dies when that has answered' \
		0 "$(longest "$out" at-tpm)" $((transaction + slack))
	tpm_slots_empty 'nothing is left in the TPM by those who were killed'
}

cached() {
	local before

	ok 'the module loads with root=cached' load_module
	before=$(tpm_commands)
	out=$(as_user 1000 "$flood" once $crowd "$request")
	numbers "cached: $crowd ask at once" "$out"
	is "$crowd at once, with root=cached, are served" "$(outcomes "$out")$(count "$out")" "ok $crowd"
	begin_flood as_user 1000 "$flood" on $crowd 1000 "$request"
	others 'cached, flooded'
	end flood
	out=$(cat /run/flood.out)
	numbers "cached, $crowd ask again and again" "$out"
	is 'who floods is served' "$(outcomes "$out")" 'ok '
	# Not by the TPM, that is.  That all of these want the one CPU is another matter.
	is 'nobody is delayed: no TPM command was sent in all that time' "$(tpm_commands)" "$before"
	in_time 'a key of type user is not delayed' 0 "$(longest "$adding")" $slack
	in_time '/proc/keys is not delayed, with root=cached' 0 "$(longest "$showing")" $slack

	before=$(tpm_commands)
	echo 1 >/sys/module/derived_keys/parameters/forget
	out=$(as_user 1000 "$flood" once $crowd "$request")
	numbers "cached, forgotten: $crowd ask at once" "$out"
	is 'without a root, they are served or get EAGAIN' "$(outcomes "$out")" 'EAGAIN ok '
	between 'at least those are served for whom there is room' $line "$(count "$out")" $crowd
	in_time 'they have waited for one transaction, together' \
		$slow "$(longest "$out")" $((transaction + slack))
	is 'that was one transaction' $(($(tpm_commands) - before)) $per_key
}

# over_quota ROOT: what comes, and how many TPM commands are sent, when a user who has all the keys
# that he may have asks for more.
over_quota() {
	local before commands processes=20

	echo 200 >/proc/sys/kernel/keys/maxkeys
	before=$(tpm_commands)
	out=$(as_user 1000 "$flood" over-quota $processes "$request")
	commands=$(($(tpm_commands) - before))
	echo 100000 >/proc/sys/kernel/keys/maxkeys
	numbers "$1, over quota: $processes ask at once" "$out"
	if [ "$1" = cached ]; then
		is 'over the quota, with root=cached, all get EDQUOT' \
			"$(outcomes "$out")$(count "$out" EDQUOT)" "EDQUOT $processes"
		is 'that were no TPM commands' $commands 0
	else
		is 'over the quota, with root=transient, they get EDQUOT or EAGAIN' \
			"$(outcomes "$out")" 'EAGAIN EDQUOT '
		between 'no more than are in line get so far' 1 "$(count "$out" together)" $line
		between 'who gets EDQUOT was in line' $line "$(count "$out" EDQUOT)" $((2 * line))
		is 'each of them took a transaction' $commands $((per_key * $(count "$out" EDQUOT)))
	fi
}

# Hashing executables of 700 KiB, two of which together are larger than csum_max.
hashing() {
	local uid root whole said processes=40

	# Other users have ids next to this one, or like root's but for some bits of a hash.
	for uid in 1008 1001; do
		install -d -o $uid /home/hash-$uid
		install -o $uid "$flood" /home/hash-$uid/flood
		truncate -s 700K /home/hash-$uid/flood
	done
	load_module
	out=$(as_user 1008 /home/hash-1008/flood once $processes '32 csum')
	numbers "csum: $processes ask at once" "$out"
	is 'csum: those that together are smaller than csum_max are served' \
		"$(outcomes "$out")$(count "$out")" "ok $processes"
	unload_module

	ok 'the module loads with csum_max=1048576' load_module csum_max=1048576
	out=$(as_user 1008 /home/hash-1008/flood once $processes '32 csum')
	numbers "csum, csum_max for one of them: $processes ask at once" "$out"
	is 'csum: where no two fit into csum_max, some are served, and the others get EAGAIN' \
		"$(outcomes "$out")" 'EAGAIN ok '
	begin_flood as_user 1008 /home/hash-1008/flood on $processes 100 '32 csum'
	out=$(as_user 1001 /home/hash-1001/flood on 1 0 '32 csum' < <(sleep 1))
	root=$(/home/hash-1001/flood on 1 0 '32 csum' < <(sleep 1))
	end flood
	numbers "csum, csum_max for one of them: $processes ask again and again" "$(cat /run/flood.out)"
	is 'csum: who floods is served or gets EAGAIN' \
		"$(outcomes "$(cat /run/flood.out)")" 'EAGAIN ok '
	numbers 'csum: another user, meanwhile' "$out"
	is 'csum: another user is served, meanwhile' "$(outcomes "$out")" 'ok '
	numbers 'csum: root, meanwhile' "$root"
	is 'csum: root is served, meanwhile' "$(outcomes "$root")" 'ok '
	unload_module

	# A signal that kills ends it, on file systems with a page cache.
	load_module
	install "$DERIVED/bin/addkey" /home/large
	truncate -s 250M /home/large
	klog_mark
	timed ok 'csum: a large executable is hashed' /home/large derived large '32 csum' @s
	whole=$took
	/home/large derived large '32 csum' @s &
	sleep 0.3
	kill -KILL $!
	timed wait $! 2>/dev/null
	is 'csum: who is killed while that goes on dies of it' $? 137
	in_time 'csum: and before it is through' 0 $took $((whole / 2))
	said=$(klog)
	like 'csum: IMA writes that it could not read all of it (documented)' "$said" 'audit: .*collect_data'
	unlike 'csum: we do not say that it cannot be hashed' "$said" 'derived:'
	note "csum: $(stat -c %s /home/large) bytes in $whole ms, killed: $took ms"
}

# exec_new NAME COUNT: a user runs programs that nobody has run before, so IMA measures each.
exec_new() {
	local i files=()
	for i in $(seq "$2"); do
		files+=("/home/other/$1-$i")
		{ cat /bin/true; echo "$1-$i"; } >"${files[-1]}"
		chmod 755 "${files[-1]}"
	done
	as_user 1001 "$flood" exec "${files[@]}"
}

ima() {
	local quiet

	exec_new warm-up 1 >/dev/null
	quiet=$(exec_new quiet 10)
	numbers 'IMA, when all is quiet: exec of a new file' "$quiet"

	load_module root=transient
	measure_transaction
	begin_flood as_user 1000 "$flood" on $crowd 1000 "$request"
	out=$(exec_new flooded 20)
	end flood
	numbers "transient, $crowd ask again and again" "$(cat /run/flood.out)"
	numbers 'IMA, transient, flooded: exec of a new file' "$out"
	is 'who floods is served or gets EAGAIN' "$(outcomes "$(cat /run/flood.out)")" 'EAGAIN ok '
	# The TPM's mutex wakes who has waited longest, and goes to who is first to take it, which may
	# be the next one in our line.  Who was too late once, is given it.
	between 'an exec that IMA measures is delayed by one transaction' $((slow / 2)) \
		"$(median "$out")" $((transaction + $(longest "$quiet") + slack / 10))
	between 'and never by more than two' 0 \
		"$(longest "$out")" $((2 * transaction + $(longest "$quiet") + slack / 2))
	unload_module

	load_module
	begin_flood as_user 1000 "$flood" on $crowd 1000 "$request"
	out=$(exec_new cached 10)
	end flood
	numbers "cached, $crowd ask again and again" "$(cat /run/flood.out)"
	numbers 'IMA, cached, flooded: exec of a new file' "$out"
	between 'with root=cached it is not delayed' 0 "$(median "$out")" $((transaction * 3 / 4))
	is 'IMA has measured each of these files' \
		"$(grep -cE ' /home/other/(quiet|flooded|cached)-[0-9]+ ' \
		/sys/kernel/security/ima/ascii_runtime_measurements)" 40
}

# What every process of a flood has of its own, a keyring and keys, is not to be what stops it.
echo 100000 >/proc/sys/kernel/keys/maxkeys
echo 10000000 >/proc/sys/kernel/keys/maxbytes
case $BOOT in
1)
	count_tpm_commands
	transient
	over_quota transient
	unload_module
	cached
	over_quota cached
	unload_module
	hashing
	;;
2)
	# That is about times only.
	if on_debug_kernel; then
		ok 'the module loads with the IMA policy' load_module
	else
		ima
	fi
	;;
esac
ok 'the module unloads' unload_module
done_testing

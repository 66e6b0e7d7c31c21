#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# floods.sh: 200 processes make requests at once, on a slow TPM: rows D1 to D3 of the table in
# Documentation/threat-model.rst. Each request is served or refused, and other processes are delayed
# by no more than the time of the line for the TPM. The numbers are printed.
#
# For each command that a key with root=transient needs, the TPM is made to take as long as a discrete
# TPM (an Infineon SLB9670); for a CreatePrimary it is the mean of the SLB9670's two times. Delays are
# stated in fetches. The time of a fetch, all commands for one key, is measured here. The slack beyond
# it is for the virtual machine, in which each step of a program is some 20 times as slow.
#
# vm: boot tpm=golden timeout=300 proxy="CreatePrimary:delay=107 StartAuthSession:delay=85 HMAC:delay=14 FlushContext:delay=3 GetCapability:delay=4"
# vm: boot tpm=golden timeout=300 args="ima_policy=tcb" proxy="CreatePrimary:delay=107 StartAuthSession:delay=85 HMAC:delay=14 FlushContext:delay=3 GetCapability:delay=4"
# vm: long[7.3] a TPM made slow
# vm: long[debug] minutes, and no times are judged there

. "$DERIVED/tests/lib/lib.sh"

plan_later
flood=$DERIVED/bin/flood
crowd=200
line=8			# the request at the TPM, and 7 that wait
slow=323		# the time that the proxy adds to a fetch, in ms
slack=2000
request='32 path flood v1'

# From the output of flood: the count, the median time and the longest time of an outcome (default:
# ok); and the names of all outcomes.
count() { awk -v what="${2-ok}" '$1 == what { n = $2 } END { print n + 0 }' <<<"$1"; }
median() { awk -v what="${2-ok}" '$1 == what { n = $4 } END { print n + 0 }' <<<"$1"; }
longest() { awk -v what="${2-ok}" '$1 == what { n = $5 } END { print n + 0 }' <<<"$1"; }
outcomes() { awk 'NF == 5 { printf "%s ", $1 }' <<<"$1"; }
# numbers WHAT TEXT: the output of flood, for people.
numbers() {
	note "$1: $(awk '$1 == "together" { print $2, "in line when the last request began" }
		NF == 5 { printf "%d %s in %d to %d ms (median %d)\n", $2, $1, $3, $5, $4 }' <<<"$2" |
		paste -sd ';')"
}
# between DESC MIN NUMBER MAX
between() {
	[ -n "$3" ] && [ "$2" -le "$3" ] && [ "$3" -le "$4" ]
	tap_point $? "$1" "got: $3, not from $2 to $4"
}

# in_time DESC MIN MS MAX: the same for a time. On the kernel "debug", any time is accepted.
in_time() {
	if on_debug_kernel; then
		between "$1 (here it only has to end)" 0 "$3" 1000000
	else
		between "$@"
	fi
}

ms() { echo $((${EPOCHREALTIME/./} / 1000)); }
# timed CMD...: run the command, and set $took to the ms that it takes.
timed() {
	local began
	began=$(ms)
	"$@"
	local status=$?
	took=$(($(ms) - began))
	return $status
}

# Count the commands that the kernel sends to the TPM.
count_tpm_commands() {
	mount_tracing
	echo 'p:tpm_command tpm_transmit_cmd' >$tracing/kprobe_events
	echo 1 >$tracing/events/kprobes/tpm_command/enable
	# The kernel's random number generator would ask the TPM now and then.
	echo none >/sys/class/misc/hw_random/rng_current
}
tpm_commands() { awk '$1 == "tpm_command" { print $2 }' $tracing/kprobe_profile; }

# begin NAME CMD...: start a command in the background, with a stdin that ends when "end NAME" is
# called. Its output is in /run/NAME.out.
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
# begin_flood CMD...: start a flood, and wait until it is under way.
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

fetch=0
measure_fetch() {
	local i out
	for i in 1 2 3; do
		out+=$(as_user 1000 "$flood" once 1 "$request")$'\n'
	done
	fetch=$(awk '$1 == "ok" { print $4 }' <<<"$out" | sort -n | sed -n 2p)
	in_time 'the TPM is slow' $slow "${fetch:-0}" $((slow + slack))
	note "T, one fetch: $fetch ms"
	all_of_line=$((line * fetch + slack))
}

# others WHEN: add keys of type user, read /proc/keys, and load and unload a module that registers a
# key type, as other users do meanwhile. Sets $adding and $showing to the output of flood, $loading
# and $unloading to the ms that these took.
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
	measure_fetch
	commands=$(($(tpm_commands) - before))
	per_key=$((commands / 3))
	is 'each key takes the same number of TPM commands' "$commands $((per_key >= 4))" "$((3 * per_key)) 1"
	note "one fetch is $per_key TPM commands"
	others 'without a flood'

	before=$(tpm_commands)
	out=$(as_user 1000 "$flood" once $crowd "$request")
	commands=$(($(tpm_commands) - before))
	numbers "transient: $crowd requests at once" "$out"
	is "with root=transient, $crowd requests at once are served or get EAGAIN" \
		"$(outcomes "$out")" 'EAGAIN ok '
	served=$(count "$out") refused=$(count "$out" EAGAIN)
	is 'each of these requests was answered' $((served + refused)) $crowd
	between 'at least as many requests are served as the line has room for' $line "$served" $crowd
	between 'no more requests are in line' 1 "$(count "$out" together)" $line
	in_time 'the last request served has waited for the others in line' \
		$((line * slow)) "$(longest "$out")" $all_of_line
	is 'TPM commands were sent for the served requests, and none for the others' \
		"$commands" $((per_key * served))

	begin_flood as_user 1000 "$flood" on $crowd 1000 "$request"
	before=$(tpm_commands)
	others 'transient, flooded'
	commands=$(($(tpm_commands) - before))
	end flood
	out=$(cat /run/flood.out)
	numbers "transient, $crowd processes repeat requests" "$out"
	is "a flood's requests are served or get EAGAIN" "$(outcomes "$out")" 'EAGAIN ok '
	# On "debug", the programs are busy, not the TPM.
	if ! on_debug_kernel; then
		[ $((commands * fetch / per_key)) -gt $(((loading + unloading) * 3 / 4)) ]
		tap_point $? 'the TPM was busy for all of this time' "$commands commands"
	fi
	in_time 'a key of type user is delayed by no more than the line' \
		0 "$(longest "$adding")" $all_of_line
	in_time '/proc/keys is not delayed' 0 "$(median "$showing")" $((fetch / 4))
	in_time '/proc/keys is never delayed' 0 "$(longest "$showing")" $slack
	in_time 'loading a module with a key type is delayed by no more than the line' \
		0 $loading $all_of_line
	in_time 'unloading that module, too' 0 $unloading $all_of_line

	out=$(as_user 1000 "$flood" kill 20 $line "$request")
	numbers 'transient, of 20 processes those in line are killed' "$out"
	is 'all but the process at the TPM waited for the TPM when they were killed' \
		"$(count "$out" waiting)" $((line - 2))
	in_time 'a process that is killed while it waits for the TPM dies at once' \
		0 "$(longest "$out" waiting)" $((fetch / 2))
	in_time 'a process that is killed at the TPM dies when the TPM has answered' \
		0 "$(longest "$out" at-tpm)" $((fetch + slack))
	tpm_slots_empty 'the killed processes leave nothing in the TPM'
}

cached() {
	local before

	ok 'the module loads with root=cached' load_module
	before=$(tpm_commands)
	out=$(as_user 1000 "$flood" once $crowd "$request")
	numbers "cached: $crowd requests at once" "$out"
	is "with root=cached, $crowd requests at once are served" \
		"$(outcomes "$out")$(count "$out")" "ok $crowd"
	begin_flood as_user 1000 "$flood" on $crowd 1000 "$request"
	others 'cached, flooded'
	end flood
	out=$(cat /run/flood.out)
	numbers "cached, $crowd processes repeat requests" "$out"
	is "a flood's requests are served" "$(outcomes "$out")" 'ok '
	# No process waits for the TPM. All of them still share the one CPU.
	is 'the TPM delays no process: no TPM command was sent in all this time' "$(tpm_commands)" "$before"
	in_time 'a key of type user is not delayed' 0 "$(longest "$adding")" $slack
	in_time '/proc/keys is not delayed, with root=cached' 0 "$(longest "$showing")" $slack

	before=$(tpm_commands)
	echo 1 >/sys/module/derived_keys/parameters/forget
	out=$(as_user 1000 "$flood" once $crowd "$request")
	numbers "cached, forgotten: $crowd requests at once" "$out"
	is 'without a cached root, requests are served or get EAGAIN' "$(outcomes "$out")" 'EAGAIN ok '
	between 'at least as many are served as the line has room for' $line "$(count "$out")" $crowd
	in_time 'they have all waited for the same fetch' \
		$slow "$(longest "$out")" $((fetch + slack))
	is 'there was one fetch' $(($(tpm_commands) - before)) $per_key
}

# over_quota ROOT: the outcomes, and the number of TPM commands, when a user whose quota of keys is
# full requests more keys.
over_quota() {
	local before commands processes=20

	echo 200 >/proc/sys/kernel/keys/maxkeys
	before=$(tpm_commands)
	out=$(as_user 1000 "$flood" over-quota $processes "$request")
	commands=$(($(tpm_commands) - before))
	echo 100000 >/proc/sys/kernel/keys/maxkeys
	numbers "$1, over quota: $processes requests at once" "$out"
	if [ "$1" = cached ]; then
		is 'over the quota, with root=cached, all requests get EDQUOT' \
			"$(outcomes "$out")$(count "$out" EDQUOT)" "EDQUOT $processes"
		is 'over the quota, with root=cached, no TPM command is sent' $commands 0
	else
		is 'over the quota, with root=transient, requests get EDQUOT or EAGAIN' \
			"$(outcomes "$out")" 'EAGAIN EDQUOT '
		between 'over the quota, no more requests are in line' 1 "$(count "$out" together)" $line
		between 'the requests that get EDQUOT were in line' \
			$line "$(count "$out" EDQUOT)" $((2 * line))
		is 'each of them took a fetch' $commands $((per_key * $(count "$out" EDQUOT)))
	fi
}

# Hashing executables of 700 KiB. Two of them together are larger than csum_max.
hashing() {
	local uid root whole said processes=40

	# The module counts for each user. A coarser count could mix up ids that are close to each other
	# (1001 and 1008), or that have the same value in a short hash (1008 and root's 0).
	for uid in 1008 1001; do
		install -d -o $uid /home/hash-$uid
		install -o $uid "$flood" /home/hash-$uid/flood
		truncate -s 700K /home/hash-$uid/flood
	done
	load_module
	out=$(as_user 1008 /home/hash-1008/flood once $processes '32 csum')
	numbers "csum: $processes requests at once" "$out"
	is 'csum: requests are served if their programs together are smaller than csum_max' \
		"$(outcomes "$out")$(count "$out")" "ok $processes"
	unload_module

	ok 'the module loads with csum_max=1048576' load_module csum_max=1048576
	out=$(as_user 1008 /home/hash-1008/flood once $processes '32 csum')
	numbers "csum, csum_max for one program: $processes requests at once" "$out"
	is 'csum: if no two programs fit into csum_max, some requests are served, others get EAGAIN' \
		"$(outcomes "$out")" 'EAGAIN ok '
	begin_flood as_user 1008 /home/hash-1008/flood on $processes 100 '32 csum'
	out=$(as_user 1001 /home/hash-1001/flood on 1 0 '32 csum' < <(sleep 1))
	root=$(/home/hash-1001/flood on 1 0 '32 csum' < <(sleep 1))
	end flood
	numbers "csum, csum_max for one program: $processes processes repeat requests" "$(cat /run/flood.out)"
	is "csum: a flood's requests are served or get EAGAIN" \
		"$(outcomes "$(cat /run/flood.out)")" 'EAGAIN ok '
	numbers 'csum: another user, meanwhile' "$out"
	is 'csum: another user is served, meanwhile' "$(outcomes "$out")" 'ok '
	numbers 'csum: root, meanwhile' "$root"
	is 'csum: root is served, meanwhile' "$(outcomes "$root")" 'ok '
	unload_module

	# A fatal signal ends the hashing, on file systems with a page cache.
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
	is 'csum: a process that is killed while its executable is hashed dies of the signal' $? 137
	in_time 'csum: it dies before all of the executable is hashed' 0 $took $((whole / 2))
	said=$(klog)
	like 'csum: IMA logs that it could not read the whole file (documented)' "$said" 'audit: .*collect_data'
	unlike 'csum: the module does not log that the file cannot be hashed' "$said" 'derived:'
	note "csum: $(stat -c %s /home/large) bytes in $whole ms, killed: $took ms"
}

# exec_new NAME COUNT: a user runs new programs. They were never run before, so IMA measures each.
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
	numbers 'IMA, without a flood: exec of a new file' "$quiet"

	load_module root=transient
	measure_fetch
	begin_flood as_user 1000 "$flood" on $crowd 1000 "$request"
	out=$(exec_new flooded 20)
	end flood
	numbers "transient, $crowd processes repeat requests" "$(cat /run/flood.out)"
	numbers 'IMA, transient, flooded: exec of a new file' "$out"
	is "a flood's requests are served or get EAGAIN" "$(outcomes "$(cat /run/flood.out)")" 'EAGAIN ok '
	# The TPM's mutex is unfair: it wakes the task that has waited longest, but the next request in
	# our line may take the mutex before that task does. A task that was overtaken once is then
	# handed the mutex.
	between 'an exec that IMA measures is delayed by one fetch' $((slow / 2)) \
		"$(median "$out")" $((fetch + $(longest "$quiet") + slack / 10))
	between 'an exec is never delayed by more than two fetches' 0 \
		"$(longest "$out")" $((2 * fetch + $(longest "$quiet") + slack / 2))
	unload_module

	load_module
	begin_flood as_user 1000 "$flood" on $crowd 1000 "$request"
	out=$(exec_new cached 10)
	end flood
	numbers "cached, $crowd processes repeat requests" "$(cat /run/flood.out)"
	numbers 'IMA, cached, flooded: exec of a new file' "$out"
	between 'with root=cached an exec is not delayed' 0 "$(median "$out")" $((fetch * 3 / 4))
	is 'IMA has measured each of these files' \
		"$(grep -cE ' /home/other/(quiet|flooded|cached)-[0-9]+ ' \
		/sys/kernel/security/ima/ascii_runtime_measurements)" 40
}

# The quota must not stop a flood: each of its processes has a keyring and keys of its own.
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
	# ima() tests nothing but times.
	if on_debug_kernel; then
		ok 'the module loads with the IMA policy' load_module
	else
		ima
	fi
	;;
esac
ok 'the module unloads' unload_module
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# parameters.sh: the module's parameters, their files in sysfs, kcv=, and loading by modprobe.
#
# vm: boot tpm=golden
# vm: boot tpm=none
# vm: long[6.12] it is about the module, and not about the kernel

. "$DERIVED/tests/lib/lib.sh"
use_own_sessions

plan_later
parameters=/sys/module/derived_keys/parameters
keyops=$DERIVED/bin/keyops
golden=$(awk -F'\t' '$1 == "root" && $2 == "golden" { print $3 }' "$DERIVED/tests/vectors/golden.tsv")
wrong=0123456789abcdef

# key_of REQUEST: check value and bytes, or the errno.  status: the parameter, on one line.
key_of() { "$keyops" add key "$1" @p 2>&1 | sed -n '1{/^E/p}; 2s/.* kcv://p; 3p' | tr '\n' ' '; }
status() { tr '\n' '|' <$parameters/status; }
user() { setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all "$@"; }
# The lines of ours in the log since klog_mark.  Something else is there as well, to show that we can see.
klog_ours() {
	klog | grep -q 'parameters.sh: here' || echo 'the log cannot be read'
	klog | grep '^derived: '
}
mark() { klog_mark; echo 'parameters.sh: here' >/dev/kmsg; }

# status_is DESC ROOT STATE: with the golden TPM.
status_is() {
	local tail='session: own, [^|]+ is encrypted [^|]+\|null primary: 000b[0-9a-f]{64}\|TPM vendor: IBM\|TPM firmware: [0-9]+\.[0-9]+\.[0-9]+\.[0-9]+\|$'
	like "$1" "$(status)" "^root check: $golden\|root: $2, $3\|$tail"
}

files() {
	ok 'the module loads without parameters' load_module
	# A mode that is 0 (expected) has no file at all.
	is 'the parameters and their modes' "$(cd $parameters && stat -c '%n %a %U' -- *)" \
		"containers 444 root
csum_fs 444 root
csum_max 444 root
expect_root 444 root
forget 200 root
require_encryption 444 root
root 444 root
short_twins 444 root
status 400 root"
	is 'root is cached unless it is said' "$(cat $parameters/root)" cached
	is 'csum_max is 256 MiB unless it is said' "$(cat $parameters/csum_max)" 268435456
	is 'require_encryption is on unless it is said' "$(cat $parameters/require_encryption)" Y
	is 'expect_root is empty unless it is said' "$(cat $parameters/expect_root)" ''
	is 'expect_root is one empty line' "$(wc -c <$parameters/expect_root)" 1
	is 'short_twins is off unless it is said' "$(cat $parameters/short_twins)" N
	for file in root expect_root csum_max require_encryption short_twins status; do
		# Root is stopped by no mode: the file has no ->set, or refuses.
		fails "even root cannot write $file" bash -c "echo cached >$parameters/$file"
	done
	fails 'even root cannot read forget' cat $parameters/forget
	fails 'a user cannot read status' user cat $parameters/status
	like 'for lack of permission' "$out" 'Permission denied'
	fails 'a user cannot write forget' user sh -c "echo 1 >$parameters/forget"
	like 'for lack of permission, too' "$out" 'Permission denied'
	is 'a user may read root' "$(user cat $parameters/root)" cached
	ok 'a user may read expect_root' user cat $parameters/expect_root
	ok 'a user may read csum_max' user cat $parameters/csum_max
	status_is 'after the users tried, the root is held' cached 'held in memory'
	cached=$(key_of '64 path v1')
	like 'there is a key' "$cached" '^[0-9a-f]{16} [0-9a-f]{128} $'
}

forgetting() {
	local word

	for word in 0 n N off; do
		ok "forget takes $word" sh -c "echo $word >$parameters/forget"
		status_is "and forgets nothing ($word)" cached 'held in memory'
	done
	for word in x 2 -1 ''; do
		fails "forget refuses '$word'" bash -c "echo '$word' >$parameters/forget"
		like "because it is EINVAL ('$word')" "$out" 'Invalid argument'
	done
	status_is 'nor does it forget for these' cached 'held in memory'
	for word in 1 y Y on; do
		ok "forget takes $word" sh -c "echo $word >$parameters/forget"
		status_is "and the root is not held any more ($word)" cached 'not held'
	done
	ok 'forgetting what is forgotten does no harm' sh -c "echo 1 >$parameters/forget"
	mark
	is 'the next key is the same' "$(key_of '64 path v1')" "$cached"
	is 'nothing is said about that' "$(klog_ours)" ''
	status_is 'and the root is held again' cached 'held in memory'
	ok 'the module unloads' unload_module
}

root_transient() {
	ok 'root=cached is taken' load_module root=cached
	is 'and shown' "$(cat $parameters/root)" cached
	status_is 'the root is held since the module was loaded' cached 'held in memory'
	is 'it is the default: the same key' "$(key_of '64 path v1')" "$cached"
	unload_module

	ok 'root=transient is taken' load_module root=transient
	is 'transient is shown' "$(cat $parameters/root)" transient
	is 'nothing is fetched before it is needed' "$(status)" 'root check: none|root: transient, never fetched|'
	is 'with root=transient it is the same key' "$(key_of '64 path v1')" "$cached"
	status_is 'the root is not held after it' transient 'not held'
	is 'a user gets the same key from both' "$(user "$keyops" add x '32 csum,noread' @p | sed -n 2p)" \
		"$(unload_module && load_module && user "$keyops" add x '32 csum,noread' @p | sed -n 2p)"
	unload_module
	load_module root=transient
	key_of '32 path' >/dev/null
	ok 'forget does no harm to it' sh -c "echo 1 >$parameters/forget"
	status_is 'there was nothing to forget' transient 'not held'
	is 'and it is still the same key' "$(key_of '64 path v1')" "$cached"
	unload_module
}

bad_values() {
	local value
	for value in root=nonsense root= root root=CACHED root=cache root=transientt root=0 \
		     expect_root= expect_root expect_root=${golden:1} expect_root=${golden}0 \
		     expect_root="${golden:0:14}AB" expect_root="0x${golden:2}" expect_root="${golden:0:15}g" \
		     expect_root="-${golden:1}" csum_max=x csum_max=-1 require_encryption=x require_encryption= \
		     short_twins=x forget=x status=1; do
		fails "the module does not load with '$value'" load_module "$value"
		like "because '$value' is invalid" "$out" 'Invalid parameters|Invalid argument|Operation not permitted'
		[ ! -e /sys/module/derived_keys ] || { fail "'$value' leaves nothing"; unload_module; }
	done
	errno_is 'none of these left the key type behind' ENODEV derived x '32 path' @s
	ok 'and it still loads with good ones' load_module root=transient expect_root="$golden"
	is 'with both of them' "$(cat $parameters/root $parameters/expect_root)" "transient
$golden"
	unload_module
}

# What this does, where it matters: sessions.sh.
require_encryption() {
	local value
	for value in require_encryption=0 require_encryption=n require_encryption=off; do
		mark
		ok "$value is taken" load_module "$value"
		is "and shown ($value)" "$(cat $parameters/require_encryption)" N
		like "the log says so ($value)" "$(klog_ours)" '^derived: require_encryption=0: the administrator lets '
		is "the key is the same ($value)" "$(key_of '64 path v1')" "$cached"
		unload_module
	done
	for value in require_encryption=1 require_encryption; do
		mark
		ok "$value is taken" load_module "$value"
		is "and shown ($value)" "$(cat $parameters/require_encryption)" Y
		unlike "the log says nothing of it ($value)" "$(klog_ours)" require_encryption
		is "the key is the same ($value)" "$(key_of '64 path v1')" "$cached"
		unload_module
	done
}

expect_root() {
	local mode

	for mode in cached transient; do
		ok "expect_root= of this TPM is taken ($mode)" load_module root=$mode "expect_root=$golden"
		is "it is shown ($mode)" "$(cat $parameters/expect_root)" "$golden"
		is "and every key is as without it ($mode)" "$(key_of '64 path v1')" "$cached"
		unload_module

		ok "the module loads with another expect_root= ($mode)" load_module root=$mode expect_root=$wrong
		is "which is shown ($mode)" "$(cat $parameters/expect_root)" $wrong
		mark
		is "every request is refused ($mode)" "$(key_of '64 path v1')" 'EKEYREJECTED '
		like "the log names both values ($mode)" "$(klog_ours)" \
			"^derived: uid 0, \"$keyops\": refused: the root check value is $golden, and expect_root=$wrong\$"
		# With root=transient, the lines about the first root came with this request.
		is "once ($mode)" "$(klog_ours | wc -l)" "$([ $mode = cached ] && echo 1 || echo 3)"
		is "a user's request is, too ($mode)" "$(user "$keyops" add x '32 csum,noread' @p)" EKEYREJECTED
		is "even with the right kcv= ($mode)" "$(key_of "64 path,kcv=${cached%% *} v1")" 'EKEYREJECTED '
		is "and again ($mode)" "$(key_of '16 path')" 'EKEYREJECTED '
		like "status shows the root that there is ($mode)" "$(status)" "^root check: $golden\|root: $mode, "
		echo 1 >$parameters/forget
		is "a root fetched anew is refused as well ($mode)" "$(key_of '64 path v1')" 'EKEYREJECTED '
		unload_module
	done
}

check_value() {
	local kcv=${cached%% *} request serial

	load_module
	# Each order, each binding; the key is the one without it.
	for request in "64 path,kcv=$kcv v1" "64 kcv=$kcv,path v1"; do
		is "kcv= that is right changes nothing: $request" "$(key_of "$request")" "$cached"
	done
	kcv=$(key_of '32 csum,path,noread')
	is 'nor does it for a noread key' "$(key_of "32 csum,kcv=${kcv%% *},path,noread")" "$kcv"
	like 'which is one' "$kcv" '^[0-9a-f]{16} EOPNOTSUPP $'

	mark
	errno_is 'kcv= that is wrong is refused' EKEYREJECTED derived mine "64 path,kcv=$wrong v1" @s
	is 'no key is made' "$(keyctl search @s derived mine 2>&1)" 'keyctl_search: Required key not available'
	like 'the log names both values' "$(klog_ours)" \
		"^derived: uid 0, \"$DERIVED/bin/addkey\": refused: the key's check value is [0-9a-f]{16}, and kcv=$wrong was asked for\$"
	kcv=$(klog_ours | sed -n "s/.*check value is \([0-9a-f]*\),.*/\1/p")
	ok 'the value from the log is the right one' "$DERIVED/bin/addkey" derived mine "64 path,kcv=$kcv v1" @s
	serial=$out
	errno_is 'a wrong kcv= does not replace a key' EKEYREJECTED derived mine "64 path,kcv=$wrong v1" @s
	is 'which is still there' "$(keyctl search @s derived mine)" "$serial"
	keyctl unlink %derived:mine @s
	is 'kcv= of a wrong digit is refused' "$(key_of "64 path,kcv=${cached:0:15}$([ "${cached:15:1}" = 0 ] && echo 1 || echo 0) v1")" \
		'EKEYREJECTED '
	unload_module
}

csum_max() {
	local size i
	size=$(stat -c %s "$keyops")

	load_module csum_max=$((size - 1))
	mark
	is 'csum of a program larger than csum_max is EFBIG' "$(key_of '32 csum')" 'EFBIG '
	is 'the log says so' "$(klog_ours)" \
		"derived: uid 0, \"$keyops\": refused: csum: its executable is larger than csum_max=$((size - 1)) bytes"
	is 'path,csum is refused, too' "$(key_of '32 path,csum')" 'EFBIG '
	is 'path is not' "$(key_of '64 path v1')" "$cached"
	unload_module
	load_module csum_max="$size"
	like 'csum of a program just as large as csum_max is served' "$(key_of '32 csum')" '^[0-9a-f]{16} [0-9a-f]{64} $'
	unload_module

	# A program that takes a while to hash, asked for by several at once: two together are larger than csum_max.
	install "$DERIVED/bin/addkey" /root/large
	truncate -s 120M /root/large
	load_module csum_max=200000000
	for i in 1 2 3 4; do /root/large derived "large-$i" '32 csum' @s & done >/run/outcomes
	sleep 1
	is 'path is served while as much is hashed as may be' "$(key_of '64 path v1')" "$cached"
	wait
	is 'csum is served for some of four that ask at once, and EAGAIN for the others' \
		"$(sed -E 's/^[0-9]+$/ok/' /run/outcomes | sort -u)" 'EAGAIN
ok'
	/root/large derived killed '32 csum' @s &
	# A third of a second of the processor's time is much more than what comes before.
	while [ -e /proc/$! ] && [ "$(awk '{ print $14 + $15 }' /proc/$!/stat)" -lt 33 ]; do :; done
	kill -KILL $!
	wait $! 2>/dev/null
	is 'who is killed while his program is hashed dies of it' $? 137
	like 'csum is served again' "$(/root/large derived again '32 csum' @s)" '^[0-9]+'
	unload_module
}

modinfo_says() {
	local info
	info=$(modinfo "$module")
	like 'modinfo: the description' "$info" '^description: +Keys derived from the TPM'
	like 'modinfo: the license' "$info" '^license: +GPL$'
	like 'modinfo: the softdep' "$info" '^softdep: +pre: tpm_crb tpm_tis$'
	like 'modinfo: the name' "$info" '^name: +derived_keys$'
	is 'modinfo: every parameter is described' "$(modinfo -p "$module" | sed -n 's/^\([a-z_]*\):..*/\1/p' | sort)" \
		"$(load_module && ls $parameters && unload_module)"
}

by_modprobe() {
	local dir modules name
	# /lib/modules as it is, but that depmod need not read all of Debian's modules.
	modules=/root/scratch/lib/modules/$(uname -r)
	mkdir -p "$modules/updates"
	cp "/lib/modules/$(uname -r)"/modules.{builtin*,order} "$modules"
	cp "$module" "$modules/updates"
	ok 'depmod takes the module' depmod -b /root/scratch "$(uname -r)"
	dir=(-d /root/scratch)
	for name in derived-keys derived_keys; do
		ok "modprobe $name loads it" modprobe "${dir[@]}" $name
		is "with the default parameters ($name)" "$(cat $parameters/root)" cached
		ok "modprobe -r $name unloads it" modprobe -r "${dir[@]}" $name
	done
	echo "options derived-keys root=transient expect_root=$golden" >/etc/modprobe.d/derived-keys.conf
	ok 'modprobe loads it with options of modprobe.d' modprobe "${dir[@]}" derived-keys
	is 'and they are in force' "$(cat $parameters/root $parameters/expect_root)" "transient
$golden"
	is 'the key is the same' "$(key_of '64 path v1')" "$cached"
	ok 'modprobe twice does no harm' modprobe "${dir[@]}" derived-keys
	ok 'modprobe -r unloads it' modprobe -r "${dir[@]}" derived-keys
	[ ! -e /sys/module/derived_keys ]
	tap_point $? 'it is gone'
	echo 'options derived-keys root=nonsense' >/etc/modprobe.d/derived-keys.conf
	fails 'a bad option in modprobe.d keeps it from loading' modprobe "${dir[@]}" derived-keys
	rm /etc/modprobe.d/derived-keys.conf
	errno_is 'nothing loads it by itself' ENODEV derived x '32 path' @s
}

without_tpm() {
	local mode
	for mode in cached transient; do
		mark
		ok "the module loads without a TPM ($mode)" load_module root=$mode
		is "nothing was fetched ($mode)" "$(status)" "root check: none|root: $mode, never fetched|"
		is "the request says why ($mode)" "$(key_of '32 path')" 'ENXIO '
		is "and still nothing was ($mode)" "$(status)" "root check: none|root: $mode, never fetched|"
		ok "forget does no harm ($mode)" sh -c "echo 1 >$parameters/forget"
		like "and so does the log, once ($mode)" "$(klog_ours | grep -c ': refused: no TPM$') $(klog_ours)" \
			"^1 derived: uid 0, \"$([ $mode = cached ] && realpath /sbin/insmod || echo "$keyops")\": "
		unload_module
	done
	ok 'it loads with an expect_root= that nothing can meet' load_module "expect_root=$golden"
	is 'the request says that there is no TPM' "$(key_of '32 path')" 'ENXIO '
	ok 'the module unloads' unload_module
}

[ ${#golden} -eq 16 ] || bail_out 'golden.tsv has no root check value'
timed() { local began=$SECONDS; "$@"; note "$1: $((SECONDS - began)) s"; }
case $BOOT in
1)
	timed files
	timed forgetting
	timed root_transient
	timed bad_values
	timed require_encryption
	timed expect_root
	timed check_value
	timed csum_max
	timed modinfo_says
	timed by_modprobe
	tpm_slots_empty 'nothing is left in the TPM'
	;;
2)	timed without_tpm ;;
esac
done_testing

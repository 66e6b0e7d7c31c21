#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# parameters.sh: the module's parameters, their files in sysfs, kcv=, and loading by modprobe.
#
# vm: boot tpm=golden
# vm: boot tpm=none
# vm: long[6.12] this tests the module, not the kernel

. "$DERIVED/tests/lib/lib.sh"
use_own_sessions

plan_later
parameters=/sys/module/derived_keys/parameters
keyops=$DERIVED/bin/keyops
golden=$(awk -F'\t' '$1 == "root" && $2 == "golden" { print $3 }' "$DERIVED/tests/vectors/golden.tsv")
wrong=0123456789abcdef

# key_of REQUEST: print the key's check value and bytes, or the errno. status: print the parameter
# "status" on one line.
key_of() { "$keyops" add key "$1" @p 2>&1 | sed -n '1{/^E/p}; 2s/.* kcv://p; 3p' | tr '\n' ' '; }
status() { tr '\n' '|' <$parameters/status; }
user() { setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all "$@"; }
# Print the module's lines in the log since mark. The line of mark itself shows that the log can be
# read.
klog_ours() {
	klog | grep -q 'parameters.sh: here' || echo 'the log cannot be read'
	klog | grep '^derived: '
}
mark() { klog_mark; echo 'parameters.sh: here' >/dev/kmsg; }

# status_is DESC ROOT STATE: "status" is this, with the golden TPM.
status_is() {
	local tail='session: own, [^|]+ is encrypted [^|]+\|null primary: 000b[0-9a-f]{64}\|TPM vendor: IBM\|TPM firmware: [0-9]+\.[0-9]+\.[0-9]+\.[0-9]+\|capped: off\|$'
	like "$1" "$(status)" "^root check: $golden\|root: $2, $3\|$tail"
}

files() {
	ok 'the module loads without parameters' load_module
	# A parameter with mode 0 would have no file at all.
	is 'the parameters and their modes' "$(cd $parameters && stat -c '%n %a %U' -- *)" \
		"cap 444 root
cap_pcrs 444 root
containers 444 root
csum_fs 444 root
csum_max 444 root
expect_capped_root 644 root
expect_root 444 root
forget 200 root
require_encryption 444 root
root 444 root
short_twins 444 root
status 400 root"
	is 'the default of root is cached' "$(cat $parameters/root)" cached
	is 'the default of csum_max is 256 MiB' "$(cat $parameters/csum_max)" 268435456
	is 'the default of require_encryption is on' "$(cat $parameters/require_encryption)" Y
	is 'the default of expect_root is empty' "$(cat $parameters/expect_root)" ''
	is 'an empty expect_root is shown as one empty line' "$(wc -c <$parameters/expect_root)" 1
	is 'the default of cap is off' "$(cat $parameters/cap)" off
	is 'the default of cap_pcrs is empty' "$(cat $parameters/cap_pcrs)" ''
	is 'the default of expect_capped_root is empty' "$(cat $parameters/expect_capped_root)" ''
	is 'the default of short_twins is off' "$(cat $parameters/short_twins)" N
	for file in root expect_root csum_max require_encryption short_twins status cap cap_pcrs; do
		# The mode does not stop root: the file has no ->set, or its ->set refuses.
		fails "even root cannot write $file" bash -c "echo cached >$parameters/$file"
	done
	fails 'even root cannot read forget' cat $parameters/forget
	fails 'a user cannot read status' user cat $parameters/status
	like 'a user cannot read status: the errno is EACCES' "$out" 'Permission denied'
	fails 'a user cannot write forget' user sh -c "echo 1 >$parameters/forget"
	like 'a user cannot write forget: the errno is EACCES' "$out" 'Permission denied'
	is 'a user may read root' "$(user cat $parameters/root)" cached
	ok 'a user may read expect_root' user cat $parameters/expect_root
	ok 'a user may read csum_max' user cat $parameters/csum_max
	status_is 'after these attempts, the root is still held' cached 'held in memory'
	cached=$(key_of '64 path v1')
	like 'a key is made' "$cached" '^[0-9a-f]{16} [0-9a-f]{128} $'
}

forgetting() {
	local word

	for word in 0 n N off; do
		ok "forget accepts $word" sh -c "echo $word >$parameters/forget"
		status_is "forget: $word changes nothing" cached 'held in memory'
	done
	for word in x 2 -1 ''; do
		fails "forget refuses '$word'" bash -c "echo '$word' >$parameters/forget"
		like "forget: '$word' is EINVAL" "$out" 'Invalid argument'
	done
	status_is 'forget: bad values change nothing' cached 'held in memory'
	for word in 1 y Y on; do
		ok "forget accepts $word" sh -c "echo $word >$parameters/forget"
		status_is "forget: after $word the root is not held any more" cached 'not held'
	done
	ok 'forget can be written when no root is held' sh -c "echo 1 >$parameters/forget"
	mark
	is 'after forget, the next key is the same' "$(key_of '64 path v1')" "$cached"
	is 'after forget, nothing is logged for it' "$(klog_ours)" ''
	status_is 'the root is held again' cached 'held in memory'
	ok 'the module unloads' unload_module
}

root_transient() {
	ok 'root=cached is accepted' load_module root=cached
	is 'root=cached is shown' "$(cat $parameters/root)" cached
	status_is 'the root is held since the module was loaded' cached 'held in memory'
	is 'root=cached gives the same key as the default' "$(key_of '64 path v1')" "$cached"
	unload_module

	ok 'root=transient is accepted' load_module root=transient
	is 'root=transient is shown' "$(cat $parameters/root)" transient
	is 'with root=transient, nothing is fetched before the first request' "$(status)" 'root check: none|root: transient, never fetched|capped: off|'
	is 'root=transient gives the same key' "$(key_of '64 path v1')" "$cached"
	status_is 'with root=transient, the root is not held afterwards' transient 'not held'
	is 'with root=transient and root=cached, a user gets the same key' "$(user "$keyops" add x '32 csum,noread' @p | sed -n 2p)" \
		"$(unload_module && load_module && user "$keyops" add x '32 csum,noread' @p | sed -n 2p)"
	unload_module
	load_module root=transient
	key_of '32 path' >/dev/null
	ok 'forget can be written with root=transient' sh -c "echo 1 >$parameters/forget"
	status_is 'with root=transient, there is nothing to forget' transient 'not held'
	is 'with root=transient, after forget the key is the same' "$(key_of '64 path v1')" "$cached"
	unload_module
}

bad_values() {
	local value
	for value in root=nonsense root= root root=CACHED root=cache root=transientt root=0 \
		     expect_root= expect_root expect_root=${golden:1} expect_root=${golden}0 \
		     expect_root="${golden:0:14}AB" expect_root="0x${golden:2}" expect_root="${golden:0:15}g" \
		     expect_root="-${golden:1}" csum_max=x csum_max=-1 require_encryption=x require_encryption= \
		     short_twins=x forget=x status=1 cap= cap=x cap=0 cap=7 cap=10 cap=16 cap=23 cap=24 cap=-1 cap=13x \
		     cap_pcrs=7 cap_pcrs=x 'cap=13 cap_pcrs=' 'cap=13 cap_pcrs=,7' 'cap=13 cap_pcrs=7,' 'cap=13 cap_pcrs=7,7' \
		     'cap=13 cap_pcrs=7,13' 'cap=13 cap_pcrs=10,7' 'cap=13 cap_pcrs=7,16' 'cap=13 cap_pcrs=8,9' \
		     'cap=13 cap_pcrs=0,1,2,3,5,6,8' 'cap=13 cap_pcrs=0,1,2,3,4,5,6,7' 'cap=13 cap_pcrs=7-9' \
		     'cap=13 root=transient' expect_capped_root= expect_capped_root=x expect_capped_root="${golden}0"; do
		# Some are two parameters.
		# shellcheck disable=SC2086
		fails "the module does not load with '$value'" load_module $value
		like "the error for '$value' says that it is invalid" "$out" 'Invalid parameters|Invalid argument|Operation not permitted'
		[ ! -e /sys/module/derived_keys ] || { fail "the module is not loaded after '$value'"; unload_module; }
	done
	is 'bad values close no PCR' "$(cat /sys/class/tpm/tpm0/pcr-sha256/13)" "$(printf '0%.0s' {1..64})"
	errno_is 'bad values do not leave the key type behind' ENODEV derived x '32 path' @s
	ok 'the module still loads with good values' load_module root=transient expect_root="$golden"
	is 'both good values are in force' "$(cat $parameters/root $parameters/expect_root)" "transient
$golden"
	unload_module
}

# sessions.sh tests what this parameter does.
require_encryption() {
	local value
	for value in require_encryption=0 require_encryption=n require_encryption=off; do
		mark
		ok "$value is accepted" load_module "$value"
		is "$value: N is shown" "$(cat $parameters/require_encryption)" N
		like "$value: the log says so" "$(klog_ours)" '^derived: require_encryption=0: the administrator lets '
		is "$value: the key is the same" "$(key_of '64 path v1')" "$cached"
		unload_module
	done
	for value in require_encryption=1 require_encryption; do
		mark
		ok "$value is accepted" load_module "$value"
		is "$value: Y is shown" "$(cat $parameters/require_encryption)" Y
		unlike "$value: the log does not mention it" "$(klog_ours)" require_encryption
		is "$value: the key is the same" "$(key_of '64 path v1')" "$cached"
		unload_module
	done
}

expect_root() {
	local mode

	for mode in cached transient; do
		ok "the right expect_root= is accepted ($mode)" load_module root=$mode "expect_root=$golden"
		is "the right expect_root= is shown ($mode)" "$(cat $parameters/expect_root)" "$golden"
		is "with the right expect_root=, the key is the same ($mode)" "$(key_of '64 path v1')" "$cached"
		unload_module

		ok "the module loads with a wrong expect_root= ($mode)" load_module root=$mode expect_root=$wrong
		is "the wrong expect_root= is shown ($mode)" "$(cat $parameters/expect_root)" $wrong
		mark
		is "a request is refused ($mode)" "$(key_of '64 path v1')" 'EKEYREJECTED '
		like "the log names both values ($mode)" "$(klog_ours)" \
			"^derived: uid 0, \"$keyops\": refused: the root check value is $golden, and expect_root=$wrong\$"
		# With root=transient, this request also logs the two lines about the first root.
		is "the log names them once ($mode)" "$(klog_ours | wc -l)" "$([ $mode = cached ] && echo 1 || echo 3)"
		is "a user's request is refused, too ($mode)" "$(user "$keyops" add x '32 csum,noread' @p)" EKEYREJECTED
		is "a request with the right kcv= is refused, too ($mode)" "$(key_of "64 path,kcv=${cached%% *} v1")" 'EKEYREJECTED '
		is "another request is refused, too ($mode)" "$(key_of '16 path')" 'EKEYREJECTED '
		like "status shows the actual root ($mode)" "$(status)" "^root check: $golden\|root: $mode, "
		echo 1 >$parameters/forget
		is "after a new fetch, a request is refused as well ($mode)" "$(key_of '64 path v1')" 'EKEYREJECTED '
		unload_module
	done
}

check_value() {
	local kcv=${cached%% *} request serial

	load_module
	# In each order, and with each binding, the key is the same as without kcv=.
	for request in "64 path,kcv=$kcv v1" "64 kcv=$kcv,path v1"; do
		is "the right kcv= does not change the key: $request" "$(key_of "$request")" "$cached"
	done
	kcv=$(key_of '32 csum,path,noread')
	is 'the right kcv= does not change a noread key' "$(key_of "32 csum,kcv=${kcv%% *},path,noread")" "$kcv"
	like 'that key cannot be read' "$kcv" '^[0-9a-f]{16} EOPNOTSUPP $'

	mark
	errno_is 'a wrong kcv= is refused' EKEYREJECTED derived mine "64 path,kcv=$wrong v1" @s
	is 'no key is made' "$(keyctl search @s derived mine 2>&1)" 'keyctl_search: Required key not available'
	like 'the log names both values' "$(klog_ours)" \
		"^derived: uid 0, \"$DERIVED/bin/addkey\": refused: the key's check value is [0-9a-f]{16}, and kcv=$wrong was asked for\$"
	kcv=$(klog_ours | sed -n "s/.*check value is \([0-9a-f]*\),.*/\1/p")
	ok 'the value from the log is the right one' "$DERIVED/bin/addkey" derived mine "64 path,kcv=$kcv v1" @s
	serial=$out
	errno_is 'a wrong kcv= does not replace a key' EKEYREJECTED derived mine "64 path,kcv=$wrong v1" @s
	is 'after a wrong kcv=, the old key is still there' "$(keyctl search @s derived mine)" "$serial"
	keyctl unlink %derived:mine @s
	is 'a kcv= with one wrong digit is refused' "$(key_of "64 path,kcv=${cached:0:15}$([ "${cached:15:1}" = 0 ] && echo 1 || echo 0) v1")" \
		'EKEYREJECTED '
	unload_module
}

csum_max() {
	local size i
	size=$(stat -c %s "$keyops")

	load_module csum_max=$((size - 1))
	mark
	is 'csum of a program larger than csum_max is EFBIG' "$(key_of '32 csum')" 'EFBIG '
	is 'the log says that the program is larger than csum_max' "$(klog_ours)" \
		"derived: uid 0, \"$keyops\": refused: csum: its executable is larger than csum_max=$((size - 1)) bytes"
	is 'path,csum of this program is refused, too' "$(key_of '32 path,csum')" 'EFBIG '
	is 'path of this program is served' "$(key_of '64 path v1')" "$cached"
	unload_module
	load_module csum_max="$size"
	like 'csum of a program exactly as large as csum_max is served' "$(key_of '32 csum')" '^[0-9a-f]{16} [0-9a-f]{64} $'
	unload_module

	# A program that takes a while to hash. Several processes request its csum keys at once: two
	# of them together are larger than csum_max.
	install "$DERIVED/bin/addkey" /root/large
	truncate -s 120M /root/large
	load_module csum_max=200000000
	for i in 1 2 3 4; do /root/large derived "large-$i" '32 csum' @s & done >/run/outcomes
	sleep 1
	is 'path is served while csum_max is used up' "$(key_of '64 path v1')" "$cached"
	wait
	is 'of four csum requests at once, some are served, and the others get EAGAIN' \
		"$(sed -E 's/^[0-9]+$/ok/' /run/outcomes | sort -u)" 'EAGAIN
ok'
	/root/large derived killed '32 csum' @s &
	# Everything before the hashing takes much less than a third of a second of CPU time.
	while [ -e /proc/$! ] && [ "$(awk '{ print $14 + $15 }' /proc/$!/stat)" -lt 33 ]; do :; done
	kill -KILL $!
	wait $! 2>/dev/null
	is 'a process that is killed while its program is hashed dies of the signal' $? 137
	like 'csum is served again afterwards' "$(/root/large derived again '32 csum' @s)" '^[0-9]+'
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
	# A copy of /lib/modules with few modules, so that depmod need not read all modules of Debian.
	modules=/root/scratch/lib/modules/$(uname -r)
	mkdir -p "$modules/updates"
	cp "/lib/modules/$(uname -r)"/modules.{builtin*,order} "$modules"
	cp "$module" "$modules/updates"
	ok 'depmod takes the module' depmod -b /root/scratch "$(uname -r)"
	dir=(-d /root/scratch)
	for name in derived-keys derived_keys; do
		ok "modprobe $name loads it" modprobe "${dir[@]}" $name
		is "modprobe $name: the parameters have their defaults" "$(cat $parameters/root)" cached
		ok "modprobe -r $name unloads it" modprobe -r "${dir[@]}" $name
	done
	echo "options derived-keys root=transient expect_root=$golden" >/etc/modprobe.d/derived-keys.conf
	ok 'modprobe loads the module with options of modprobe.d' modprobe "${dir[@]}" derived-keys
	is 'the options of modprobe.d are in force' "$(cat $parameters/root $parameters/expect_root)" "transient
$golden"
	is 'the key is the same' "$(key_of '64 path v1')" "$cached"
	ok 'modprobe succeeds if the module is already loaded' modprobe "${dir[@]}" derived-keys
	ok 'modprobe -r unloads the module' modprobe -r "${dir[@]}" derived-keys
	[ ! -e /sys/module/derived_keys ]
	tap_point $? 'the module is not loaded any more'
	echo 'options derived-keys root=nonsense' >/etc/modprobe.d/derived-keys.conf
	fails 'with a bad option in modprobe.d, modprobe fails' modprobe "${dir[@]}" derived-keys
	rm /etc/modprobe.d/derived-keys.conf
	errno_is 'a request does not load the module' ENODEV derived x '32 path' @s
}

without_tpm() {
	local mode
	for mode in cached transient; do
		mark
		ok "the module loads without a TPM ($mode)" load_module root=$mode
		is "nothing was fetched ($mode)" "$(status)" "root check: none|root: $mode, never fetched|capped: off|"
		is "without a TPM a request gets ENXIO ($mode)" "$(key_of '32 path')" 'ENXIO '
		is "after the request nothing was fetched ($mode)" "$(status)" "root check: none|root: $mode, never fetched|capped: off|"
		ok "forget can be written without a TPM ($mode)" sh -c "echo 1 >$parameters/forget"
		like "the log says once that there is no TPM ($mode)" "$(klog_ours | grep -c ': refused: no TPM$') $(klog_ours)" \
			"^1 derived: uid 0, \"$([ $mode = cached ] && realpath /sbin/insmod || echo "$keyops")\": "
		unload_module
	done
	ok 'without a TPM, the module loads with expect_root=' load_module "expect_root=$golden"
	is 'with expect_root=, a request gets ENXIO, too' "$(key_of '32 path')" 'ENXIO '
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

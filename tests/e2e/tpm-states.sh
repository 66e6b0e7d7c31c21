#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tpm-states.sh: the key or errno of a request when the TPM is missing, removed, back, refusing, full or
# cleared.
#
# vm: boot tpm=fresh
# vm: boot tpm=none
# vm: boot tpm=tpm12:old
# vm: boot tpm=fresh
# vm: boot tpm=fresh
# vm: long[7.3] five boots

. "$DERIVED/tests/lib/lib.sh"

plan_later
parameters=/sys/module/derived_keys/parameters
request='32 path tpm-states v1'

status() { sed -n "s/^$1: //p" $parameters/status; }
forget() { echo 1 >$parameters/forget; }
uptime_ms() { local s; read -r s _ </proc/uptime; echo $((10#${s/./} * 10)); }

# Print the key's bytes in hex, or keyctl's error.
key() {
	local id
	if id=$(keyctl add derived tpm-states "$request" @s 2>&1); then
		keyctl pipe "$id" | od -An -v -tx1 | tr -d ' \n'
	else
		echo "$id"
	fi
}
key_is() { is "$1" "$(key)" "$2"; }
refused_with() { errno_is "$1" "$2" derived tpm-states "$request" @s; }
looks_like_a_key() { like "$1" "$2" '^[0-9a-f]{64}$'; }

# Unbind the TPM from its driver, and bind it again. The kernel then gives it another number,
# because IMA still holds the old one. /dev/tpm0 is made a link to it, for programs that use that
# name.
tpm_gone() { echo "$tpm_device" >"$tpm_driver/unbind"; }
tpm_back() {
	echo "$tpm_device" >"$tpm_driver/bind"
	[ -c /dev/tpm0 ] || ln -sf "$(ls -d /dev/tpm[1-9])" /dev/tpm0
}

tpm() { tpm2_"$1" -T device:/dev/tpm0 "${@:2}"; }

case $BOOT in
1)
	tpm_device=$(readlink -f /sys/class/tpm/tpm0/device)
	tpm_driver=$(readlink -f "$tpm_device/driver")
	tpm_device=${tpm_device##*/}

	# No TPM when the module is loaded.
	tpm_gone
	is 'the TPM can be removed' "$(ls /sys/class/tpm)" ''
	klog_mark
	ok 'the module loads without a TPM' load_module
	like 'the log says that there is no TPM' "$(klog)" '^derived: uid 0, .*: refused: no TPM$'
	like 'the log says that the first request will fetch the root' "$(klog)" 'derived: no root secret yet'
	refused_with 'without a TPM a request is refused with ENXIO' ENXIO
	like 'status says that no root was fetched' "$(cat $parameters/status)" '^root: cached, never fetched$'
	tpm_back
	first=$(key)
	looks_like_a_key 'with the TPM present, the very next request is served' "$first"
	tpm_slots_empty 'nothing is left in the TPM after the first fetch'
	check=$(status 'root check')
	like 'status shows a root check value' "$check" '^[0-9a-f]{16}$'
	like 'status says that the root is held' "$(status root)" '^cached, held in memory$'
	echo "$first" >/var/first-key
	echo "$check" >/var/first-check

	# The TPM is removed while the root is cached.
	tpm_gone
	is 'the TPM is removed again' "$(ls /sys/class/tpm)" ''
	key_is 'without the TPM the cached root still gives the same key' "$first"
	forget
	is 'after forget status says that no root is held' "$(status root)" 'cached, not held'
	is 'after forget status still shows the root check value' "$(status 'root check')" "$check"
	refused_with 'after forget, without the TPM, a request is refused with ENXIO' ENXIO
	tpm_back
	key_is 'with the TPM back, the very next request gives the same key' "$first"
	tpm_slots_empty 'nothing is left in the TPM after it came back'
	unload_module

	# All of this with root=transient.
	ok 'the module loads with root=transient' load_module root=transient
	key_is 'root=transient gives the same key' "$first"
	is 'root=transient holds no root' "$(status root)" 'transient, not held'
	tpm_slots_empty 'nothing is left in the TPM with root=transient'
	tpm_gone
	klog_mark
	refused_with 'with root=transient, without the TPM, a request is refused with ENXIO' ENXIO
	like 'the log says that there is no TPM for root=transient' "$(klog)" '^derived: uid 0, .*addkey.*: refused: no TPM$'
	tpm_back
	key_is 'with root=transient, the TPM back, the very next request gives the same key' "$first"
	tpm_slots_empty 'nothing is left in the TPM with root=transient after it came back'
	unload_module

	# Another program's objects fill the TPM: TPM2_CreatePrimary three times, without a flush.
	load_module root=cached
	python3 - <<-END
	tpm = open("/dev/tpm0", "r+b", buffering=0)
	for i in range(3):
	    tpm.write(bytes.fromhex("8002 00000039 00000131 40000001 00000009 40000009 0000 00 0000"
	                            "0004 0000 0000 0010 0008 000b 00040472 0000 0005 000b 0000 0000 00000000"))
	    assert tpm.read(4096)[6:10] == bytes(4)
	END
	is 'three objects fill the TPM' "$(tpm getcap handles-transient | wc -l)" 3
	key_is 'with a full TPM the cached root still gives the same key' "$first"
	forget
	klog_mark
	# Before the kernel opens a session of its own, the module checks that there is a slot.
	full='TPM2_CreatePrimary \(null\): TPM_RC 0x902'
	[[ $(status session) != "the kernel's"* ]] || full="no slot for the session's key"
	refused_with 'with a full TPM a request is refused with EAGAIN' EAGAIN
	like 'the log says that the TPM is full' "$(klog)" \
		"^derived: .*refused: the TPM is busy or full \\($full\\)\$"
	is "the other program's three objects are still there" "$(tpm getcap handles-transient | wc -l)" 3
	tpm flushcontext -t
	forget
	key_is 'with the TPM emptied, after forget a request gives the same key' "$first"
	tpm_slots_empty "nothing is left in the TPM after the other program's objects"

	# The owner hierarchy has a password.
	ok 'the owner hierarchy gets a password' tpm changeauth -c o secret
	key_is 'with an owner password the cached root still gives the same key' "$first"
	forget
	klog_mark
	refused_with 'with an owner password a request is refused with EACCES' EACCES
	failed=$(uptime_ms)
	like 'the log says that the owner hierarchy has a password' "$(klog)" \
		'^derived: .*refused: .*owner hierarchy.* password \(TPM2_CreatePrimary: TPM_RC 0x'
	is 'after a failed fetch status says that no root is held' "$(status root)" 'cached, not held'
	tpm changeauth -c o -p secret
	asked=$(uptime_ms)
	refused_with 'after the password is removed, the failure is remembered' EACCES
	[ $((asked - failed)) -lt 9000 ]
	tap_point $? 'the password: that request was within the 10 seconds' "$((asked - failed)) ms"
	tpm_slots_empty 'nothing is left in the TPM that refused because of the password'
	# This test need not wait for the rest of the 10 seconds: forget ends them at once.
	forget
	key_is 'after the password is removed and forget, the same key comes at once' "$first"
	tpm changeauth -c o secret
	forget
	refused_with 'with a new owner password a request is refused with EACCES' EACCES
	failed=$(uptime_ms)
	tpm changeauth -c o -p secret
	while asked=$(uptime_ms); got=$(key); [ "$got" != "$first" ] && [ $((asked - failed)) -lt 15000 ]; do
		sleep 0.2
	done
	is 'after the password is removed, the same key comes without forget' "$got" "$first"
	[ $((asked - failed)) -ge 9500 ] && [ $((asked - failed)) -le 11500 ]
	tap_point $? 'without forget, the key comes 10 seconds after the failure' "$((asked - failed)) ms"
	unload_module

	# The owner hierarchy is disabled, for this boot.
	load_module root=cached
	ok 'the owner hierarchy can be disabled' tpm hierarchycontrol -C o shEnable clear
	key_is 'with the owner hierarchy disabled the cached root still gives the same key' "$first"
	forget
	klog_mark
	refused_with 'with the owner hierarchy disabled a request is refused with EACCES' EACCES
	like 'the log says that the owner hierarchy is disabled' "$(klog)" \
		"^derived: .*refused: the TPM's owner hierarchy is disabled \\(TPM2_CreatePrimary: TPM_RC 0x"
	refused_with 'with the owner hierarchy disabled, the failure is remembered: EACCES' EACCES
	tpm_slots_empty 'nothing is left in the TPM whose owner hierarchy is disabled'
	ok 'the module unloads' unload_module
	ok 'the module loads while the owner hierarchy is disabled' load_module
	refused_with 'the failure at load is remembered: EACCES' EACCES
	;;

2)
	is 'there is no TPM' "$(ls /sys/class/tpm)" ''
	klog_mark
	ok 'the module loads on a machine without a TPM' load_module
	refused_with 'on a machine without a TPM a request is refused with ENXIO' ENXIO
	like 'the log of a machine without a TPM says so' "$(klog)" '^derived: .*refused: no TPM$'
	fails 'no key is left behind' keyctl search @s derived tpm-states
	forget
	refused_with 'without a TPM, after forget a request is refused with ENXIO again' ENXIO
	ok 'the module unloads without a TPM' unload_module
	;;

3)
	is 'the TPM is a TPM 1.2' "$(cat /sys/class/tpm/tpm0/tpm_version_major)" 1
	klog_mark
	ok 'the module loads with a TPM 1.2 only' load_module
	refused_with 'with a TPM 1.2 only a request is refused with ENXIO' ENXIO
	like 'the log says that the TPM is not a TPM 2.0' "$(klog)" '^derived: .*refused: the TPM is not a TPM 2\.0 that works$'
	like 'status says that no root was fetched from a TPM 1.2' "$(cat $parameters/status)" 'never fetched$'
	forget
	refused_with 'with a TPM 1.2 only, after forget a request is refused with ENXIO again' ENXIO
	ok 'the module unloads with a TPM 1.2 only' unload_module
	;;

4)
	first=$(</var/first-key)
	check=$(</var/first-check)
	ok 'the module loads after a reboot' load_module
	key_is 'after a reboot the owner hierarchy is enabled and the key is the same' "$first"
	is 'after a reboot the root check value is the same' "$(status 'root check')" "$check"

	# TPM2_Clear enables the owner hierarchy again, within the 10 seconds. Before, a reboot did
	# that.
	tpm hierarchycontrol -C o shEnable clear
	forget
	refused_with 'with the owner hierarchy disabled again a request is refused with EACCES' EACCES
	failed=$(uptime_ms)
	klog_mark
	ok 'the TPM can be cleared' tpm clear -c l
	asked=$(uptime_ms)
	refused_with 'after the TPM is cleared, the failure is remembered' EACCES
	[ $((asked - failed)) -lt 9000 ]
	tap_point $? 'the clear: that request was within the 10 seconds' "$((asked - failed)) ms"
	forget
	second=$(key)
	looks_like_a_key 'after the TPM is cleared and forget, a request gives a key' "$second"
	isnt 'after the clear, it is another key' "$second" "$first"
	isnt 'after the clear, it is another root check value' "$(status 'root check')" "$check"
	like 'the log says that the root changed' "$(klog)" "^derived: the root changed: its check value was $check\\."
	like 'the log shows the new root check value' "$(klog)" "^derived: root check value $(status 'root check'),"
	tpm_slots_empty 'nothing is left in the TPM that was cleared'

	# Another clear, which has no effect before forget.
	ok 'the TPM can be cleared once more' tpm clear -c l
	key_is 'after the TPM is cleared, the cached root still gives the same key' "$second"
	forget
	third=$(key)
	looks_like_a_key 'after the TPM is cleared once more and forget, a request gives a key' "$third"
	isnt 'the third key is not the second key' "$third" "$second"
	isnt 'the third key is not the first key either' "$third" "$first"
	tpm_slots_empty 'nothing is left in the TPM that was cleared twice'
	echo "$third" >/var/third-key
	status 'root check' >/var/third-check
	;;

5)
	ok 'the module loads after a reboot of a cleared TPM' load_module
	key_is 'after a reboot of a cleared TPM, the key is still the third key' "$(</var/third-key)"
	is 'after a reboot of a cleared TPM, the root check value is the same' "$(status 'root check')" "$(</var/third-check)"
	tpm_slots_empty 'nothing is left in the TPM after the last reboot'
	;;
esac
done_testing

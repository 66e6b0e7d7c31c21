#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ram-capped.sh: the capped root secret is in memory in one place only. It is nowhere after hibernation, kexec and
# forget=1, nor in the image that the machine hibernates into. ram.sh tests the same for the root secret, and
# explains the search.
#
# vm: boot tpm=golden memory=512 timeout=300
# vm: boot tpm=golden memory=512 timeout=300
# vm: boot tpm=golden memory=512 timeout=300
# vm: observer ram.observer
# vm: disk 512M
# vm: not-on[debug] the results depend on the kernel's own code as Debian builds it
# vm: long[7.3] seven searches of all memory

. "$DERIVED/tests/lib/ram.sh"

parameters=/sys/module/derived_keys/parameters
state=/root/ram.state
status() { sed -n "s/^$1: //p" $parameters/status; }

if grep -qw vm_kexec=1 /proc/cmdline; then
	tap_count=$(cat $state)
	observe 'after kexec' look ram
	like 'after kexec: much of the old memory is there' "$(ask_observer where marker)" \
		'whole\*[0-9]{3}'
	is_at 'after kexec: the capped root secret is nowhere' capped nowhere
	done_testing
	exit
fi

plan_later
mount_tracing
request='200 path,capped ram v1'
marker='ram-capped.sh: this is in memory'
ask_observer text marker "$marker" >/dev/null
ask_observer key held "$DERIVED/bin/hold" "$request" >/dev/null
check=$(awk '$1 == "capped-root" && $2 == "golden" && $3 == 13 { print $9 }' "$DERIVED/tests/vectors/golden.tsv")
load_capped() { load_module cap=13 "expect_capped_root=$check"; }

case $BOOT in
1)
	watch_session
	ok 'the module loads with cap=13' load_capped
	is 'the capped root is held' "$(status capped)" held
	session_is_known 'cap=13' capped
	# The last request is refused, and not logged.
	hold "$request" '900 path,capped,kcv=0123456789abcdef refused v1'{,}
	observe 'with a capped key' look kept
	is_at 'the capped root secret is in one place only, as HMAC states' capped held
	is_at 'the root secret, too' root held
	is_at 'the secrets of the capped session are nowhere' session nowhere
	is_at 'the capped key is in its payload only' held payload
	ok 'an image of the machine is made' "$DERIVED/bin/snapshot" /dev/vdc
	observe 'the image' look disk
	is_at 'the image has the capped key' held payload
	is_at 'the capped root secret is not in the image' capped nowhere
	observe 'resumed' look ram
	is 'after hibernation the capped root is gone' "$(status capped)" gone
	is_at 'after hibernation the capped root secret is nowhere' capped nowhere
	;;
2)
	ok 'the module loads with cap=13' load_capped
	is 'before kexec the capped root is held' "$(status capped)" held
	observe 'before kexec' look ram
	is_at 'before kexec the capped root secret is in memory' capped held
	kexec_away "$marker" $state
	;;
3)
	ok 'the module loads with cap=13' load_capped
	hold "$request"
	kill "$HOLDER_PID"
	observe 'held' look ram
	is_at 'the capped root secret is in memory' capped held
	echo 1 >$parameters/forget
	is 'after forget the capped root is gone' "$(status capped)" gone
	observe 'after forget' look ram
	is_at 'after forget the capped root secret is nowhere' capped nowhere
	;;
esac
done_testing

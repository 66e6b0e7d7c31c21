#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ram.sh: no secret stays in memory longer than necessary. The search covers all of the machine's
# memory, and the image that it hibernates into. ram-capped.sh does the same for the capped root.
#
# ram.observer runs the search on the host, and describes it. It has the root secret from the golden
# vectors, and computes the keys from it. It cannot know the secrets of a session with the TPM, so the
# kernel's tracing records two numbers. They are recorded as words of 32 bits, in an order in which no
# two neighbours stay neighbours, and printed in hexadecimal: the search does not look for either form.
#
# vm: boot tpm=golden memory=512 timeout=300
# vm: observer ram.observer
# vm: disk 512M
# vm: not-on[debug] the results depend on the kernel's own code as Debian builds it
# vm: long[7.3] nine searches of all memory

. "$DERIVED/tests/lib/ram.sh"

parameters=/sys/module/derived_keys/parameters
state=/root/ram.state

status() { sed -n "s/^$1: //p" $parameters/status; }
# wait_for CMD...: wait until the command succeeds, but not longer than 10 s.
wait_for() {
	local end=$((SECONDS + 10))
	while [ $SECONDS -lt $end ]; do
		if "$@"; then return; fi
		sleep 0.1
	done
	fail "waited in vain for: $*"
}
# shellcheck disable=SC2317 # wait_for calls it
no_key() { ! grep -qE " ($1):" /proc/keys; }

if grep -qw vm_kexec=1 /proc/cmdline; then
	tap_count=$(cat $state)
	observe 'after kexec' look ram
	like 'after kexec: much of the old memory is there' "$(ask_observer where marker)" \
		'whole\*[0-9]{3}'
	is_at 'after kexec: the root secret is nowhere' root nowhere
	done_testing
	exit
fi

plan_later
mount_tracing
# The names and the requests. They have many lengths, so that the keys are in many slabs: bytes that are
# not wiped may be overwritten, and that is more likely in a slab that all of them use.
declare -A request=(
	[revoked]='64 path,noread revoked v1' [unlinked]='1000 path,noread unlinked v1'
	[expired]='450 path,noread expired v1' [invalidated]='200 path,noread invalidated v1'
	[kept]='48 path,noread kept v1' [twin]='300 path,noread twin v1'
	[asleep]='48 path,noread asleep v1')
for name in "${!request[@]}"; do
	ask_observer key "$name" /usr/bin/keyctl "${request[$name]}" >/dev/null
done
ask_observer key held "$DERIVED/bin/hold" '32 path held v1' >/dev/null
ask_observer key transient "$DERIVED/bin/hold" '96 path transient v1' >/dev/null
ask_observer key refused "$DERIVED/bin/hold" '900 path refused v1' >/dev/null
ask_observer key read "$DERIVED/bin/keyops" '64 path read v1' >/dev/null
marker='ram.sh: this is in memory'
ask_observer text marker "$marker" >/dev/null
add() { keyctl add derived "$1" "${request[$1]}" @u >/dev/null; }

ok 'the module loads' load_module
watch_session
echo 1 >$parameters/forget
for name in revoked unlinked expired invalidated kept; do
	add $name
done
session_is_known cached root
keyctl request2 derived twin "${request[twin]/noread/noread,logon}" @u >/dev/null
"$DERIVED/bin/keyops" add read '64 path read v1' @s 1000 >/run/read &
reader=$!
wait_for grep -qE '^[0-9a-f]{128}$' /run/read
# Two requests are refused. The second refusal is not logged: logging would use much of the stack.
hold '32 path held v1' '900 path,kcv=0123456789abcdef refused v1'{,}
observe 'with keys' look kept
is_at 'with keys: the root secret is in one place only, as HMAC states' root held
is_at 'with keys: the secrets of the session are nowhere' session nowhere
for name in revoked unlinked expired invalidated kept held; do
	is_at "with keys: the key $name is in its payload only" $name payload
done
is_at 'with keys: the refused key is nowhere' refused nowhere
is_at 'with keys: a key with a twin is in the two payloads' twin 'payload payload'
is_at 'with keys: a key that is read is in its payload, and in the memory of its reader' read 'payload whole'

echo 0 >/proc/sys/kernel/keys/gc_delay
keyctl revoke %derived:revoked
keyctl unlink %derived:unlinked @u
keyctl timeout %derived:expired 1
keyctl invalidate %derived:invalidated
keyctl unlink %derived:twin @u
keyctl unlink %logon:derived:twin @u
kill "$HOLDER_PID"
wait_for no_key 'unlinked|expired|invalidated|twin|derived:twin|hold'
sleep 1
echo 1 >$parameters/forget
observe 'afterwards' look ram
is_at 'the key kept is still in its payload' kept payload
for name in revoked unlinked expired invalidated twin held; do
	is_at "the key $name is nowhere" $name nowhere
done
is_at 'after forget the root secret is nowhere' root nowhere
is_at 'after forget the secrets of the session are nowhere' session nowhere
kill $reader

keyctl clear @u
rmmod derived_keys
ok 'the module loads with root=transient' load_module root=transient
keyctl add user marker "$marker" @u >/dev/null
watch_session
hold '96 path transient v1'
session_is_known transient root
observe 'root=transient' look kept
is_at 'root=transient: the key is in its payload only' transient payload
is_at 'root=transient: the root secret is nowhere' root nowhere
is_at 'root=transient: the secrets of the session are nowhere' session nowhere

kill "$HOLDER_PID"
rmmod derived_keys
observe 'unloaded' look ram
like 'unloaded: the search finds a key of type user' "$(ask_observer where marker)" 'payload'
is_at 'unloaded: the key is nowhere' transient nowhere
is_at 'unloaded: the key kept is nowhere' kept nowhere
is_at 'unloaded: the root secret is nowhere' root nowhere
is_at 'unloaded: the secrets of the session are nowhere' session nowhere

# The image is made as a program that hibernates the machine makes it, and written to a disk. Resuming
# from it would take a minute here, and is not tested.
ok 'the module loads again' load_module
add asleep
is 'before hibernation the root is held' "$(status root)" 'cached, held in memory'
ok 'an image of the machine is made' "$DERIVED/bin/snapshot" /dev/vdc
observe 'the image' look disk
is_at 'the image has the existing key' asleep payload
is_at 'the root secret is not in the image' root nowhere
observe 'resumed' look ram
is 'after hibernation the root is not held' "$(status root)" 'cached, not held'
# A second copy of the key is in free memory, where the image was made.
like 'after hibernation the existing key is there' "$(ask_observer where asleep)" '^payload'
is_at 'after hibernation the root secret is nowhere' root nowhere
add asleep
is 'with the next key the root is held again' "$(status root)" 'cached, held in memory'

kexec_away "$marker" $state

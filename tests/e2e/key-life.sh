#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# key-life.sh: the life of a key: how it is read, shown, replaced and destroyed, its quota, and what
# happens to it when the module is unloaded.
#
# vm: boot tpm=golden cpus=2 args="maxcpus=1"
# vm: boot tpm=golden cpus=2 args="maxcpus=1" timeout=300
# vm: long[7.3] most of a minute

. "$DERIVED/tests/lib/lib.sh"

plan_later
keyops=$DERIVED/bin/keyops

# add DESCRIPTION REQUEST KEYRING: add a key, and set $serial (or the errno), $shown (its line in
# /proc/keys) and $bytes. added TEXT: set these from the output of another "keyops add".
added() { { read -r serial; IFS= read -r shown; read -r bytes; } <<<"$1"$'\n\n'; }
add() { added "$("$keyops" add "$@" 2>&1)"; }
kcv() { sed -n 's/.* kcv://p' <<<"$shown"; }

# keys_of UID: print how many keys a user has.
keys_of() { sed -n "s|^ *$1: *[0-9]* \([0-9]*\)/.*|\1|p" /proc/key-users; }
# gone SERIAL: print the errno of reading it. EACCES means that the key is in no keyring and not yet
# freed.
gone() {
	local got
	got=$("$keyops" read "$1")
	[ "$got" != EACCES ] || got=$(until_is ENOKEY "$keyops" read "$1")
	echo "$got"
}
account() { echo "$(keys_of "$1") $(bytes_of "$1")"; }

# A kernel that boots on two CPUs of QEMU's TCG crashes with an int3 now and then, while it patches its
# own code. So the second CPU is switched on after the boot.
second_cpu() {
	echo 1 >/sys/devices/system/cpu/cpu1/online
	is 'there are two CPUs from now on' "$(nproc)" 2
}

noread() {
	local id readable printed how user

	id=$(keyctl add derived nas '64 path,noread nas-disk v1' @u)
	like '/proc/keys shows a noread key with its check value' "$(grep ' nas: ' /proc/keys)" \
		'^[0-9a-f]{8} I--Q--- +[0-9]+ perm 3b010000 +0 +0 derived   nas: 64 path,noread kcv:[0-9a-f]{16}$'
	for how in 'as it was made' 'after setperm 0x3f3f3f3f'; do
		for op in read print pipe; do
			fails "keyctl $op of a noread key fails, $how" keyctl $op "$id"
			is "keyctl $op prints nothing but the error, $how" "$out" \
				'keyctl_read_alloc: Operation not supported'
		done
		is "keyctl(KEYCTL_READ) of a noread key fails, $how" "$("$keyops" read "$id")" EOPNOTSUPP
		[ "$how" = 'as it was made' ] &&
			ok 'the permissions of a noread key can be changed' keyctl setperm "$id" 0x3f3f3f3f
	done
	like 'setperm has changed the permissions' "$(keyctl rdescribe "$id")" '^derived;0;0;3f3f3f3f;nas$'

	# setperm allows other users to read the key; noread forbids it.
	# shellcheck disable=SC2016
	user=$(as_user 1000 sh -c 'keyctl rdescribe $1; "$2" read $1; for op in read print pipe; do keyctl $op $1; done' \
		sh "$id" "$keyops" 2>&1)
	is 'another user sees a noread key that setperm opened to all users, and cannot read it' "$user" \
		"derived;0;0;3f3f3f3f;nas
EOPNOTSUPP
keyctl_read_alloc: Operation not supported
keyctl_read_alloc: Operation not supported
keyctl_read_alloc: Operation not supported"
	# shellcheck disable=SC2016
	user=$(as_user 1000 sh -c 'id=$(keyctl add derived mine "64 path,noread nas-disk v1" @u)
		keyctl setperm $id 0x3f3f3f3f
		for op in read print pipe; do keyctl $op $id; done
		cat /proc/keys; keyctl unlink $id @u' 2>&1)
	like "a user's own noread key is shown" "$user" ' derived   mine: 64 path,noread kcv:[0-9a-f]{16}$'
	is "a user's own noread key cannot be read" "$(grep -c '^keyctl_read_alloc: Operation not supported$' <<<"$user")" 3

	# Without noread, the same commands can read the key.
	readable=$(keyctl add derived readable '64 path nas-disk v1' @u)
	printed=$(keyctl print "$readable")
	like 'keyctl print of a readable key gives its bytes' "$printed" '^:hex:[0-9a-f]{128}$'
	is 'keyctl pipe gives the same bytes' ":hex:$(keyctl pipe "$readable" | od -An -v -tx1 | tr -d ' \n')" "$printed"
	like 'keyctl read gives the length' "$(keyctl read "$readable")" '^64 bytes of data in key:$'
	isnt 'the same request with and without noread gives different keys' \
		"$(sed -n 's/.* readable: .* kcv://p' /proc/keys)" "$(sed -n 's/.* nas: .* kcv://p' /proc/keys)"
	keyctl unlink "$id" @u
	keyctl unlink "$readable" @u
}

showing() {
	local all='64 path,csum,noread nas-disk v1' first order ring what request

	add nas "$all" @s
	like 'length and options of the request are shown, and the check value last' "$shown" \
		'^nas: 64 path,csum,noread kcv:[0-9a-f]{16}$'
	first=$(kcv)
	for order in path,noread,csum csum,path,noread csum,noread,path noread,path,csum noread,csum,path; do
		add "nas" "64 $order nas-disk v1" @s
		is "the order $order gives the same key, and it is shown the same" "$shown" "nas: 64 path,csum,noread kcv:$first"
	done
	add nas "64 kcv=$first,path,csum,noread nas-disk v1" @s
	is 'kcv= is not shown' "$shown" "nas: 64 path,csum,noread kcv:$first"
	add 'a: b kcv:0123456789abcdef' '32 path' @s
	like 'a description that contains a check value: the real one is still shown last' "$shown" \
		'^a: b kcv:0123456789abcdef: 32 path kcv:[0-9a-f]{16}$'

	add plain '32 path' @s
	first=$bytes$(kcv)
	like 'a key has its bytes' "$bytes" '^[0-9a-f]{64}$'
	is 'an option that is not requested is not shown' "$shown" "plain: 32 path kcv:$(kcv)"
	add another '32 path' @s
	is 'another description gives the same key' "$bytes$(kcv)" "$first"
	for ring in @u @p @t "$(keyctl newring new @s)"; do
		add plain '32 path' "$ring"
		is "in the keyring ${ring/[0-9]*/of its own}, it is the same key" "$bytes$(kcv)" "$first"
	done
	while IFS='|' read -r what request; do
		add plain "$request" @s
		like "a key with $what is made" "$bytes$(kcv)" '^[0-9a-f]{48,}$'
		isnt "$what: it is another key" "$(kcv)" "${first:64}"
		isnt "$what: its first bytes are different, too" "${bytes:0:32}" "${first:0:32}"
	done <<-END
		another length|64 path
		another binding|32 csum
		both bindings|32 path,csum
		a mixin|32 path v1
	END
	# The process keyring belongs to this user's process.
	added "$(setpriv --reuid 1000 --clear-groups "$keyops" add plain '32 path' @p)"
	is "another user's key is shown the same" "${shown% *}" 'plain: 32 path'
	isnt "another user's key has another check value" "$(kcv)" "${first:64}"
	isnt "another user's key has other bytes" "$bytes" "${first:0:64}"

	add plain '32 csum' @s
	is 'keyctl describe shows the usual fields' "$(keyctl describe "$serial" | tr -s ' ' | sed 's/^ //')" \
		"$serial: als-rv-----v------------ 0 0 derived: plain"
	is 'keyctl rdescribe shows the usual fields' "$(keyctl rdescribe "$serial")" 'derived;0;0;3b010000;plain'
	is 'keyctl search finds the key by type and name' "$(keyctl search @s derived plain)" "$serial"

	sleep 1.1
	add plain '32 path' @s
	is 'a second later, the key is still the same' "$bytes$(kcv)" "$first"
	golden=$first
}

descriptions() {
	local long
	errno_is 'an empty description is refused' EINVAL derived '' '32 path' @s
	long=$(printf 'x%.0s' $(seq 4095))
	add "$long" '32 path' @s
	is 'a description of 4095 bytes is accepted, and the check value is still shown last' "$shown" \
		"$long: 32 path kcv:${golden:64}"
	is 'a description of 4095 bytes gives the same key' "$bytes" "${golden:0:64}"
	errno_is 'a description of 4096 bytes is refused' EINVAL derived "x$long" '32 path' @s
	keyctl unlink "$serial" @s
}

dying() {
	local old oldbytes before

	before=$(bytes_of 0)
	add mortal '1024 path' @s
	# The kernel counts 4 bytes for a link in a keyring.
	is 'the quota of a key of 1024 bytes is 1024 bytes, its description and its link' \
		"$(($(bytes_of 0) - before))" $((1024 + 7 + 4))
	ok 'a key can be revoked' keyctl revoke "$serial"
	is 'a revoked key cannot be read' "$("$keyops" read "$serial")" EKEYREVOKED
	like 'a revoked key is shown as revoked, and still with its check value' \
		"$(grep "^$(printf %08x "$serial") " /proc/keys)" "^[0-9a-f]{8} IR-Q--- .* mortal: 1024 path kcv:$(kcv)\$"
	is 'the bytes of a revoked key are not counted' "$(($(bytes_of 0) - before))" $((7 + 4))
	old=$bytes
	add mortal '1024 path' @s
	is 'a revoked key can be replaced by the same key' "$bytes" "$old"
	ok 'a key can be invalidated' keyctl invalidate "$serial"
	is 'an invalidated key cannot be read' "$(gone "$serial")" ENOKEY
	is 'an invalidated key is gone from the keyring' "$(keyctl search @s derived mortal 2>&1)" \
		'keyctl_search: Required key not available'

	before=$(bytes_of 0)
	add mortal '32 path' @s
	ok 'a key can be unlinked' keyctl unlink "$serial" @s
	is 'an unlinked key is gone' "$(gone "$serial")" ENOKEY
	is 'the quota of an unlinked key is given back' "$(until_is "$before" bytes_of 0)" "$before"

	add mortal '32 path' @s
	old=$serial oldbytes=$bytes
	add mortal '48 path' @s
	isnt 'adding the same description again makes a new key' "$serial" "$old"
	is 'the old key is gone' "$(gone "$old")" ENOKEY
	is 'the name leads to the new key' "$(keyctl search @s derived mortal)" "$serial"
	is 'the keyring has one key of that name only' "$(keyctl rlist @s | tr ' ' '\n' |
		while read -r id; do keyctl rdescribe "$id"; done | grep -c 'derived;.*;mortal$')" 1
	isnt 'the new key has other bytes, because its request was another' "${bytes:0:64}" "$oldbytes"

	old=$bytes
	fails 'keyctl update is refused' keyctl update "$serial" '32 path'
	is 'update: a new key gives no permission to update it' "$out" 'keyctl_update: Permission denied'
	keyctl setperm "$serial" 0x3f3f3f3f
	fails 'keyctl update is refused, with the permission' keyctl update "$serial" '32 path'
	is 'update: the errno is EOPNOTSUPP' "$out" 'keyctl_update: Operation not supported'
	# shellcheck disable=SC2016
	fails 'keyctl pupdate is refused' sh -c 'printf "32 path" | keyctl pupdate $0' "$serial"
	is 'pupdate: the errno is EOPNOTSUPP' "$out" 'keyctl_update: Operation not supported'
	is 'the key was not changed' "$("$keyops" read "$serial")" "$old"

	# A key of type user shows the difference that KEY_TYPE_INSTANT_REAP makes.
	"$keyops" wait user x 1 >/run/user-expires &
	out=$("$keyops" wait derived '32 path' 1 | tr '\n' ' ')
	like 'an expired key cannot be read, and is gone at once' "$out" '^ok (EKEYEXPIRED )?(EACCES )?ENOKEY $'
	wait $!
	is 'an expired key of type user stays for a while' "$(tr '\n' ' ' </run/user-expires)" 'ok EKEYEXPIRED '
	is '/proc/keys does not show the expired key any more' "$(grep -oE '(derived|user) +wait(:|$)' /proc/keys | tr -s ' ')" \
		'user wait:'
}

quota() {
	local maxbytes maxkeys
	maxbytes=$(cat /proc/sys/kernel/keys/maxbytes)
	maxkeys=$(cat /proc/sys/kernel/keys/maxkeys)
	# All commands run in one session of user 1000, while root changes the limits from outside:
	# hence two pipes.
	mkfifo -m 666 /run/ask /run/answer
	# shellcheck disable=SC2016
	as_user 1000 bash -c 'while read -r command; do eval "$command" >/run/answer 2>&1; done </run/ask' &
	exec 8>/run/ask
	user() { echo "$1" >&8; cat /run/answer; }
	local add="$DERIVED/bin/addkey derived"

	user true
	local keys bytes
	keys=$(keys_of 1000) bytes=$(bytes_of 1000)
	like 'user 1000 has a number of keys' "$keys $bytes" '^[0-9]+ [0-9]+$'

	echo $((bytes + 1024 + 2 + 4 - 1)) >/proc/sys/kernel/keys/maxbytes
	is 'one byte too many is EDQUOT' "$(user "$add q '1024 path' @s")" EDQUOT
	is 'no key was made' "$(user 'keyctl search @s derived q')" \
		'keyctl_search: Required key not available'
	is "the refused key does not stay in the user's quota" "$(until_is "$keys $bytes" account 1000)" \
		"$keys $bytes"
	echo $((bytes + 1024 + 2 + 4)) >/proc/sys/kernel/keys/maxbytes
	like 'with a limit of one byte more, the key is made' "$(user "$add q '1024 path' @s")" '^[0-9]+$'
	is 'the quota is used up then' "$(bytes_of 1000)" $((bytes + 1024 + 2 + 4))
	is 'a short key is EDQUOT, too' "$(user "$add r '16 path' @s")" EDQUOT
	user 'keyctl unlink %derived:q @s' >/dev/null
	is 'unlinking the key gives the whole quota back' "$(until_is "$keys $bytes" account 1000)" \
		"$keys $bytes"
	like 'then a short key is made' "$(user "$add r '16 path' @s")" '^[0-9]+$'
	user 'keyctl unlink %derived:r @s' >/dev/null
	until_is "$keys" keys_of 1000 >/dev/null

	echo "$maxbytes" >/proc/sys/kernel/keys/maxbytes
	echo "$keys" >/proc/sys/kernel/keys/maxkeys
	is 'one key too many is EDQUOT' "$(user "$add q '16 path' @s")" EDQUOT
	echo $((keys + 1)) >/proc/sys/kernel/keys/maxkeys
	like 'with a limit of one key more, it is made' "$(user "$add q '16 path' @s")" '^[0-9]+$'
	echo "$maxkeys" >/proc/sys/kernel/keys/maxkeys
	exec 8>&-
	wait $!
}

requesting() {
	local before ring

	cat >/sbin/request-key <<-'END'
		#!/bin/sh
		echo "$@" >>/run/request-key-ran
	END
	chmod 755 /sbin/request-key
	out=$("$DERIVED/bin/addkey" -r user mark 'x' @s)
	is 'request_key of type user starts /sbin/request-key' "$out $(cut -d' ' -f1 /run/request-key-ran)" 'ENOKEY create'
	rm /run/request-key-ran
	for ring in @s @u 0; do
		for again in 'the first time' again; do
			errno_is "request_key of type derived is refused because of its kcv=, $again (keyring $ring)" EKEYREJECTED \
				-r derived wanted '32 path,kcv=0123456789abcdef' "$ring"
			is "no key is left behind, $again (keyring $ring)" "$(keyctl search @s derived wanted 2>&1)" \
				'keyctl_search: Required key not available'
		done
	done
	like '/proc/keys shows that a request_key of type user failed' "$(cat /proc/keys)" ' I--Q-N- .* user +mark'
	unlike '/proc/keys shows no failed request_key of type derived' "$(cat /proc/keys)" ' wanted'
	errno_is 'request_key with a bad request is refused for another reason' EINVAL -r derived wanted 'x' @s
	is 'request_key without a request finds nothing' "$(keyctl request derived wanted @s 2>&1)" \
		'request_key: Required key not available'
	[ ! -e /run/request-key-ran ]
	tap_point $? '/sbin/request-key was not started for any of them' "$(cat /run/request-key-ran 2>&1)"

	add wanted '32 path' @s
	is 'add_key of that name works afterwards' "$bytes" "${golden:0:64}"
	is 'request_key finds that key without a look at the request' \
		"$("$DERIVED/bin/addkey" -r derived wanted 'rubbish' @s)" "$serial"
	[ ! -e /run/request-key-ran ]
	tap_point $? '/sbin/request-key was still not started' "$(cat /run/request-key-ran 2>&1)"
	keyctl unlink "$serial" @s

	# The garbage collector, on the other CPU, must not remove the link before the module does: it
	# would give no quota back.
	second_cpu
	before=$(bytes_of 0)
	for _ in $(seq 10); do "$DERIVED/bin/addkey" -r derived wanted '32 path,kcv=0123456789abcdef' @s >/dev/null; done
	is 'refused requests leave nothing in the quota' "$(until_is "$before" bytes_of 0)" "$before"
}

crowd() {
	is '100 processes that make a request at once get the same key' \
		"$("$keyops" crowd 100 '32 path')" "${golden:0:64} 100"
	is '100 check values are shown, all the same' \
		"$(sed -n 's/.* crowd-[0-9]*: 32 path kcv://p' /proc/keys | sort | uniq -c | tr -s ' ')" " 100 ${golden:64}"
	keyctl clear @s
	keyctl link @u @s
}

not_loaded() {
	errno_is 'without the module add_key is ENODEV' ENODEV derived x '32 path' @s
	errno_is 'without the module request_key is ENOKEY' ENOKEY -r derived x '32 path' @s
}

unloading() {
	local before user_before held total uid storm

	as_user 1000 true	# now the user keyrings of this user exist
	until_is 2 keys_of 1000 >/dev/null
	before=$(keys_of 0) user_before=$(keys_of 1000)
	mkfifo -m 666 /run/hold-0 /run/hold-1000
	"$keyops" hold 50 20 '32 path' </run/hold-0 >/run/held-0 &
	held=$!
	as_user 1000 "$keyops" hold 20 5 '64 path,noread' </run/hold-1000 >/run/held-1000 &
	held+=" $!"
	exec 6>/run/hold-0 7>/run/hold-1000
	is '1000 keys are made by 50 processes of root' "$(until_is ready cat /run/held-0)" ready
	is '100 keys are made by 20 processes of a user' "$(until_is ready cat /run/held-1000)" ready
	like '/proc/keys shows the keys in the user keyring' "$(cat /proc/keys)" ' derived   held-7-4: 32 path kcv:'
	total=$(($(keys_of 0) - before))
	[ $total -ge 1000 ]
	tap_point $? "root has these 1000 keys, and their keyrings ($total)" "$total"

	mkfifo /run/stop
	"$keyops" storm '32 path' "${golden:0:64}" </run/stop >/run/storm &
	storm=$!
	exec 9>/run/stop
	sleep 0.3
	ok 'the module unloads while these keys exist and more keys are made' unload_module
	sleep 0.1
	exec 9>&-
	wait $storm
	check_storm unloading "$(cat /run/storm)"
	for uid in 0 1000; do
		echo >&$((uid ? 7 : 6))
		until_is "done" tail -n 1 /run/held-$uid >/dev/null
		is "none of the keys of uid $uid can be read any more" \
			"$(awk '/^(EKEYREVOKED|ENOKEY) / { n += $2; next } { print } END { print n }' /run/held-$uid)" \
			$'ready\ndone\n'$((uid ? 100 : 1000))
	done
	unlike '/proc/keys shows no derived key' "$(cat /proc/keys)" 'derived|\.dead|held-'
	not_loaded
	exec 6>&- 7>&-
	# shellcheck disable=SC2086
	wait $held
	is "all of root's keys have gone" "$(until_is "$before" keys_of 0)" "$before"
	is "all of the user's keys have gone" "$(until_is "$user_before" keys_of 1000)" "$user_before"

	ok 'the module loads again' load_module
	is 'the old names are gone' "$(keyctl search @u derived held-7-4 2>&1)" \
		'keyctl_search: Required key not available'
	add plain '32 path' @s
	is 'the keys are the same as before' "$bytes$(kcv)" "$golden"
}

# check_storm WHICH TEXT: check the output of "keyops storm" while the module was loaded and unloaded.
check_storm() {
	note "storm $1: $(tr '\n' ',' <<<"$2")"
	like "keys were made with the module ($1)" "$2" '^read ok [0-9]+$'
	like "requests were refused without the module ($1)" "$2" '^add ENODEV [0-9]+$'
	is "there was no other outcome ($1)" "$(grep -vE \
		'^(add ok|add ENODEV|read ok|read EKEYREVOKED|read ENOKEY|read EACCES) [0-9]+$' <<<"$2")" ''
}

storm() {
	local i failed='' pids=()

	for i in 1 2; do
		"$keyops" storm '32 path' "${golden:0:64}" </run/stop >/run/storm-$i &
		pids+=($!)
	done
	while read -r -t 0.001 _; [ $? -gt 128 ]; do cat /proc/keys; done </run/stop >/run/proc-keys &
	pids+=($!)
	exec 9>/run/stop
	for i in $(seq 20); do
		sleep 0.1
		unload_module || failed+=" rmmod-$i"
		sleep 0.05
		# shellcheck disable=SC2119
		load_module || failed+=" insmod-$i"
	done
	sleep 0.2
	exec 9>&-
	wait "${pids[@]}"
	is 'the module unloads and loads 20 times while keys are made, read and shown' "$failed" ''
	for i in 1 2; do check_storm $i "$(cat /run/storm-$i)"; done
	like '/proc/keys was read meanwhile' "$(cat /run/proc-keys)" 'keyring +_ses'
	add plain '32 path' @s
	is 'the key is still the same afterwards' "$bytes$(kcv)" "$golden"
}

not_loaded
ok 'the module loads' load_module
timed() { local began=$SECONDS; "$@"; note "$1: $((SECONDS - began)) s"; }
case $BOOT in
1)
	timed noread
	timed showing
	timed descriptions
	timed dying
	timed quota
	timed requesting
	echo "$golden" >/var/golden
	;;
2)
	golden=$(cat /var/golden)
	second_cpu
	timed crowd
	timed unloading
	timed storm
	;;
esac
keyctl clear @u
ok 'the module unloads' unload_module
not_loaded
tpm_slots_empty 'nothing is left in the TPM'
done_testing

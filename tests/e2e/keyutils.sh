#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# keyutils.sh: a derived key behaves like any other key: an operation on it has the same outcome as on a
# key of type user. Each row is run for type user first. Where a derived key differs, the row names the
# rule of the kernel that is the reason.
#
# The operations and errnos are those that the test suites of keyutils 1.6.3 (83 tests) and of the Linux
# Test Project (testcases/kernel/syscalls/{add_key,keyctl,request_key}, 20 programs) test. These tests
# are here:
#
#	making		keyutils add, padd (payloads, descriptions, adding again); LTP add_key02 and
#			request_key06 (bad pointers)
#	showing		describing, id, listing, show, reading, instantiating, update, pupdate; LTP keyctl05
#	no_keyring	the rows of clear, add, newring, link, unlink, move and search for a key in the
#			place of a keyring
#	permissions, owners	permitting, and the permissions that each other operation needs
#	linking, moving	search, requesting, link, unlink (also from all keyrings), move; LTP request_key04
#	restricted	restrict, without a type; restriction by certificate is for type asymmetric
#	revoked, expired, gone, dead_keyrings	revoke, timeout, invalidate, and the rows of all other
#			operations for a key that does not exist any more; LTP request_key02
#	others, persistent	session; and beyond the suites: other sessions and users
#	from_trusted	beyond the suites: the table "Coming from trusted keys" of Documentation/derived.rst
#
# These tests are elsewhere:
#
#	key-life.sh	empty descriptions, and descriptions of 4095 and 4096 bytes; the quota, to the byte
#			(LTP add_key05); many keys in one keyring (keyutils bz1033467, LTP add_key04); noread
#	request.sh	payloads: every request, and requests that are too long (LTP add_key01)
#	request-key.sh	request_key(2): existing, revoked and negative keys (LTP keyctl07: no derived key is
#			ever negative), a callout of any kind
#	attack/reader.sh	reading by other programs and users
#	stress.sh	LTP keyctl02 (read against revoke), request_key03 (add against request)
#	debug/keyctl-fuzz.sh	LTP keyctl06 (short buffers), and any value for any argument
#
# These tests are left out, because no derived key takes part in them: serial number 0, unknown
# types, loops of keyrings, names of keyrings, built-in keyrings, watch, supports, dh_compute; LTP
# keyctl01, 03, 04, 08, 09, request_key01 and 05; SELinux (bz1031154).
#
# vm: boot tpm=golden timeout=600
# vm: long[7.3] the rules are the same in all kernels

. "$DERIVED/tests/lib/lib.sh"

declare -A payload=([user]=anything [derived]='32 path') key other
one='' two=''

# try TYPE WORD...: run keyctl WORD... (or addkey). The words KEY, OTHER, TYPE, PAYLOAD, ONE and TWO are
# replaced by their values for that type. Sets $out to the output, and $got to "ok" or the errno.
try() {
	local type=$1 word words=()
	shift
	for word; do
		case $word in
		TYPE)	word=$type ;;
		%TYPE:*)	word=%$type${word#%TYPE} ;;
		PAYLOAD)	word=${payload[$type]} ;;
		KEY)	word=${key[$type]} ;;
		OTHER)	word=${other[$type]} ;;
		ONE)	word=$one ;;
		TWO)	word=$two ;;
		esac
		words+=("$word")
	done
	case ${words[0]} in
	addkey)	words[0]=$DERIVED/bin/addkey ;;
	*)	words=(keyctl "${words[@]}") ;;
	esac
	if out=$("${words[@]}" 2>&1 </dev/null); then
		got=ok
		return
	fi
	case ${out##*: } in
	'Permission denied')		got=EACCES ;;
	'Bad address')			got=EFAULT ;;
	'Disk quota exceeded')		got=EDQUOT ;;
	'File exists')			got=EEXIST ;;
	'Invalid argument')		got=EINVAL ;;
	'Key has been revoked')		got=EKEYREVOKED ;;
	'Key has expired')		got=EKEYEXPIRED ;;
	'No such file or directory')	got=ENOENT ;;
	'Not a directory')		got=ENOTDIR ;;
	'Operation not permitted')	got=EPERM ;;
	'Operation not supported')	got=EOPNOTSUPP ;;
	'Required key not available')	got=ENOKEY ;;
	E[A-Z]*)			got=${out##*: } ;;
	*)				got="? $out" ;;
	esac
}

# In another session or as another user, this script is run with operations on stdin, one on each line.
if [ "${1-}" = try ]; then
	key=([user]=$2 [derived]=$3)
	while read -r -a words; do
		try user "${words[@]}"
		echo -n "$got "
		try derived "${words[@]}"
		echo "$got"
	done
	exit
fi

plan_later

# differ DESC USER DERIVED WORD...: the outcome is USER for type user, and DERIVED for type derived.
# same DESC WANT WORD...: the outcome is WANT for both.
differ() {
	local desc=$1 want="$2 $3" user
	shift 3
	try user "$@"
	user=$got
	try derived "$@"
	[ "$user $got" = "$want" ]
	tap_point $? "$desc" "types user and derived: $user $got
want:                   $want
keyctl $*
output for derived: $out"
}
same() { differ "$1" "$2" "$2" "${@:3}"; }

# prints DESC USER DERIVED WORD...: the output is USER for type user, and DERIVED for type derived, with
# the key's serial number replaced by KEY and its type by TYPE.
prints() {
	local desc=$1 want="$2|$3" user
	shift 3
	try user "$@"
	read -r user <<<"${out//${key[user]}/KEY}"
	try derived "$@"
	read -r out <<<"${out//${key[derived]}/KEY}"
	is "$desc" "${user//user/TYPE}|${out//derived/TYPE}" "$want"
}
prints_same() { prints "$1" "$2" "$2" "${@:3}"; }

# A step between the rows. It must succeed; otherwise the rows after it test nothing.
must() { "$@" >/dev/null || fail "a step between the rows: $*"; }
# fresh [other]: make new keys "nas" in keyring one, and also "other"; clear keyring two.
fresh() {
	local type
	must keyctl clear "$one"
	must keyctl clear "$two"
	for type in user derived; do
		key[$type]=$(keyctl add $type nas "${payload[$type]}" "$one")
		[ "${1-}" != other ] || other[$type]=$(keyctl add $type other "${payload[$type]}" "$one")
	done
}
# setperm PERMISSIONS: set the permissions of both keys.
setperm() {
	must keyctl setperm "${key[user]}" "$1"
	must keyctl setperm "${key[derived]}" "$1"
}

making() {
	fresh
	same 'an empty payload' EINVAL addkey TYPE empty '' ONE
	same 'a payload of NULL with a length' EFAULT addkey -b null TYPE nas PAYLOAD ONE
	same 'a payload at a bad address' EFAULT addkey -b payload TYPE nas PAYLOAD ONE
	same 'a description at a bad address' EFAULT addkey -b description TYPE nas PAYLOAD ONE
	same 'a type at a bad address' EFAULT addkey -b type TYPE nas PAYLOAD ONE
	same 'request: a callout at a bad address' EFAULT addkey -r -b payload TYPE new PAYLOAD ONE
	same 'request: a description at a bad address' EFAULT addkey -r -b description TYPE new PAYLOAD ONE
	same 'a keyring of 0' EINVAL add TYPE nas PAYLOAD 0
	same 'a description that begins with a dot' ok add TYPE .nas PAYLOAD ONE
	same 'a description with a prefix' ok add TYPE nas:nas PAYLOAD ONE
	same 'a key with a prefix is found by its name' ok search ONE TYPE nas:nas
	same 'the beginning of a name does not find the key' ENOKEY search ONE TYPE na
	same 'capital letters make another name' ENOKEY search ONE TYPE NAS
	same 'padd without a payload' EINVAL padd TYPE piped ONE
	try user add TYPE nas PAYLOAD ONE
	is 'adding a key of type user again updates it' "$out" "${key[user]}"
	try derived add TYPE nas PAYLOAD ONE
	is 'adding a derived key again succeeds' "$got" ok
	isnt 'adding a derived key again makes a new key (a type without ->update)' "$out" "${key[derived]}"
}

showing() {
	fresh
	prints 'rdescribe: derived has no write permission (a type without ->update)' \
		'TYPE;0;0;3f010000;nas' 'TYPE;0;0;3b010000;nas' rdescribe KEY
	prints 'rdescribe with another separator' 'TYPE@0@0@3f010000@nas' 'TYPE@0@0@3b010000@nas' rdescribe KEY @
	prints 'describe' 'KEY: alswrv-----v------------     0     0 TYPE: nas' \
		'KEY: als-rv-----v------------     0     0 TYPE: nas' describe KEY
	prints_same 'id: by type and name' KEY id %TYPE:nas
	prints_same 'search: by type and name, in a keyring' KEY search ONE TYPE nas
	like 'show shows the derived key in its keyring' "$(keyctl show @s)" '^ *[0-9]+ .* \\_ derived: nas$'
	is 'rlist lists both keys of the keyring' "$(keyctl rlist "$one" | tr ' ' '\n' | sort -n | xargs)" \
		"$(printf '%s\n' "${key[@]}" | sort -n | xargs)"
	same 'print' ok print KEY
	same 'security: a label, if there are any' ok security KEY
	same 'pkey_query: no public-key operation' EOPNOTSUPP pkey_query KEY 0
	same 'instantiate: a key that is not under construction' EPERM instantiate KEY x ONE
	same 'negate: a key that is not under construction' EPERM negate KEY 10 ONE
	same 'reject: a key that is not under construction' EPERM reject KEY 10 rejected ONE
	differ 'update: derived has no write permission' ok EACCES update KEY PAYLOAD
	setperm 0x3f3f0000
	differ 'update, with write permission: a type without ->update' ok EOPNOTSUPP update KEY PAYLOAD
	differ 'update without a payload: ->update is checked before the payload' EINVAL EOPNOTSUPP pupdate KEY
}

# An operation on a keyring checks the write permission first, and then whether the key is a
# keyring. The possessor of a derived key has no write permission, so the second check is not
# reached unless the possessor sets that permission.
no_keyring() {
	fresh other
	differ 'no keyring: clear (the write permission is checked first)' ENOTDIR EACCES clear KEY
	differ 'no keyring: add into' ENOTDIR EACCES add TYPE x PAYLOAD KEY
	differ 'no keyring: newring' ENOTDIR EACCES newring x KEY
	differ 'no keyring: link to' ENOTDIR EACCES link OTHER KEY
	differ 'no keyring: unlink from' ENOTDIR EACCES unlink OTHER KEY
	differ 'no keyring: move from' ENOTDIR EACCES move OTHER KEY TWO
	differ 'no keyring: move to' ENOTDIR EACCES move OTHER ONE KEY
	differ 'no keyring: search, and link to' ENOTDIR EACCES search ONE TYPE other KEY
	differ 'no keyring: request, and link to' ENOTDIR EACCES request TYPE other KEY
	differ 'no keyring: get_persistent' ENOTDIR EACCES get_persistent KEY
	same 'no keyring: search, which needs another permission' ENOTDIR search KEY TYPE nas
	same 'no keyring: restrict_keyring, which needs another permission' ENOTDIR restrict_keyring KEY
	setperm 0x3f3f0000
	same 'no keyring, with write permission: clear' ENOTDIR clear KEY
	same 'no keyring, with write permission: add into' ENOTDIR add TYPE x PAYLOAD KEY
	same 'no keyring, with write permission: newring' ENOTDIR newring x KEY
	same 'no keyring, with write permission: link to' ENOTDIR link OTHER KEY
	same 'no keyring, with write permission: unlink from' ENOTDIR unlink OTHER KEY
	same 'no keyring, with write permission: move to' ENOTDIR move OTHER ONE KEY
	same 'no keyring: no key was made by these' ENOKEY search @s TYPE x
	same 'no keyring: the other key is still in its keyring' ok search ONE TYPE other
}

permissions() {
	local type bit perm shown='' want=''
	fresh
	for type in user derived; do
		for bit in 1 2 4 8 16 32; do
			# The user keeps view, to look at the permissions, and setattr, to set the
			# next ones.
			perm=$(printf '%08x' $((0x00210000 | bit * 0x01010101)))
			must keyctl setperm "${key[$type]}" "0x$perm"
			shown+=" $(keyctl rdescribe "${key[$type]}")"
			want+=" $type;0;0;$perm;nas"
		done
	done
	is 'each of the 24 permissions can be set' "$shown" "$want"
	setperm 0x3f010000
	same 'there are no other permissions: 0xff' EINVAL setperm KEY 0xffffffff
	same 'there are no other permissions: 0x7f' EINVAL setperm KEY 0x7f7f7f7f

	setperm 0x20201f00
	same "a permission of the group is not one of the user" EACCES describe KEY
	setperm 0x2020001f
	same "a permission of all others is not one of the user" EACCES describe KEY
	setperm 0x3e3e0000
	same 'without view: describe' EACCES describe KEY
	same 'without view: print' ok print KEY
	# Until the next fresh keys, the user keeps the permission to set attributes. A key that
	# cannot be found is not possessed either, so without "search" the possessor has no
	# permission at all.
	setperm 0x35210000
	same 'without read and search: print' EACCES print KEY
	setperm 0x3d210000
	same 'without read: print (search is enough)' ok print KEY
	setperm 0x37210000
	same 'without search: search' EACCES search @s TYPE nas
	same 'without search: invalidate' EACCES invalidate KEY
	same 'without search: print' EACCES print KEY
	same 'without search: describe' ok describe KEY
	fresh
	setperm 0x2f010000
	same 'without link: link' EACCES link KEY TWO
	same 'without link: move' EACCES move KEY ONE TWO
	same 'without link: search, and link' EACCES search ONE TYPE nas TWO
	same 'without link: request, and link' EACCES request TYPE nas TWO
	same 'without link: unlink' ok unlink KEY ONE
	fresh
	setperm 0x1f1f1f1f
	same 'without setattr: setperm' EACCES setperm KEY 0x3f3f1f1f
	same 'without setattr: chown' EACCES chown KEY 0
	same 'without setattr: chgrp' EACCES chgrp KEY 0
	same 'without setattr: timeout' EACCES timeout KEY 10
	same 'without setattr: revoke (write is enough)' ok revoke KEY
	fresh
	setperm 0x1b010000
	same 'without setattr and write: revoke' EACCES revoke KEY
	fresh
	setperm 0x3b010000
	same 'without write: revoke (setattr is enough)' ok revoke KEY
	fresh
	setperm 0
	same 'without any permission: describe' EACCES describe KEY
	same 'without any permission: print' EACCES print KEY
	same "without any permission: unlink (the keyring's permissions count)" ok unlink KEY ONE
}

owners() {
	local type moved maxbytes
	account() { echo $(($(bytes_of "$1") + 0)); }
	as_user 1000 true	# now this user has a quota
	fresh
	same 'chgrp' ok chgrp KEY 1
	prints 'the group is shown' 'TYPE;0;1;3f010000;nas' 'TYPE;0;1;3b010000;nas' rdescribe KEY
	for type in user derived; do
		moved=$(($(account 0) - $(account 1000)))
		must keyctl chown "${key[$type]}" 1000
		moved=$(((moved - $(account 0) + $(account 1000)) / 2))
		is "the quota of a key of type $type moves to the new owner" "$moved" \
			"$([ $type = user ] && echo $((8 + 4)) || echo $((32 + 4)))"
	done
	prints 'the user is shown' 'TYPE;1000;1;3f010000;nas' 'TYPE;1000;1;3b010000;nas' rdescribe KEY
	same "print: possession of another user's key is enough" ok print KEY
	same 'chown back' ok chown KEY 0
	maxbytes=$(cat /proc/sys/kernel/keys/maxbytes)
	echo 10 >/proc/sys/kernel/keys/maxbytes
	same 'chown to a user whose quota is used up' EDQUOT chown KEY 1000
	echo "$maxbytes" >/proc/sys/kernel/keys/maxbytes
}

linking() {
	fresh other
	same 'search: an existing key' ok search @s TYPE nas
	same 'search: a missing key' ENOKEY search @s TYPE cloud
	same 'search: a missing key, and link' ENOKEY search @s TYPE cloud TWO
	same 'search: a key of another type' ENOKEY search @s logon nas
	same 'search: an existing key, and link' ok search @s TYPE nas TWO
	prints_same 'search: the key is in that keyring, too' KEY search TWO TYPE nas
	same 'search: the other key is not' ENOKEY search TWO TYPE other
	same 'request: a missing key' ENOKEY request TYPE cloud
	same 'request: an existing key, and link' ok request TYPE other TWO
	same 'request: the key is in that keyring, too' ok search TWO TYPE other
	same 'request: an existing key, with a callout, and link' ok request2 TYPE other PAYLOAD TWO
	must keyctl setperm "$two" 0x37210000
	same 'in a keyring that may not be searched: search' EACCES search TWO TYPE nas
	same 'in a keyring that may not be searched: the key is found in the other keyring' ok search @s TYPE nas
	must keyctl setperm "$two" 0x3f210000
	must keyctl unlink "${other[user]}" "$two"
	must keyctl unlink "${other[derived]}" "$two"
	must keyctl setperm "$two" 0x3b210000
	same 'a keyring that may not be written: search, and link' EACCES search ONE TYPE other TWO
	same 'a keyring that may not be written: request, and link' EACCES request TYPE other TWO
	same 'a keyring that may not be written: request of a new key' EACCES request2 TYPE new PAYLOAD TWO
	same 'a keyring that may not be written: add' EACCES add TYPE new PAYLOAD TWO
	same 'a keyring that may not be written: link' EACCES link OTHER TWO
	same 'a keyring that may not be written: move to' EACCES move OTHER ONE TWO
	same 'a keyring that may not be written: move from' EACCES move KEY TWO ONE
	same 'a keyring that may not be written: unlink' EACCES unlink KEY TWO
	same 'a keyring that may not be written: no new key is there' ENOKEY search @s TYPE new
	must keyctl setperm "$two" 0x3f010000
}

moving() {
	fresh other
	same 'link' ok link KEY TWO
	same 'link: again' ok link KEY TWO
	is 'link: the keyring has each key once' "$(keyctl rlist "$two" | wc -w)" 2
	same 'unlink: from one of two keyrings' ok unlink KEY ONE
	same 'unlink: from a keyring that it is not in any more' ENOENT unlink KEY ONE
	prints_same 'unlink: the key is still in the other keyring' KEY search @s TYPE nas
	same 'link: back' ok link KEY ONE
	prints_same 'unlink: from all keyrings' '2 links removed' unlink KEY

	fresh other
	same 'move' ok move KEY ONE TWO
	same 'move: from a keyring that it is not in any more' ENOENT move KEY ONE TWO
	same 'move: the same, with force' ENOENT move -f KEY ONE TWO
	same 'move: to the keyring that it is in' ok move KEY TWO TWO
	prints_same 'move: the key is there' KEY search TWO TYPE nas
	must keyctl add user nas words "$one"
	must keyctl add derived nas '32 path another' "$one"
	same 'move: to a keyring with another key of that name' EEXIST move KEY TWO ONE
	prints_same 'move: the key has not moved' KEY search TWO TYPE nas
	same 'move: to that keyring, with force' ok move -f KEY TWO ONE
	prints_same 'move: the key has replaced the other' KEY search ONE TYPE nas
	same 'move: the key has left its old keyring' ENOKEY search TWO TYPE nas
	prints_same 'purge: by name' 'purged 1 keys' purge -s TYPE nas
	prints_same 'purge: by type' 'purged 1 keys' purge TYPE
	same 'purge: nothing is left' ENOKEY search @s TYPE other
}

# A keyring that accepts no more keys.
restricted() {
	local open=$two
	fresh other
	two=$(keyctl newring restricted @s)
	same 'link: before the keyring is restricted' ok link KEY TWO
	same 'restrict: by a type that has no restrictions' ENOENT restrict_keyring TWO TYPE x
	must keyctl restrict_keyring "$two"
	same 'restricted: add' EPERM add TYPE new PAYLOAD TWO
	same 'restricted: link' EPERM link OTHER TWO
	same 'restricted: move' EPERM move OTHER ONE TWO
	same 'restricted: search, and link' EPERM search ONE TYPE other TWO
	same 'restricted: request, and link' EPERM request TYPE other TWO
	errno_is 'restricted: a request for a new key' EPERM -r derived new '32 path' "$two"
	errno_is 'restricted: a request for a new key and its twin' EPERM -r derived new '64 path,logon' "$two"
	unlike 'restricted: nothing is left of these requests' "$(cat /proc/keys)" '(derived +|derived:)new'
	same 'restricted: a key in the keyring is found' ok search TWO TYPE nas
	same 'restricted: a key in the keyring can be unlinked' ok unlink KEY TWO
	must keyctl unlink "$two" @s
	two=$open
}

revoked() {
	local type
	fresh other
	same 'revoke' ok revoke KEY
	same 'revoked: again' EKEYREVOKED revoke KEY
	same 'revoked: describe' EKEYREVOKED describe KEY
	same 'revoked: print' EKEYREVOKED print KEY
	same 'revoked: update' EKEYREVOKED update KEY PAYLOAD
	same 'revoked: timeout' EKEYREVOKED timeout KEY 10
	same 'revoked: setperm' EKEYREVOKED setperm KEY 0x3f3f0000
	same 'revoked: chown' EKEYREVOKED chown KEY 0
	same 'revoked: link' EKEYREVOKED link KEY TWO
	same 'revoked: move' EKEYREVOKED move KEY ONE TWO
	same 'revoked: invalidate' EKEYREVOKED invalidate KEY
	same 'revoked: search' EKEYREVOKED search @s TYPE nas
	same 'revoked: request' EKEYREVOKED request TYPE nas
	same 'revoked: request with a callout' EKEYREVOKED request2 TYPE nas PAYLOAD ONE
	# The garbage collector runs when any key is invalidated. It takes a revoked derived key at
	# once, because the type has the flag for that; it leaves a revoked key of type user for
	# five minutes.
	same 'invalidate another key' ok invalidate OTHER
	until_is ENOKEY try_print derived >/dev/null
	differ 'revoked, after a garbage collection: print (KEY_TYPE_INSTANT_REAP)' EKEYREVOKED ENOKEY print KEY
	differ 'revoked, after a garbage collection: describe' EKEYREVOKED ENOKEY describe KEY
	differ 'revoked, after a garbage collection: request' EKEYREVOKED ENOKEY request TYPE nas
	differ 'revoked, after a garbage collection: request with a callout makes a new key' \
		EKEYREVOKED ok request2 TYPE nas PAYLOAD ONE

	fresh
	same 'revoke once more' ok revoke KEY
	same 'revoked: add a key in its place' ok add TYPE nas PAYLOAD ONE
	for type in user derived; do
		fresh
		must keyctl revoke "${key[$type]}"
		is "reap: a revoked key of type $type" "$(keyctl reap)" '1 keys reaped'
		is "reap: the key of type $type is gone" "$(keyctl search @s $type nas 2>&1)" 'keyctl_search: Required key not available'
	done
}
try_print() { try "$1" print KEY; echo "$got"; }

expired() {
	fresh other
	same 'timeout' ok timeout KEY 1
	same 'timeout: of another key' ok timeout OTHER 1000
	is 'timeout: /proc/keys shows the timeout' "$(grep -cE ' 1[56]m .* other(:|$)' /proc/keys)" 2
	same 'timeout: 0 clears the timeout' ok timeout OTHER 0
	is 'timeout: /proc/keys shows no timeout' "$(grep -cE ' perm .* other(:|$)' /proc/keys)" 2
	until_is EKEYEXPIRED try_print user >/dev/null
	until_is ENOKEY try_print derived >/dev/null
	differ 'expired: print (KEY_TYPE_INSTANT_REAP)' EKEYEXPIRED ENOKEY print KEY
	differ 'expired: describe' EKEYEXPIRED ENOKEY describe KEY
	differ 'expired: update' EKEYEXPIRED ENOKEY update KEY PAYLOAD
	differ 'expired: timeout' EKEYEXPIRED ENOKEY timeout KEY 10
	differ 'expired: revoke' EKEYEXPIRED ENOKEY revoke KEY
	differ 'expired: invalidate' EKEYEXPIRED ENOKEY invalidate KEY
	differ 'expired: link' EKEYEXPIRED ENOKEY link KEY TWO
	differ 'expired: search' EKEYEXPIRED ENOKEY search @s TYPE nas
	same 'expired: request (it ignores expired keys)' ENOKEY request TYPE nas
	differ 'expired: request with a callout makes a new derived key (in the kernel)' ENOKEY ok request2 TYPE nas PAYLOAD ONE
}

# Keyrings that are revoked or have expired. One of them is a session keyring: tmux has such a session
# keyring after its login has ended.
dead_keyrings() {
	local how want open=$two
	for how in revoke expire; do
		two=$open
		fresh other
		two=$(keyctl newring dead @s) want=EKEYREVOKED
		if [ $how = revoke ]; then
			must keyctl revoke "$two"
		else
			want=EKEYEXPIRED
			must keyctl timeout "$two" 1
			until_is 'keyctl_describe_alloc: Key has expired' keyctl describe "$two" >/dev/null
		fi
		same "a keyring ${how}d: add" $want add TYPE nas PAYLOAD TWO
		same "a keyring ${how}d: request, and link" $want request TYPE nas TWO
		same "a keyring ${how}d: request for a new key" $want request2 TYPE new PAYLOAD TWO
		same "a keyring ${how}d: link" $want link KEY TWO
		same "a keyring ${how}d: move" $want move KEY ONE TWO
		same "a keyring ${how}d: search" $want search TWO TYPE nas
		must keyctl unlink "$two" @s
	done
	two=$open
	# shellcheck disable=SC2016
	elsewhere 'in a revoked session' keyctl session - sh -c 'keyctl link @u @s; keyctl revoke @s; exec "$@"' sh <<-'END'
		EKEYREVOKED EKEYREVOKED add TYPE mine PAYLOAD @s
		EKEYREVOKED EKEYREVOKED request2 TYPE mine PAYLOAD @s
		ok ok add TYPE mine PAYLOAD @u
		ok ok search @u TYPE mine
		ENOKEY ENOKEY request TYPE mine
		ok ok unlink %TYPE:mine @u
	END
}

gone() {
	fresh other
	same 'invalidate' ok invalidate KEY
	until_is ENOKEY try_print user >/dev/null
	until_is ENOKEY try_print derived >/dev/null
	same 'gone: print' ENOKEY print KEY
	same 'gone: describe' ENOKEY describe KEY
	same 'gone: update' ENOKEY update KEY PAYLOAD
	same 'gone: link' ENOKEY link KEY TWO
	same 'gone: link to' ENOKEY link OTHER KEY
	same 'gone: unlink' ENOKEY unlink KEY ONE
	same 'gone: move' ENOKEY move KEY ONE TWO
	same 'gone: setperm' ENOKEY setperm KEY 0x3f3f0000
	same 'gone: chown' ENOKEY chown KEY 0
	same 'gone: chgrp' ENOKEY chgrp KEY 0
	same 'gone: timeout' ENOKEY timeout KEY 10
	same 'gone: revoke' ENOKEY revoke KEY
	same 'gone: invalidate' ENOKEY invalidate KEY
	same 'gone: clear' ENOKEY clear KEY
	same 'gone: add into' ENOKEY add TYPE new PAYLOAD KEY
	same 'gone: search' ENOKEY search @s TYPE nas
	same 'gone: instantiate' EPERM instantiate KEY x ONE
	same 'gone: the key can be made again' ok add TYPE nas PAYLOAD ONE
}

# elsewhere WHERE CMD...: try the rows of stdin, "USER DERIVED WORD...", in a process that CMD starts.
elsewhere() {
	local whose=$1 rows answers user ours words answer
	shift
	rows=$(cat)
	answers=$(cut -d' ' -f3- <<<"$rows" | "$@" bash "$DERIVED/tests/e2e/keyutils.sh" try \
		"${key[user]}" "${key[derived]}" 2>/dev/null)
	while read -r user ours words; do
		IFS= read -r answer <&5
		is "$whose: $words" "$answer" "$user $ours"
	done <<<"$rows" 5<<<"$answers"
}

# Without possession, the permissions of the key's user, of its group or of all others count.
others() {
	local type
	fresh
	elsewhere 'in another session' keyctl session - <<-END
		ok ok describe KEY
		EACCES EACCES print KEY
		EACCES EACCES link KEY @s
		EACCES EACCES update KEY PAYLOAD
		EACCES EACCES setperm KEY 0x3f3f3f3f
		EACCES EACCES timeout KEY 10
		EACCES EACCES revoke KEY
		EACCES EACCES invalidate KEY
		ENOENT ENOENT unlink KEY @s
		ENOKEY ENOKEY search @s TYPE nas
		ENOKEY ENOKEY request TYPE nas
	END
	elsewhere 'another user' as_user 1000 <<-END
		EACCES EACCES describe KEY
		EACCES EACCES print KEY
		EACCES EACCES link KEY @s
		EACCES EACCES move KEY @u @s
		EACCES EACCES update KEY PAYLOAD
		EACCES EACCES setperm KEY 0x3f3f3f3f
		EACCES EACCES chown KEY 1000
		EACCES EACCES chgrp KEY 1000
		EACCES EACCES timeout KEY 10
		EACCES EACCES revoke KEY
		EACCES EACCES invalidate KEY
		ENOENT ENOENT unlink KEY @s
		ENOKEY ENOKEY search @s TYPE nas
		ENOKEY ENOKEY request TYPE nas
	END
	setperm 0x3f3f003f
	# The types differ in reading and updating: a derived key can be read only by the program
	# and the user that derived it, and it cannot be updated at all (a type without ->update).
	# Any process with the permission setattr can give the key a group of its own.
	elsewhere 'another user, with all permissions' as_user 1000 <<-END
		ok ok describe KEY
		ok EACCES print KEY
		ok EOPNOTSUPP update KEY PAYLOAD
		EACCES EACCES setperm KEY 0x3f3f3f3f
		EACCES EACCES chown KEY 1000
		ok ok chgrp KEY 1000
		ok ok timeout KEY 1000
		ok ok link KEY @s
		ok ok search @s TYPE nas
		ok ok request TYPE nas @u
		ok ok unlink KEY @u
		ok ok invalidate KEY
	END
	# Root has no permissions on a user's keys.
	for type in user derived; do
		key[$type]=$(as_user 1000 keyctl add $type nas "${payload[$type]}" @u)
	done
	elsewhere "root, a user's key" env <<-END
		EACCES EACCES describe KEY
		EACCES EACCES print KEY
		EACCES EACCES link KEY @s
		EACCES EACCES update KEY PAYLOAD
		EACCES EACCES setperm KEY 0x3f3f3f3f
		EACCES EACCES chown KEY 0
		EACCES EACCES timeout KEY 10
		EACCES EACCES revoke KEY
		EACCES EACCES invalidate KEY
	END
	elsewhere 'the same user, later' as_user 1000 <<-END
		ok ok print KEY
		EACCES EACCES chown KEY 0
		EACCES EACCES chgrp KEY 0
		ok ok chown KEY 1000
		ok ok search @s TYPE nas
		ok ok unlink KEY @u
	END
}

# Commands that users of trusted keys are used to.
from_trusted() {
	local copy=/root/keyctl-copy read
	fresh
	cp /usr/bin/keyctl $copy
	# shellcheck disable=SC2016
	ok 'printf and padd' sh -c 'printf "32 path" | keyctl padd derived piped "$1"' sh "$one"
	# shellcheck disable=SC2016
	fails 'echo and padd: a newline' sh -c 'echo "32 path" | keyctl padd derived echoed "$1"' sh "$one"
	is 'echo and padd: the errno is EINVAL' "$out" 'add_key: Invalid argument'
	keyctl pipe "${key[derived]}" >/run/blob
	is 'pipe prints the key itself' "$(stat -c %s /run/blob)" 32
	# shellcheck disable=SC2016
	fails 'the output of pipe cannot be loaded' sh -c 'keyctl padd derived loaded "$1" </run/blob' sh "$one"
	is 'the output of pipe: the errno is EINVAL' "$out" 'add_key: Invalid argument'
	errno_is 'the output of pipe cannot be loaded in hexadecimal either' EINVAL derived loaded "load $(od -An -v -tx1 /run/blob | tr -d ' \n')" "$one"
	errno_is 'there is no request "new"' EINVAL derived loaded 'new 32' "$one"

	# Readers. Each of them can read a key of type user.
	read='import ctypes, sys
b = ctypes.create_string_buffer(64)
libc = ctypes.CDLL(None, use_errno=True)
n = libc.syscall(250, 11, int(sys.argv[1]), b, 64)
print(n if n >= 0 else "errno %d" % ctypes.get_errno())'
	is 'python reads a key of type user' "$(python3 -c "$read" "${key[user]}")" 8
	is 'python cannot read a derived key that keyctl made (EACCES)' "$(python3 -c "$read" "${key[derived]}")" 'errno 13'
	ok 'a copy of keyctl prints a key of type user' $copy print "${key[user]}"
	fails 'a copy of keyctl cannot print a derived key that keyctl made' $copy print "${key[derived]}"
	is 'a copy of keyctl: the errno is EACCES' "$out" 'keyctl_read_alloc: Permission denied'
	setperm 0x3f3f3f3f
	ok 'another user prints a key of type user' as_user 1000 keyctl print "${key[user]}"
	fails 'another user cannot print a derived key, with all permissions' as_user 1000 keyctl print "${key[derived]}"
	for type in user derived; do
		key[$type]=$(as_user 1000 keyctl add $type nas "${payload[$type]}" @u)
		must as_user 1000 keyctl setperm "${key[$type]}" 0x3f3f3f3f
	done
	ok "root prints a user's key of type user" keyctl print "${key[user]}"
	fails "root cannot print a user's derived key" keyctl print "${key[derived]}"
	must as_user 1000 keyctl clear @u

	# Encrypted keys. Their master keys are of type user or trusted. The master key is looked up
	# when an encrypted key is read.
	fresh
	ok 'a key of type user is the master of an encrypted key' \
		keyctl print "$(keyctl add encrypted master 'new user:nas 32' "$one")"
	errno_is 'a derived key cannot be the master of an encrypted key' EINVAL encrypted master2 'new derived:nas 32' "$one"
	must keyctl unlink "${key[user]}" "$one"
	fails 'a derived key is not taken for a master of type user' \
		keyctl print "$(keyctl add encrypted master3 'new user:nas 32' "$one")"
	is 'encrypted key without a master: the errno is ENOKEY' "$out" 'keyctl_read_alloc: Required key not available'
	rm -f $copy /run/blob
}

# The keyring that stays after a user's last session has ended.
persistent() {
	fresh
	must keyctl get_persistent @s
	same 'link into the persistent keyring' ok link KEY %:_persistent.0
	elsewhere 'in another session' keyctl session - <<-END
		ENOKEY ENOKEY search @s TYPE nas
		ok ok get_persistent @s
		ok ok search @s TYPE nas
		ok ok print KEY
		ok ok unlink KEY %:_persistent.0
		ENOKEY ENOKEY search @s TYPE nas
	END
	must keyctl unlink %:_persistent.0 @s
}

ok 'the module loads' load_module
one=$(keyctl newring one @s) two=$(keyctl newring two @s)
timed() { local began=${EPOCHREALTIME/./}; "$@"; note "$1: $(((${EPOCHREALTIME/./} - began) / 1000)) ms"; }
timed making
timed showing
timed no_keyring
timed permissions
timed owners
timed linking
timed moving
timed restricted
timed revoked
timed expired
timed dead_keyrings
timed gone
timed others
timed persistent
timed from_trusted
ok 'the module unloads' unload_module
tpm_slots_empty 'nothing is left in the TPM'
done_testing

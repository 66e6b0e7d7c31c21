#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# request-key.sh: the kernel itself answers request_key(2), and with "logon" it makes a twin.
#
# vm: boot tpm=golden

. "$DERIVED/tests/lib/lib.sh"

plan_later
ok 'the module loads' load_module

# A /sbin/request-key that leaves a mark each time it is started.
cat >/sbin/request-key <<'END'
#!/bin/sh
echo "$@" >>/run/upcalls
exit 1
END
chmod 755 /sbin/request-key
keyctl request2 user no-such-key callout @s >/dev/null 2>&1
like 'with type user, an upcall leaves a mark' "$(cat /run/upcalls)" '^create '
rm -f /run/upcalls

show() { sed -n "s/.* \($1 *$2: .*\)/\1/p" /proc/keys | tr -s ' '; }
bytes() { keyctl pipe "$1" 2>/dev/null | od -An -v -tx1 | tr -d ' \n'; }
request() { keyctl request2 derived "$@"; }
clear() { keyctl clear @s; keyctl link @u @s 2>/dev/null; }
errno_of_request() { # DESC ERRNO NAME REQUEST
	errno_is "$1" "$2" -r derived "$3" "$4" @s
}

# request_key(2) makes the same key as add_key(2).
id=$(keyctl add derived added '64 path nas-disk v1' @s)
want=$(bytes "$id")
id=$(request asked '64 path nas-disk v1' @s)
is 'request_key(2) gives the key that add_key(2) gives' "$(bytes "$id")" "$want"
is '/proc/keys shows the same for both' "$(show derived asked)" "derived asked: $(show derived added | cut -d' ' -f3-)"
is 'there is no twin without logon' "$(show logon derived:asked)" ''
clear

# Refused requests: the errno is that of add_key(2), and nothing is left.
errno_of_request 'a malformed request' EINVAL nas '64 bogus'
errno_of_request 'an empty request' EINVAL nas ''
errno_of_request 'a length out of range' ERANGE nas '8 path'
errno_of_request 'a mixin that is too long' E2BIG nas "64 path $(printf 'm%.0s' $(seq 257))"
errno_of_request 'a wrong kcv' EKEYREJECTED nas '64 path,kcv=0123456789abcdef v1'
errno_of_request 'a wrong kcv again: no negative key answers' EKEYREJECTED nas '64 path,kcv=0123456789abcdef v1'
errno_of_request 'another reason gives another errno' EINVAL nas '64 bogus'
unlike 'no key is left, not even a negative one' "$(cat /proc/keys)" ' nas'
like 'the right request is served then' "$(request nas '64 path v1' @s)" '^[0-9]+$'
clear
as_user 1000 unshare -Ur "$DERIVED/bin/addkey" -r derived nas '64 path v1' @s >/run/refused
is 'the identity is checked: a request from a user namespace is refused' "$(cat /run/refused)" EPERM
is 'no upcall was made for any of these requests' "$(cat /run/upcalls 2>&1)" \
	'cat: /run/upcalls: No such file or directory'

# The twin.
id=$(request nas '64 path,logon nas-disk v1' @s)
is 'with logon, the key is the same' "$(bytes "$id")" "$want"
like 'with logon, the key shows logon' "$(show derived nas)" '^derived nas: 64 path,logon kcv:[0-9a-f]{16}$'
twin_name=derived:nas
twin=$(keyctl search @s logon $twin_name)
like 'the twin is in the same keyring' "$(keyctl rlist @s)" "(^| )$twin( |\$)"
like 'the twin has the same length' "$(show logon derived:nas)" '^logon derived:nas: 64$'
fails 'the twin cannot be read' keyctl read "$twin"
fails 'the twin cannot be updated' keyctl update "$twin" other-bytes
fails 'the write permission of the twin cannot be set' keyctl setperm "$twin" 0x3f3f3f3f
errno_is 'add_key(2) does not update the twin either' EACCES logon derived:nas other-bytes @s
is 'the keyring still has the same twin' "$(keyctl search @s logon derived:nas)" "$twin"
# The bytes of root's quota that are used: for a key, its payload, its name and a NUL; for a link, 4.
used() { awk '$1 == "0:" { split($5, bytes, "/"); print bytes[1] }' /proc/key-users; }
without=$(($(used) - (64 + ${#twin_name} + 1 + 4)))
keyctl unlink "$twin" @s
is 'the twin has its own part of the quota' "$(until_is $without used)" $without

# The kernel answers these without asking the module (documented; the recipe is to unlink both keys
# first).
is 'an existing key is returned for any request' "$(request nas '32 path another purpose' @s)" "$id"
is 'an existing key is returned even for a wrong kcv=' "$(request nas '64 path,kcv=0123456789abcdef' @s)" "$id"
is 'an existing key is returned without making its missing twin' "$(request nas '64 path,logon nas-disk v1' @s; keyctl search @s logon derived:nas 2>&1)" \
	"$id"$'\n''keyctl_search: Required key not available'
keyctl unlink "$id" @s
keyctl add logon derived:nas planted @s >/dev/null
planted=$(keyctl search @s logon derived:nas)
id=$(request nas '64 path,logon nas-disk v1' @s)
isnt 'a planted twin is replaced' "$(keyctl search @s logon derived:nas)" "$planted"
like 'the real twin is in its place' "$(show logon derived:nas)" '^logon derived:nas: 64$'
keyctl revoke "$id"
like 'an existing revoked key gives EKEYREVOKED' "$(request nas '64 path,logon nas-disk v1' @s 2>&1)" 'revoked'
keyctl unlink "$id" @s; keyctl unlink %logon:derived:nas @s
like 'after both are unlinked, both are made' "$(request nas '64 path,logon nas-disk v1' @s; show logon derived:nas)" \
	'^logon derived:nas: 64$'
clear

# After a failure, there are either both keys or none.
sysctl -q kernel.keys.root_maxbytes=$(($(used) + 100))
errno_of_request 'without quota for both keys: EDQUOT' EDQUOT nas '64 path,logon nas-disk v1'
sysctl -q kernel.keys.root_maxbytes=25000000
unlike 'without quota for both keys, there is none' "$(cat /proc/keys)" ' nas|derived:nas'
# If a keyring cannot be searched, a key cannot be removed from it either.
blind=$(keyctl newring blind @s)
keyctl setperm "$blind" 0x05050000
sysctl -q kernel.keys.root_maxbytes=$(($(used) + 100))
errno_is 'a keyring that may be written and not searched: EDQUOT' EDQUOT \
	-r derived nas '64 path,logon nas-disk v1' "$blind"
sysctl -q kernel.keys.root_maxbytes=25000000
unlike 'a keyring that may be written and not searched: there is no usable key' "$(cat /proc/keys)" '^[0-9a-f]+ I-.* (derived +nas|logon +derived:nas):'
keyctl setperm "$blind" 0x3f3f0000
keyctl unlink "$blind" @s
errno_is 'add_key(2) refuses logon' EINVAL derived nas '64 path,logon nas-disk v1' @s
like 'the log gives the right command for logon' "$(klog)" 'keyctl request2 derived'

errno_of_request 'a twin with a name that is too long for system calls is not made' EINVAL "$(printf 'n%.0s' $(seq 4090))" '64 path,logon v1'
like 'a twin with the longest possible name is made' "$(request "$(printf 'n%.0s' $(seq 4087))" '64 path,logon v1' @s)" '^[0-9]+$'

# A keyring that the search does not reach: before the kernel asks the module, it links the key under
# construction there, and replaces a key of that name (documented).
# shellcheck disable=SC2016
is 'a refused request removes an older key of that name that was out of reach' "$(keyctl session - sh -c '
	keyctl request2 derived far "64 path v1" @u >/dev/null
	keyctl link @u @s; keyctl search @s derived far >/dev/null && echo there; keyctl unlink @u @s
	keyctl request2 derived far "64 path,kcv=0123456789abcdef v1" @u 2>/dev/null
	keyctl link @u @s; keyctl search @s derived far 2>&1' 2>/dev/null)" \
	$'there\nkeyctl_search: Required key not available'

# The default destination keyring, and the keyring of another user.
like 'without a keyring in the call, the default one is used' "$("$DERIVED/bin/addkey" -r derived nas '64 path,logon v1' 0)" '^[0-9]+$'
like 'a user gets a twin in the own user keyring' \
	"$(as_user 1000 sh -c 'keyctl request2 derived nas "64 path,logon v1" @u >/dev/null; keyctl list @u')" 'logon: derived:nas'

# Many requests at once for one name: one key is made, and all requests return it.
clear
for _ in $(seq 20); do
	request nas '64 path,logon crowd' @s &
done >/run/crowd 2>&1
wait
is 'twenty requests at once get one key' "$(sort -u /run/crowd | wc -l)" 1
is 'twenty requests at once make one twin' "$(grep -c 'logon *derived:nas: 64' /proc/keys)" 1

is 'no upcall was made for any of the later requests either' "$(cat /run/upcalls 2>&1)" \
	'cat: /run/upcalls: No such file or directory'
tpm_slots_empty 'nothing is left in the TPM'
ok 'the module unloads' unload_module
unlike 'no derived key is left' "$(cat /proc/keys)" ' derived  '
done_testing

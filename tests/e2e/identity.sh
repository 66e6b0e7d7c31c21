#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# identity.sh: which key belongs to which program, user, machine and boot, with the real keyctl.
#
# vm: boot tpm=golden
# vm: boot tpm=golden
# vm: boot tpm=other

. "$DERIVED/tests/lib/lib.sh"

plan_later
ok 'the module loads' load_module

# key_of KEYCTL REQUEST [KEYRING [DESCRIPTION]]: the key in hex
key_of() {
	local id
	id=$("$1" add derived "${4:-test}" "$2" "${3:-@s}") && "$1" pipe "$id" | od -An -v -tx1 | tr -d ' \n'
}
by_user() {
	# shellcheck disable=SC2016
	as_user "$1" sh -c 'id=$(keyctl add derived test "$1" @s) && keyctl pipe $id | od -An -v -tx1 | tr -d " \n"' sh "$2"
}

# Two more programs: a copy of keyctl, and a copy with other contents.
cp /usr/bin/keyctl /usr/local/bin/keyctl-copy
cp /usr/bin/keyctl /usr/local/bin/keyctl-other
echo >>/usr/local/bin/keyctl-other

path=$(key_of keyctl '32 path')
csum=$(key_of keyctl '32 csum')
both=$(key_of keyctl '32 path,csum')
user=$(by_user 1000 '32 path')
all="$path $csum $both $user $(key_of keyctl '32 path v1') $(key_of keyctl '32 path v2')
$(key_of keyctl '33 path') $(key_of keyctl-copy '32 path') $(key_of keyctl-copy '32 path,csum')
$(key_of keyctl-other '32 csum') $(key_of keyctl-other '32 path') $(by_user 1001 '32 path') $(by_user 1000 '32 csum')
$(by_user 1000 '32 path v1')"

case $BOOT in
1)
	is '14 combinations of program, user, length and purpose have 14 different keys' \
		"$(tr ' ' '\n' <<<"$all" | sort -u | grep -c '^[0-9a-f]\{64,66\}$')" 14
	isnt 'a longer key does not begin with the shorter one' "$(key_of keyctl '33 path' | cut -c1-64)" "$path"
	is 'the same request gives the same key again' "$(key_of keyctl '32 path')" "$path"
	is 'a key does not depend on its description' "$(key_of keyctl '32 path' @s another)" "$path"
	is 'a key does not depend on its keyring' "$(key_of keyctl '32 path' @u)" "$path"
	is 'csum: a copy at another path gets the same key' "$(key_of keyctl-copy '32 csum')" "$csum"
	is 'csum,path and path,csum are the same key' "$(key_of keyctl '32 csum,path')" "$both"
	is 'a user gets the same key again' "$(by_user 1000 '32 path')" "$user"
	ln -s /usr/bin/keyctl /usr/local/bin/keyctl-link
	is 'through a symbolic link, the path is that of the program itself' \
		"$(key_of keyctl-link '32 path')" "$path"
	ln /usr/bin/keyctl /usr/local/bin/keyctl-hard
	isnt 'through a hard link, the path is another one' "$(key_of keyctl-hard '32 path')" "$path"
	cp /usr/bin/keyctl /root/keyctl && mount --bind /root/keyctl /usr/local/bin/keyctl-copy
	isnt 'csum: another program gets another key' "$(key_of keyctl-other '32 csum')" "$csum"
	umount /usr/local/bin/keyctl-copy
	cp "$DERIVED/bin/addkey" /root/large && truncate -s 257M /root/large
	is 'csum: an executable larger than csum_max gets EFBIG' \
		"$(/root/large derived large '32 csum' @s)" EFBIG
	like 'path: the size of the executable does not matter' "$(/root/large derived large '32 path' @s)" '^[0-9]+$'
	unload_module && load_module csum_max=1000
	is 'the module obeys csum_max=' "$("$DERIVED/bin/addkey" derived large '32 csum' @s)" EFBIG
	unload_module && load_module
	is 'after the module is loaded again, the key is the same' "$(key_of keyctl '32 path')" "$path"

	mkdir -p /var/keys
	echo "$all" >/var/keys/all
	;;
2)
	is 'after a reboot with the same TPM, every key is the same' "$all" "$(cat /var/keys/all)"
	;;
3)
	# The first boot has stored the keys, so the comparison has something to compare.
	is 'the keys of the first boot are there' "$(tr ' ' '\n' </var/keys/all | grep -c '^[0-9a-f]')" 14
	is "with another machine's TPM, no key is the same" \
		"$(tr ' ' '\n' <<<"$all" | grep -cFxf <(tr ' ' '\n' </var/keys/all))" 0
	is "with another machine's TPM there are 14 different keys, too" \
		"$(tr ' ' '\n' <<<"$all" | sort -u | grep -c '^[0-9a-f]\{64,66\}$')" 14
	;;
esac

tpm_slots_empty 'nothing is left in the TPM'
done_testing

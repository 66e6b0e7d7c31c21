#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# demo.sh: derived keys, as a story of six boots for people to read ("make demo"): first what a key
# depends on; then a NAS whose disk is opened by a key; a thief with a root shell; the disk is stolen; and the TPM
# is cleared.
#
# vm: boot tpm=machine-a
# vm: boot tpm=machine-a
# vm: boot tpm=machine-a
# vm: boot tpm=machine-b
# vm: boot tpm=machine-a
# vm: boot tpm=machine-a

. "$DERIVED/tests/lib/lib.sh"

notes=/var/demo		# on the disk, which all boots have: the table, and values to compare
mkdir -p $notes

title() { printf '\n=== %s\n' "$*"; }
step() { printf '\n  %s\n' "$*"; }
say() { printf '      %s\n' "$@"; }

# Show a command, run it, and show its output.
type_in() {
	printf '      # %s\n' "$*"
	eval "$*" 2>&1 | sed 's/^/      /'
}

# held CLAIM GOT WANT, differs CLAIM GOT OTHER: a point, and a row of the table at the end.
row() { printf '%s\t%s\n' "$1" "$2" >>$notes/table; }
held() {
	if is "$@"; then row yes "$1"; else row NO "$1"; fi
}
differs() {
	if isnt "$@"; then row yes "$1"; else row NO "$1"; fi
}
matches() {
	if like "$@"; then row yes "$1"; else row NO "$1"; fi
}

# ask PROGRAM REQUEST: show the command that makes a key, and the key; sets $key to its bytes. The key
# must leave the kernel for that: a key for real use would have "noread".
ask() {
	local id
	printf "      # %s add derived nas '%s' @s\n" "$1" "$2"
	if ! id=$("$1" add derived nas "$2" @s 2>&1); then
		key=refused
		say "$id"
		return
	fi
	key=$("$1" pipe "$id" | od -An -v -tx1 | tr -d ' \n')
	kcv=$(sed -n 's/.* nas: .*kcv://p' /proc/keys)
	say "$id" "        the key: ${key:0:16}... (${#key} digits), its check value: $kcv"
}
ask_as() {
	printf "      %% keyctl add derived nas '%s' @s        (as %s)\n" "$2" "$(id -un "$1")"
	# shellcheck disable=SC2016
	key=$(as_user "$1" sh -c 'keyctl pipe $(keyctl add derived nas "$1" @s) | od -An -v -tx1 | tr -d " \n"' sh "$2")
	say "        the key: ${key:0:16}..."
}
root_check() { sed -n 's/^root check: //p' /sys/module/derived_keys/parameters/status; }
load() {
	type_in "insmod derived-keys.ko; dmesg --notime | grep 'derived: root' | cut -d, -f1"
}

# The NAS: a disk without a header, opened by a key that no program can read. derived-disk makes the key, and on a
# stock kernel dm-crypt takes it from the logon twin.
plug_in() {	# the disk is a file on the machine's own disk, which all boots have
	modprobe -a loop dm-crypt
	export DM_DISABLE_UDEV=1	# there is no udev here to make /dev/mapper/nas
	[ -e /var/disk.img ] || { head -c 32M /dev/urandom >/var/disk.img; }
	losetup /dev/loop0 /var/disk.img
	install -m 755 tools/derived-disk /usr/sbin/
}
# noise: open the disk without a comparison.
noise() {
	type_in "sed 's/kcv=.*//' /etc/derivedtab >/etc/derivedtab.open"
	type_in 'DERIVEDTAB=/etc/derivedtab.open derived-disk open nas 2>/dev/null'
	type_in 'mount /dev/mapper/nas /mnt; blkid /dev/mapper/nas'
}
close_disk() {
	type_in 'umount /mnt; derived-disk close nas'
}
# Print the diary on the disk, but only if the disk is mounted.
diary() { mountpoint -q /mnt && cat /mnt/diary; }
show_contents() {
	type_in 'mount /dev/mapper/nas /mnt && cat /mnt/diary'
}

remember() { echo "$key" >"$notes/$1"; }
recall() { cat "$notes/$1"; }

cd "$DERIVED" || exit
plan_later
nas='64 path nas-disk v1'

case $BOOT in
1)
	title 'Machine A is switched on for the first time'
	load
	root_check >$notes/root

	step 'A key for the disk, bound to the path of the program that makes the request:'
	ask keyctl "$nas"
	remember nas
	echo "$kcv" >$notes/kcv
	step 'The same program makes the same request again:'
	ask keyctl "$nas"
	held 'the same program gets the same key' "$key" "$(recall nas)"

	step 'A copy of the same program, at another path:'
	type_in 'cp /usr/bin/keyctl /opt/keyctl'
	ask /opt/keyctl "$nas"
	differs 'a program at another path gets another key' "$key" "$(recall nas)"

	step "If the key is bound to the program's contents instead, both programs are the same:"
	ask keyctl '64 csum nas-disk v1'
	remember csum
	ask /opt/keyctl '64 csum nas-disk v1'
	held 'csum: the same contents at two paths get the same key' "$key" "$(recall csum)"

	step 'Another purpose and another version give other keys:'
	ask keyctl '64 path ssh-host-key v1'
	differs 'another purpose is another key' "$key" "$(recall nas)"
	ask keyctl '64 path nas-disk v2'
	differs 'another version is another key' "$key" "$(recall nas)"

	step 'Another user makes the same request:'
	ask_as 1000 "$nas"
	differs 'another user gets another key' "$key" "$(recall nas)"

	step 'With noread, the kernel can use the key and no program can read it:'
	type_in "keyctl add derived secret '64 path,noread nas-disk v1' @s"
	type_in 'keyctl pipe %derived:secret; grep secret: /proc/keys'
	held 'a noread key cannot be read' "$(keyctl pipe %derived:secret 2>&1)" \
		'keyctl_read_alloc: Operation not supported'

	step 'A mistake in the request is an error, and does not give another key:'
	type_in "printf '64 path nas-disk v1\n' | keyctl padd derived nas @s"
	held 'a stray newline is refused' \
		"$(printf '64 path nas-disk v1\n' | keyctl padd derived nas @s 2>&1)" 'add_key: Invalid argument'
	title 'The NAS: a new disk is plugged in'
	plug_in
	step 'One command makes the key, opens the disk, makes a file system, and notes how to know both again:'
	type_in 'derived-disk create nas /dev/loop0 --mkfs ext4 --yes 2>/dev/null | sed -n "/is open/,/kcv=/p"'
	type_in 'mount /dev/mapper/nas /mnt; echo "Dear diary" >/mnt/diary'
	held 'a new disk is opened by a key that no program has seen' "$(diary)" 'Dear diary'
	close_disk
	step 'Without the key, the disk shows nothing:'
	type_in 'blkid /dev/loop0; file -s /dev/loop0'
	held 'the disk has no header and no signature' "$(blkid /dev/loop0)" ''
	title 'Machine A is switched off. Nothing was stored.'
	;;
2)
	title 'Machine A is switched on again'
	load
	held 'after a reboot, the root check value is the same' "$(root_check)" "$(cat $notes/root)"
	ask keyctl "$nas"
	held 'after a reboot, the key is the same' "$key" "$(recall nas)"
	ask keyctl '64 csum nas-disk v1'
	held 'after a reboot, the csum key is the same' "$key" "$(recall csum)"
	title 'The NAS: the disk is plugged in'
	plug_in
	step 'The key and the file system are the ones of the table, so the disk is opened:'
	type_in 'derived-disk open nas'
	show_contents
	type_in 'derived-disk status nas'
	matches 'the tool says that all is as expected' "$(derived-disk status nas)" 'UUID as expected'
	held 'after a reboot, the disk opens and the files are there' "$(diary)" 'Dear diary'
	close_disk
	title 'Machine A is switched off'
	;;
3)
	title 'Machine A again, with capped keys. A thief has a root shell, and tpm2-tools'
	type_in "insmod derived-keys.ko cap=13; dmesg --notime | grep 'derived: capped root' | cut -d, -f1-2"
	step 'A capped key names its check value. The first time, the log has it:'
	ask keyctl '64 path,capped nas-disk v1'
	type_in "dmesg --notime | sed -n 's/.* This key has \\(kcv=[0-9a-f]*\\).*/\\1/p'"
	capped=$(dmesg --notime | sed -n 's/.* This key has \(kcv=[0-9a-f]*\).*/\1/p')
	ask keyctl "64 path,capped,$capped nas-disk v1"
	differs 'a capped key is another key' "$key" "$(recall nas)"
	remember capped

	step 'The thief has no need of the program: the TPM computes the plain key for any tool.'
	type_in "tools/derived-keys-recover key --uid 0 --program /usr/bin/keyctl --hex '$nas' 2>/dev/null | cut -c-16"
	held 'a root shell gets the plain key from the TPM' \
		"$(tools/derived-keys-recover key --uid 0 --program /usr/bin/keyctl --hex "$nas" 2>/dev/null)" "$(recall nas)"
	step "The capped root's key in the TPM can be made, too:"
	cd /root || exit
	python3 - "$(sed -n 's/^capped policy: //p' /sys/module/derived_keys/parameters/status)" <<'END'
import hashlib, sys
policy = bytes.fromhex(sys.argv[1])
open("policy", "wb").write(policy)
open("unique", "wb").write(b"\x20\0" + hashlib.sha256(b"derived-keys v1 capped").digest())
open("input", "wb").write(b"\0\0\0\1derived-keys v1 capped root\0" + policy + b"\0\0\1\0")
END
	export TPM2TOOLS_TCTI=device:/dev/tpmrm0
	attributes='fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|noda|sign'
	type_in "tpm2_createprimary -Q -C o -g sha256 -G hmac:sha256 -a '$attributes' -L policy -u unique -c key && echo made"
	step 'But since the module was loaded, the TPM does not use it any more, for nobody:'
	type_in "tpm2_startauthsession --policy-session -S session; tpm2_policypcr -Q -S session -l sha256:13
	tpm2_hmac -c key -p session:session --hex input 2>&1 | grep -o 'tpm:session.*'; tpm2_flushcontext session"
	type_in "tpm2_hmac -c key --hex input 2>&1 | grep -o 'tpm:error.*'"
	tpm2_startauthsession --policy-session -S session
	tpm2_policypcr -Q -S session -l sha256:13
	matches 'a root shell does not get the capped root from the TPM' \
		"$(tpm2_hmac -c key -p session:session --hex input 2>&1)" 'a policy check failed'
	tpm2_flushcontext session
	cd "$DERIVED" || exit
	step 'PCR 13 stays closed until the next boot, and the program still gets its key:'
	type_in "tools/derived-keys-recover key --cap 13 --uid 0 --program /usr/bin/keyctl '64 path,capped nas-disk v1'"
	ask keyctl "64 path,capped,$capped nas-disk v1"
	held 'the program still gets its capped key' "$key" "$(recall capped)"
	title 'Machine A is switched off'
	;;
4)
	title 'A thief puts the disk into machine B, which has a TPM of its own'
	load
	differs 'another machine has another root check value' "$(root_check)" "$(cat $notes/root)"
	ask keyctl "$nas"
	differs 'another machine gets another key' "$key" "$(recall nas)"
	step "With the right key's check value in the request, a wrong key is refused:"
	ask keyctl "64 path,kcv=$(cat $notes/kcv) nas-disk v1"
	held 'kcv= refuses the wrong key' "$key" refused
	step "The disk, with the owner's table: nothing is opened:"
	plug_in
	type_in 'derived-disk open nas'
	held 'kcv= keeps a disk from being opened with a wrong key' "$(dmsetup ls)" 'No devices found'
	step 'The thief leaves the check value and the UUID out: the disk is opened, but shows only noise:'
	noise
	held 'a stolen disk is noise on another machine' "$(test -b /dev/mapper/nas && echo open; blkid /dev/mapper/nas; diary)" open
	derived-disk close nas >/dev/null
	title 'Machine B is switched off'
	;;
5)
	title 'Machine A will be thrown away: its TPM is cleared'
	load
	ask keyctl "64 path,kcv=$(cat $notes/kcv) nas-disk v1"
	held 'kcv= accepts the right key' "$key" "$(recall nas)"
	type_in 'tpm2_clear -T device:/dev/tpmrm0 && echo cleared'
	step 'The module still holds the root secret in memory:'
	ask keyctl "$nas"
	held 'after tpm2_clear, the cached root still gives the key' "$key" "$(recall nas)"
	step 'It holds it until "forget" is written:'
	type_in 'echo 1 >/sys/module/derived_keys/parameters/forget'
	ask keyctl "$nas"
	differs 'after tpm2_clear and forget, the key is gone' "$key" "$(recall nas)"
	remember nas-after-clear
	title 'Machine A is switched off'
	;;
6)
	title 'Machine A is switched on for the last time'
	load
	differs 'after tpm2_clear and a reboot, the root secret is another one' "$(root_check)" "$(cat $notes/root)"
	ask keyctl "$nas"
	differs 'after tpm2_clear and a reboot, the key is gone' "$key" "$(recall nas)"
	held 'the new key after tpm2_clear stays the same' "$key" "$(recall nas-after-clear)"
	ask keyctl '64 csum nas-disk v1'
	differs 'after tpm2_clear and a reboot, the csum key is gone, too' "$key" "$(recall csum)"
	step 'The disk is noise for ever, even for its owner:'
	plug_in
	noise
	held 'after the TPM was cleared, the disk is noise' "$(test -b /dev/mapper/nas && echo open; blkid /dev/mapper/nas; diary)" open
	derived-disk close nas >/dev/null
	title 'The results'
	awk -F'\t' '{ printf "  %-4s %s\n", $1, $2 }' $notes/table
	;;
esac
tpm_slots_empty "nothing is left in the TPM (boot $BOOT)"
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# no-bytes.sh: keyctl, dmsetup, cryptsetup and afalg use a key, but never have its bytes.
#
# Each program is run under strace, which records every byte that goes in and out by a system call, and
# each dumps core at its end. The key is searched for in both.
#
# vm: boot tpm=golden
# vm: long[6.12] disk.sh and af-alg.sh have the same consumers there

. "$DERIVED/tests/lib/lib.sh"

export DM_DISABLE_UDEV=1	# there is no udev here
work=/run/watched
mkdir -p $work/cores
echo "$work/cores/%p" >/proc/sys/kernel/core_pattern
echo 0x7f >/proc/self/coredump_filter	# private, shared, of files: all of it
ulimit -c unlimited

# watch NAME CMD...: run a command, with the caller's stdin and stdout. Its system calls are recorded in
# NAME.trace, and its memory at exit_group(2) in NAME.core. strace makes exit_group() fail, because
# the signal would come too late after it. The exit status is in the trace.
watch() {
	local name=$work/$1
	shift
	rm -f $work/cores/*
	strace -f -v -xx -s 1000000 -o "$name.trace" \
		-e inject=exit_group:error=ENOSYS:signal=SIGABRT "$@" 2>"$name.stderr"
	mv $work/cores/* "$name.core"
}
# watched NAME TEXT [TEXT]: the command succeeded. The first text is found in the bytes that it
# wrote and read, and the second text (or the first) in its memory: so the key would have been found
# there, too.
watched() {
	like "$1: succeeds" "$(grep -a exit_group "$work/$1.trace")" 'exit_group\(0\) .*INJECTED'
	ok "$1: the bytes that it wrote and read were seen" \
		grep -qaF "$(printf '%s' "$2" | od -An -v -tx1 | tr -d '\n' | sed 's/ /\\x/g')" "$work/$1.trace"
	ok "$1: its memory was seen" grep -qaF "${3:-$2}" "$work/$1.core"
}
search() { "$DERIVED/tests/e2e/find-key" @$work/key "$@" 2>&1; echo "exit status $?"; }
free_of_it() { is "$1: the key is not in its input, output and memory" \
	"$(search "$work/$1.trace" "$work/$1.core")" 'exit status 1'; }

plan_later
ok 'the module loads' load_module
modprobe -a dm-crypt loop algif_skcipher
truncate -s 1M $work/disk.img
disk=$(losetup --find --show $work/disk.img) || bail_out "no loop device"
echo 'plain text' | dd conv=sync bs=512 status=none >$work/plain
table() { echo "0 2048 crypt aes-xts-plain64 $1 0 $disk 0"; }
cryptsetup_new=(/opt/forky/lib64/ld-linux-x86-64.so.2 --library-path /opt/forky/usr/lib/x86_64-linux-gnu
	/opt/forky/usr/sbin/cryptsetup open --batch-mode --type plain --cipher aes-xts-plain64 --key-size 512)
# Compute the key in user space, from the root secret of this TPM, which tpm2-tools has computed.
oracle() {
	awk '$1 == "root" && $2 == "golden" { print $4 }' "$DERIVED/tests/vectors/golden.tsv" |
		"$DERIVED/tools/derived-keys-recover" key --root-hex-file - --uid 0 --program /usr/bin/keyctl \
			--hex "$1" 2>/dev/null
}

# First, the search finds a key that may be read.
oracle '64 path watched v1' >$work/key
like 'the oracle has a key that may be read' "$(cat $work/key)" '^[0-9a-f]{128}$'
id=$(keyctl add derived readable '64 path watched v1' @u)
watch pipe keyctl pipe "$id" >$work/piped
like 'control: the output of keyctl pipe is found' "$(search $work/pipe.trace)" '8 of 8 pieces, raw, as strace writes it'
like 'control: a key in the memory of keyctl pipe is found' "$(search $work/pipe.core)" '8 of 8 pieces, raw'
like 'control: raw bytes are found in a file' "$(search $work/piped)" '8 of 8 pieces, raw'
watch hex dmsetup create nas --table "$(table "$(cat $work/key)")"
like 'control: a key that dmsetup gets in hexadecimal is found in its memory' "$(search $work/hex.core)" \
	'8 of 8 pieces, hexadecimal'
tr '[:lower:]' '[:upper:]' <$work/key >$work/upper
like 'control: a key that dmsetup gives to the kernel is found' "$(search $work/hex.trace)" \
	'8 of 8 pieces, hexadecimal, as strace writes it'
like 'control: a key in capital letters is found, too' "$(search $work/upper)" '8 of 8 pieces, hexadecimal'
dmsetup remove --retry nas
watch stdin "${cryptsetup_new[@]}" --key-file=- --hash plain "$disk" nas <$work/piped
like 'control: a key that cryptsetup reads is found' "$(search $work/stdin.trace)" \
	'8 of 8 pieces, raw, as strace writes it'
dmsetup remove --retry nas

# Then, it does not find a noread key.
oracle '64 path,noread watched v1' >$work/key
like 'the oracle has the key that cannot be read' "$(cat $work/key)" '^[0-9a-f]{128}$'
for kernel in stock patched; do
	if [ $kernel = patched ]; then
		rmmod dm_crypt algif_skcipher af_alg
		ok 'the patched modules load' sh -c \
			"insmod $DERIVED/patched/dm-crypt.ko && insmod $DERIVED/patched/af_alg.ko && modprobe algif_skcipher"
		watch add-$kernel keyctl add derived nas '64 path,noread watched v1' @u >$work/serial
		# keyctl wipes the request from its arguments.
		watched add-$kernel 'noread watched v1' /usr/bin/keyctl
		free_of_it add-$kernel
		in_table=:64:derived:nas key=$(cat $work/serial)
	else
		watch request-$kernel keyctl request2 derived nas '64 path,logon,noread watched v1' @u >$work/serial
		watched request-$kernel 'noread watched v1'
		free_of_it request-$kernel
		in_table=:64:logon:derived:nas key=$(keyctl search @u logon derived:nas)
	fi
	watch dmsetup-$kernel dmsetup create nas --table "$(table $in_table)"
	watched dmsetup-$kernel $in_table
	free_of_it dmsetup-$kernel
	is "dmsetup-$kernel: the disk is open" "$(dmsetup ls --target crypt | cut -f1)" nas
	watch showkeys-$kernel dmsetup table --showkeys nas >$work/table
	watched showkeys-$kernel $in_table
	free_of_it showkeys-$kernel
	dmsetup remove --retry nas

	if [ $kernel = stock ]; then
		watch cryptsetup-$kernel "${cryptsetup_new[@]}" --volume-key-keyring=%logon:derived:nas "$disk" nas
		# cryptsetup wipes the table.
		watched cryptsetup-$kernel $in_table logon:derived:nas
		free_of_it cryptsetup-$kernel
		is "cryptsetup-$kernel: the disk is open" "$(dmsetup ls --target crypt | cut -f1)" nas
		dmsetup remove --retry nas
	fi

	watch afalg-$kernel "$DERIVED/bin/afalg" encrypt skcipher 'xts(aes)' "$key" 00000000000000000000000000000000 \
		<$work/plain >$work/cipher
	watched afalg-$kernel 'plain text'
	free_of_it afalg-$kernel
	is "afalg-$kernel: the text is encrypted" "$(stat -c %s $work/cipher)" 512
	keyctl clear @u
done
losetup --detach "$disk"
done_testing

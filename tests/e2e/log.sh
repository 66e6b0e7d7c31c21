#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# log.sh: the kernel log gives the reason of a refused request, once a minute, on one line, and it never
# contains a secret.
#
# vm: boot tpm=golden timeout=300
# vm: boot tpm=golden args="ima_hash=sha512"
# vm: long[7.3] minutes pass, because the lines are rate-limited

. "$DERIVED/tests/lib/lib.sh"

plan_later
bin=$DERIVED/bin
wrong=0123456789abcdef
many=51

# The raw log: dmesg(1) escapes characters itself, and would hide a module that does not.
mark() { klog_mark; echo 'log.sh: here' >/dev/kmsg; }
raw_since_mark() { busybox dmesg | sed -E 's/^\[ *[0-9.]+\] //' | sed "1,/^$klog_last\$/d"; }
# Print the new lines since mark, but not the lines that a debug kernel prints about the stack of a
# process that ends (CONFIG_DEBUG_STACK_USAGE). The line of mark itself shows that the log can be read.
news() {
	local text
	text=$(raw_since_mark)
	[[ $'\n'$text$'\n' = *$'\nlog.sh: here\n'* ]] || echo 'the log cannot be read'
	grep -vE -e '^log.sh: here$' -e '^[^:]* used greatest stack depth: [0-9]+ bytes left$' <<<"$text"
}

# says DESC UID PATH REASON: this line is the only new one. REASON is a regular expression.
says() {
	local desc=$1 new
	new=$(news)
	[[ $new = "derived: uid $2, \"$3\": refused: "* ]] && [[ ${new#*: refused: } =~ ^$4$ ]]
	tap_point $? "$desc" "got:  '$new'
want: 'derived: uid $2, \"$3\": refused: $4'"
}

# says_among DESC PATH REASON: this line is among the new ones; the kernel itself may have logged
# others.
says_among() {
	like "$1" "$(news)" "^derived: uid 0, \"$2\": refused: $3\$"
}

# refused DESC OUTPUT PATH ERRNO UID REASON: check the output of a program that made many requests, and
# their one line in the log.
refused() {
	is "$1: $4, each time" "$2" "$3
$4 $many"
	says "$1: one line in the log" "$5" "$3" "$6"
}

identities() {
	local named='/root/gone (deleted)'

	mark
	out=$(as_user 1000 unshare -U "$bin/disguise" plain '32 path' $many)
	minute=$((EPOCHSECONDS + 61))
	refused 'in a user namespace' "$out" "$bin/disguise" EPERM 1000 'in a user namespace \(G1\)'
	mark
	out=$(as_user 1001 unshare -U "$bin/addkey" derived x '32 path' @s)
	is 'the same for another user and program: no line within the minute' "$out$(news)" EPERM
	is 'outside of the user namespace, the user is served' "$(as_user 1000 "$bin/disguise" plain)" "$bin/disguise
ok 1"

	mark
	out=$("$bin/disguise" exe=/usr/bin/sleep '32 path' $many)
	refused 'an executable that prctl() put there' "$out" "$(realpath /usr/bin/sleep)" EPERM 0 \
		'its executable was not put there by execve\(\) in the initial user namespace \(G2\)'
	is 'an executable that prctl() put there: csum is refused, too' "$("$bin/disguise" exe=/usr/bin/sleep '32 csum' | tail -n 1)" 'EPERM 1'
	is 'without prctl() the same program is served' "$("$bin/disguise" remapped)" "$bin/disguise
ok 1"
	is 'prctl() with its own executable is refused' "$("$bin/disguise" "exe=$bin/disguise" | tail -n 1)" 'EPERM 1'

	mark
	cp "$bin/disguise" /root/gone
	out=$(/root/gone deleted '32 path' $many)
	refused 'an executable that was deleted' "$out" '/root/gone (deleted)' EPERM 0 \
		'its executable was deleted or replaced since it was started \(G4\)'
	mark
	cp "$bin/disguise" /root/upgraded
	is 'an executable that was replaced: EPERM' "$(/root/upgraded replaced | tail -n 1)" 'EPERM 1'
	is 'an executable in a memfd: EPERM' "$("$bin/disguise" memfd)" '/memfd:disguise (deleted)
EPERM 1'
	is 'csum from a memfd: EPERM' "$("$bin/disguise" memfd '32 csum' | tail -n 1)" 'EPERM 1'
	is 'these have the same cause: no second line' "$(news)" ''
	cp "$bin/disguise" "$named"
	is 'a file that only has a name like a deleted file is served' "$("$named" plain)" \
		'/root/gone (deleted)
ok 1'
	cat >/root/too-long.py <<-'END'
		import os, shutil, sys
		for _ in range(20):
		    os.mkdir("d" * 250)
		    os.chdir("d" * 250)
		shutil.copy(sys.argv[1], "addkey")
		os.execv("./addkey", ["addkey", "derived", "x", "32 path", "@s"])
	END
	is 'a path longer than PATH_MAX: EPERM' "$(python3 /root/too-long.py "$bin/addkey")" EPERM

	mark
	cat >/etc/request-key.d/derived.conf <<-'END'
		create user derived-test * /root/helper %k %S
	END
	cat >/root/helper <<-END
		#!/bin/sh
		$bin/disguise plain '32 path' $many >/run/helper 2>&1
		keyctl add user made-by-helper x @s >/run/helper-user 2>&1
		keyctl instantiate \$1 "served" \$2
	END
	chmod 755 /root/helper
	is 'request_key of type user is served by a helper' "$(keyctl print "$(keyctl request2 user derived-test x @s)")" served
	refused 'a request-key helper' "$(cat /run/helper)" "$bin/disguise" EPERM 0 "acts for another process's request_key\(\) \(G0\)"
	like 'the helper may add other keys' "$(cat /run/helper-user)" '^[0-9]+$'
	/root/helper 0 0 2>/dev/null
	is 'the same helper is served when it acts for itself' "$(tail -n 1 /run/helper)" "ok $many"

	mark
	is 'a wrong kcv=: EKEYREJECTED, each time' "$("$bin/disguise" plain "32 path,kcv=$wrong" $many | tail -n 1)" "EKEYREJECTED $many"
	says 'a wrong kcv=: one line in the log' 0 "$bin/disguise" "the key's check value is [0-9a-f]{16}, and kcv=$wrong was asked for"

	mark
	out=$(as_user 1001 "$bin/addkey" derived x "16 path,kcv=$wrong" @s)
	is 'the same for another user and request: no line within the minute' "$out$(news)" EKEYREJECTED

	mark
	errno_is 'logon: EINVAL' EINVAL derived x '32 path,logon' @s
	says 'logon: one line in the log, with the right command' 0 "$bin/addkey" \
		'the option logon is for request_key\(2\): keyctl request2 .*'
}

# A program whose last block cannot be read from the disk. It can run without that block.
unreadable() {
	local image=/root/bad.img at=/mnt/bad sectors last loop

	modprobe -a loop dm-mod
	truncate -s 32M $image
	mkfs.ext4 -q -b 4096 $image
	mkdir -p $at
	mount -o loop $image $at
	cp "$bin/disguise" $at/bad
	head -c 1M /dev/urandom >>$at/bad
	sync
	# The physical end of the last extent, in sectors.
	last=$(filefrag -b512 -v $at/bad | sed -n 's/^ *[0-9]*: *[0-9]*\.\. *[0-9]*: *[0-9]*\.\. *\([0-9]*\):.*/\1/p' | tail -n 1)
	umount $at
	[ "${last:-0}" -gt 0 ] || fail 'the place of the file on the disk is known' "$last"
	last=$((last / 8 * 8)) sectors=$((32 * 2048)) loop=$(losetup --find --show $image)
	ok 'a disk has a block that cannot be read' env DM_DISABLE_UDEV=1 dmsetup create bad --table "0 $last linear $loop 0
$last 8 error
$((last + 8)) $((sectors - last - 8)) linear $loop $((last + 8))"
	ok 'that disk is mounted' mount /dev/mapper/bad $at
	fails 'the end of the file cannot be read' cat $at/bad
	like 'the error comes from the disk' "$(tail -n 1 <<<"$out" | tr -d '\0')" 'Input/output error'
	mark
	is 'csum of a program that cannot be read completely' "$($at/bad plain '32 csum' $many)" "$at/bad
EOPNOTSUPP $many"
	says_among 'csum of a program that cannot be read completely: a line in the log' "$at/bad" \
		'csum: its executable cannot be read \(errno 5\)'
	is 'path of a program that cannot be read completely is served' "$($at/bad plain '32 path' | tail -n 1)" 'ok 1'
	umount $at
	DM_DISABLE_UDEV=1 dmsetup remove bad
	losetup --detach "$loop"
}

# The package of a program is installed again while a key of the program exists.
replaced() {
	local id
	cp /usr/bin/keyctl /root/reads
	id=$(/root/reads add derived replaced '32 path' @s)
	like 'a program reads its key' "$(/root/reads read "$id" 2>&1)" '^32 bytes of data in key:$'
	cp /usr/bin/keyctl /root/reads.new
	mv /root/reads.new /root/reads
	mark
	like 'installed again, the program cannot read its key' "$(/root/reads read "$id" 2>&1)" 'Permission denied'
	says 'the log says that its file was replaced' 0 /root/reads \
		'reads a key that was derived before its executable was replaced'
	id=$(/root/reads add derived replaced '32 path' @s)
	like 'the program can read a key that it adds now' "$(/root/reads read "$id" 2>&1)" '^32 bytes of data in key:$'
	keyctl unlink "$id" @s
}

# Process 1 leaves the fs_struct that the kernel started it with, and enters another root directory.
process_1() {
	local root=/run/root CLONE_FS=0x200 chdir=80 chroot=161 unshare=272

	mkdir $root $root.upper $root.work
	modprobe overlay
	ok 'there is another root directory' mount -t overlay \
		-o "lowerdir=/,upperdir=$root.upper,workdir=$root.work" overlay $root
	cp "$bin/x" /root/moved
	load_module
	is 'in a chroot a program is refused' "$(chroot $root /root/moved '32 path')" 'x EPERM'
	is 'process 1 moves to another root directory' "$("$bin/process-1" $unshare:$CLONE_FS $chroot:$root 2>&1)" $'0\n0'
	reload
	is 'programs in the new root directory are refused' "$(chroot $root /root/moved '32 path')" 'x EPERM'
	says 'the log says that process 1 has moved' 0 /root/moved \
		'process 1 has another root directory than the kernel gave it, so its programs look like those of a container \(G6\)'
	is 'process 1 moves back' "$("$bin/process-1" $chdir:.. $chroot:. $chdir:/root 2>&1)" $'0\n0\n0'
	# Linux 7.3 gives up the first root directory when process 1 leaves its fs_struct, and says so.
	if dmesg | grep -q 'VFS: Pid 1 stopped sharing filesystem state'; then
		is 'programs are refused until the next boot' "$(/root/moved '32 path')" 'x EPERM'
	else
		like 'programs are served again' "$(/root/moved '32 path')" '^x [0-9a-f]{64}$'
	fi
	umount $root
}

a_minute_later() {
	local left=$((minute - EPOCHSECONDS))
	note "the minute ends in $left s"
	mark
	[ $left -le 0 ] || sleep $left
	as_user 1000 unshare -U "$bin/disguise" plain '32 path' $many >/dev/null
	says 'after a minute there is one line again' 1000 "$bin/disguise" 'in a user namespace \(G1\)'
}

# Load the module again for each path: that resets the rate limits.
reload() { unload_module && load_module && mark; }

escaped() {
	local path=$'/root/a\nderived: uid 0, "/b": c\\d\e[31m\t\x7fключ \'%s%n'
	local shown='/root/a\x0aderived: uid 0, \x22/b\x22: c\x5cd\x1b[31m\x09\x7f\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87 '"'%s%n"
	local long

	mkdir -p "${path%/*}"
	cp "$bin/addkey" "$path"
	reload
	is 'a program with special characters in its path is refused' "$("$path" derived x "32 path,kcv=$wrong" @s)" EKEYREJECTED
	says 'special characters are escaped, and the line is one line' 0 "$shown" "the key's check value .* was asked for"

	long=/root/$(printf 'l%.0s' {1..200})/$(printf 'm%.0s' {1..200})
	mkdir "${long%/*}"
	cp "$bin/addkey" "$long"
	reload
	is 'a program with a long path is refused' "$("$long" derived x "32 path,kcv=$wrong" @s)" EKEYREJECTED
	says 'a long path is cut after 255 bytes' 0 "${long:0:255}" "the key's check value .* was asked for"

	# Each letter becomes eight characters: that is too long for the line.
	long=/root/$(printf 'é%.0s' {1..100})
	cp "$bin/addkey" "$long"
	reload
	is 'a program with a long path in UTF-8 is refused' "$("$long" derived x "32 path,kcv=$wrong" @s)" EKEYREJECTED
	shown=/root/$(printf '\\xc3\\xa9%.0s' {1..100})
	says 'a path is cut after it was escaped' 0 "${shown:0:255}" "the key's check value .* was asked for"
}

malformed() {
	local request

	reload
	while read -r want request; do
		is "the request '$request' is $want" "$("$bin/addkey" derived x "$request" @s)" "$want"
	done <<-END
		EINVAL 32
		EINVAL path
		EINVAL 32  path
		EINVAL 32 path,path
		EINVAL 32 path,kcv=123
		EINVAL 32 path path
		ERANGE 15 path
		ERANGE 99999999999999999999 path
		E2BIG 32 path $(printf 'm%.0s' {1..257})
	END
	errno_is 'an empty request is EINVAL' EINVAL derived x '' @s
	errno_is 'a NUL in a request is EINVAL' EINVAL -x derived x 3332207061746800 @s
	errno_is 'a request of more than a page is E2BIG' E2BIG -n 4097 derived x '32 path ' @s
	ok 'a good request is served' "$bin/addkey" derived x '32 path' @s
	is 'the log has no line for any of these requests' "$(news)" ''
	"$bin/addkey" derived x "32 path,kcv=$wrong" @s >/dev/null
	says 'the log works: it has a line for a wrong check value' 0 "$bin/addkey" "the key's check value .*"
}

# Print which of the secrets in /run/secrets ("NAME HEX" on each line) are in the log of the whole
# boot, and in which form: a piece of 6 bytes as hexadecimal with any separators, or a piece of 8
# bytes, raw or as little-endian words.
leaks() {
	busybox dmesg >/run/log
	python3 - <<-'END'
		import re, sys
		log = open("/run/log", "rb").read()
		if b"Linux version" not in log or b"Key type derived registered" not in log:
		    sys.exit("the log is not whole")
		hexa = re.sub(rb"0x|[ \t:,_.-]", b"", re.sub(rb"(?m)^\[ *[0-9.]+\] ", b"", log).lower())
		secrets = [line.split() for line in open("/run/secrets")]
		if len(secrets) < 5:
		    sys.exit("there are no secrets to look for")
		for name, value in secrets:
		    value = bytes.fromhex(value)
		    if len(value) < 16:
		        sys.exit(name + " is no secret")
		    swapped = {n: b"".join(value[i:i + n][::-1] for i in range(0, len(value) - n + 1, n)) for n in (4, 8)}
		    if any(value[i:i + 6].hex().encode() in hexa for i in range(len(value) - 5)):
		        print(name, "hex")
		    if any(value[i:i + 8] in log for i in range(len(value) - 7)):
		        print(name, "bytes")
		    for n, words in swapped.items():
		        if any(words[i:i + 8].hex().encode() in hexa for i in range(0, len(words) - 7, n)):
		            print(name, "words of", n)
	END
}

no_secret() {
	local root key how what

	root=$(awk -F'\t' '$1 == "root" && $2 == "golden" { print $4 }' "$DERIVED/tests/vectors/golden.tsv")
	key=$("$bin/keyops" add x '64 path' @p | tail -n 1)
	{
		echo "root $root"
		echo "key $key"
		echo "long-key $("$bin/keyops" add x '1024 csum mixin' @p | tail -n 1)"
		echo "user-key $(as_user 1000 "$bin/keyops" add x '32 path,csum' @p | tail -n 1)"
		for what in "$bin"/{keyops,addkey,disguise} /root/gone*; do
			echo "digest-of-${what//[^a-z]/-} $(sha256sum <"$what" | cut -d' ' -f1)"
		done
		echo "sha512-of-keyops $(sha512sum <"$bin/keyops" | cut -d' ' -f1)"
	} >/run/secrets
	# With the module's debugging messages.
	unload_module
	load_module dyndbg=+p
	"$bin/keyops" add x '64 path' @p >/dev/null
	"$bin/keyops" add x '1024 csum mixin' @p >/dev/null
	"$bin/keyops" add x "64 path,csum,kcv=$wrong" @p >/dev/null
	as_user 1000 "$bin/keyops" add x '32 path,csum' @p >/dev/null
	unload_module
	is 'no secret is in the log of the whole boot' "$(leaks 2>&1)" ''

	# Check that the search finds planted secrets.
	while IFS='|' read -r how what; do
		echo "planted: $what" >/dev/kmsg
		like "a planted secret is found: $how" "$(leaks 2>&1)" "^$how\$"
	done <<-END
		root hex|${root:16:2} ${root:18:2} ${root:20:2} ${root:22:2} ${root:24:2} ${root:26:2}
		key hex|0x${key:40:30}
		digest-of--derived-bin-addkey hex|$(sha256sum <"$bin/addkey" | cut -c1-64 | sed 's/../&:/g')
		key words of 4|${key:6:2}${key:4:2}${key:2:2}${key:0:2} ${key:14:2}${key:12:2}${key:10:2}${key:8:2}
	END
	# Raw bytes are not written into the kernel's log: they are added to the text that is searched.
	busybox() { command busybox "$@"; printf '%b' "${key//??/\\x&}"; }
	like 'a planted secret is found: key bytes' "$(leaks 2>&1)" '^key bytes$'
	unset -f busybox
}

sha512() {
	mark
	is 'with IMA hashing by SHA-512, csum is served' "$("$bin/disguise" plain '32 csum' | tail -n 1)" 'ok 1'
	is 'with IMA hashing by SHA-512, path,csum is served, too' "$("$bin/disguise" plain '32 path,csum' | tail -n 1)" 'ok 1'
	is 'with IMA hashing by SHA-512, nothing is logged' "$(news)" ''
	unload_module
	{
		for what in addkey keyops disguise; do
			echo "sha256-of-$what $(sha256sum <"$bin/$what" | cut -d' ' -f1)"
			echo "sha512-of-$what $(sha512sum <"$bin/$what" | cut -d' ' -f1)"
		done
	} >/run/secrets
	is 'no digest is in the log' "$(leaks 2>&1)" ''
}

timed() { local began=$SECONDS; "$@"; note "$1: $((SECONDS - began)) s"; }
ok 'the module loads' load_module
case $BOOT in
1)
	timed escaped
	timed malformed
	reload
	timed identities
	timed unreadable
	timed a_minute_later
	timed replaced
	timed no_secret
	timed process_1	# last: on Linux 7.3, no program gets a key afterwards
	;;
2)	timed sha512 ;;
esac
tpm_slots_empty 'nothing is left in the TPM'
done_testing

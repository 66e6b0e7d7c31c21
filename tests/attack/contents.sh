#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# contents.sh: attacks on the contents of the executable: rows C of the table in
# Documentation/threat-model.rst, and E2. Each row is tried with all gates, without the gates that
# close it, and by the rules of the RFC of 2024 (no gate at all). The key is a csum key, unless the
# row says otherwise.
#
# The RFC had no csum_max, accepted any hash algorithm, and hashed files that may be written. These
# three checks of the module are not gates, so they cannot be switched off. Therefore C9b, C11 and
# C12 have the same result "by the rules of the RFC" as with the module.
#
# vm: boot tpm=golden timeout=600
# vm: long[6.12] every row, with every gate

. "$DERIVED/tests/lib/lib.sh"
. "$DERIVED/tests/lib/attack.sh"

# row | with our gates | gates that close it | without those | RFC's rules | what
table='
C1|KEY||KEY|KEY|copy of X elsewhere, with LD_PRELOAD by the same user
C2|EPERM|3 5|KEY|KEY|FUSE by fusermount3: X when it is read, another program when it is run
C2:root|EPERM|3|KEY|KEY|the same, mounted by the administrator without nosuid
C3|EPERM|3|hangs|hangs|FUSE that never answers a read
C3:path|EPERM|3|hangs|another key|FUSE that never answers a lookup, for a key bound to the path
C4|EPERM|3 5|KEY|KEY|overlay file system in a user namespace, the file rewritten underneath, run from outside
C4:within|EPERM|1 2 3 5|KEY|KEY|the same, run from within
C4b|KEY||KEY|KEY|overlay file system of the administrator, with an upper directory that the attacker may write to
C5|EPERM|3|KEY|KEY|overlay file system of the administrator over the FUSE of C2:root
C5:twice|EPERM|3|KEY|KEY|the same with another overlay file system over the first
C6|EPERM|3|KEY|KEY|NFS, and its server changes the file
C7|EPERM|5|KEY|KEY|image of the attacker, mounted nosuid as by udisks2, written underneath
C7:path|EPERM|5|KEY|KEY|the same image, and another program at the path of the first one
C7:suid|KEY||KEY|KEY|the same as C7, but the administrator mounted it without nosuid
C7b|EPERM|3|KEY|KEY|the same image as erofs, mounted without nosuid, and without a block device
C8|KEY||KEY|KEY|root writes to the block device underneath
C9|ETXTBSY||ETXTBSY|ETXTBSY|writing to the running file
C9:truncate|ETXTBSY||ETXTBSY|ETXTBSY|truncating it
C9b|EPERM||EPERM|EPERM|writing to the running file, which a fanotify listener makes possible
C10|EPERM|3|KEY|KEY|NFS, and IMA has a digest of the file'"'"'s old contents
C10b|KEY||KEY|KEY|local file, and IMA has a digest from before it was written through a mapping
C3:nfs|hangs||hangs|answered|NFS whose server never answers, for a key bound to the path
C11:md5|its key||its key|its key|X with a security.ima of MD5, under an IMA policy
C11:sha1|its key||its key|its key|X with a security.ima of SHA-1, under an IMA policy
C12|EFBIG||EFBIG|EFBIG|sparse file of a terabyte
C13|KEY||KEY|KEY|script: the key is the interpreter'"'"'s
C13:loader|KEY||KEY|KEY|through the loader: the key is the loader'"'"'s
E2|another key||another key|another key|set-user-ID copy of X that belongs to a subordinate user id
'

evil=/srv/becomes-x		# has the same size as /usr/bin/x
slow=500000			# in us. A refusal takes a thousandth of it
measured=4242			# the group of the files that the IMA policy measures

mounted() { [[ $(</proc/self/mounts) == *" $1 "* ]]; }

# two_faces USER DIRECTORY OPTIONS: serve a file system with two faces. USER is "root" or "user": root
# or the attacker mounts it. Sets $daemon to the process id of its server.
two_faces() {
	local as=()
	# fusermount3 is set-user-ID, and needs the capabilities that as_attacker would drop.
	[ "$1" = root ] || as=(setpriv --reuid 1000 --regid 1000 --clear-groups)
	"${as[@]}" "$bin/two-faces" "$2" "$3" $evil /usr/bin/x >/dev/null &
	daemon=$!
	until mounted "$2"; do
		kill -0 $daemon || return
		sleep 0.05
	done
}
# unmount DIRECTORY...: end $daemon, and unmount.
unmount() {
	kill $daemon 2>/dev/null && wait $daemon 2>/dev/null
	umount -l "$@"
}
FUSE=entry_timeout=1000,attr_timeout=1000,negative_timeout=0
ROOT_FUSE=suid,allow_other

# waits_in PID ERE [FILE]: wait until the process is in a system call and its kernel stack matches
# ERE. Fails if the process ends, if FILE is not empty, and after some ten seconds.
waits_in() {
	local left=200
	until [[ $(<"/proc/$1/stack") =~ $2 ]]; do
		kill -0 "$1" && [ ! -s "${3-/dev/null}" ] && [ $((left--)) -gt 0 ] || return
		sleep 0.05
	done 2>/dev/null
}

# start_asking PROGRAM...: start a program that makes a request. Sets $asking to its process id.
# answer ERE: print the program's output, or "hangs" if its request waits in a function that matches.
start_asking() {
	: >/run/answer
	# Not by as_attacker: $! must be the program itself.
	setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all \
		"$@" >/run/answer &
	asking=$!
}
answer() {
	if waits_in "$asking" "$1.*add_key" /run/answer; then
		echo hangs
	else
		cat /run/answer
	fi
}

# silent WHAT OPTIONS [COMMAND]: make a request from a program on a file system that never answers.
# COMMAND is run while that file system is still silent.
silent() {
	local asking
	two_faces root /srv/fuse "$2,$ROOT_FUSE"
	start_asking /srv/fuse/x "$1" silence /srv/fuse/silence
	answer fuse
	"${@:3}"
	unmount /srv/fuse
	wait "$asking"
}

# While that file system is silent: do two processes that have nothing to do with it have to wait?
others_wait() {
	local loading adding
	modprobe --first-time dns_resolver >&2 &
	loading=$!
	! waits_in "$loading" register_key_type || echo 'registering a key type waits'
	keyctl add user convoy x @s >/dev/null &
	adding=$!
	! waits_in "$adding" add_key || echo 'adding a key waits'
	sleep 1
	kill -0 "$loading" && kill -0 "$adding" && echo 'both still wait'
	kill "$daemon"
	wait "$loading" && echo 'loaded'
	wait "$adding" && echo 'added'
} 2>/dev/null

# image DIRECTORY OPTIONS: mount an image that belongs to the attacker and has the attacker's program
# in it.
image() {
	cp -p $home/image.saved $home/image
	mount -o "loop,$2" $home/image "$1"
}

# attack ROW: print the attacker's result, in the words of ask.h.
attack() {
	case $1 in
	C1|C3:nfs|C4*|C9*|C11*|C12|E2)
		rm -rf $home/run
		install -d -o 1000 -g 1000 $home/run
		cd $home/run || return ;;
	esac
	case $1 in
	C1)		as_attacker cp /usr/bin/x x
			as_attacker env LD_PRELOAD="$bin/evil-library" ./x '32 csum' ;;
	C2)		two_faces user $home/fuse $FUSE
			as_attacker $home/fuse/x '32 csum' swap $home/fuse/swap
			unmount $home/fuse ;;
	C2:root)	two_faces root /srv/fuse $FUSE,$ROOT_FUSE
			as_attacker /srv/fuse/x '32 csum' swap /srv/fuse/swap
			unmount /srv/fuse ;;
	C3)		silent '32 csum' $FUSE ;;
	C3:path)	silent '32 path' entry_timeout=0,attr_timeout=0 ;;
	C3:nfs)		nfs
			as_attacker cp --remove-destination $evil /srv/export/x
			as_attacker mkfifo go
			mount -t nfs4 -o noac 127.0.0.1:/ /srv/noac
			start_asking /srv/noac/x '32 path' wait go
			exec 9>go
			rpc.nfsd 0
			exec 9>&-
			# With enough in its cache, the client may answer all the same: that does
			# not matter here.
			answer rpc_ | sed 's/^evil .*/answered/'
			rpc.nfsd --no-nfs-version 3 1
			wait "$asking"
			umount /srv/noac ;;
	C4)		as_attacker "$bin/mounts" C4 '32 csum' $evil ;;
	C4:within)	as_attacker "$bin/mounts" C4-within '32 csum' $evil ;;
	C4b)	as_attacker mkdir upper work
			as_attacker cp $evil upper/x
			mount -t overlay -o lowerdir=/usr/bin,upperdir=upper,workdir=work overlay /srv/merged
			as_attacker /srv/merged/x '32 csum' write upper/x
			umount /srv/merged ;;
	C5)		two_faces root /srv/fuse $FUSE,$ROOT_FUSE
			mount -t overlay -o lowerdir=/srv/fuse:/usr/bin overlay /srv/merged
			as_attacker /srv/merged/x '32 csum' swap /srv/fuse/swap
			unmount /srv/merged /srv/fuse ;;
	C5:twice)	two_faces root /srv/fuse $FUSE,$ROOT_FUSE
			mount -t overlay -o lowerdir=/srv/fuse:/usr/bin overlay /srv/merged
			mount -t overlay -o lowerdir=/srv/merged:/usr/sbin overlay /srv/twice
			as_attacker /srv/twice/x '32 csum' swap /srv/fuse/swap
			unmount /srv/twice /srv/merged /srv/fuse ;;
	C6)		nfs
			as_attacker cp --remove-destination $evil /srv/export/x
			as_attacker /srv/nfs/x '32 csum' write /srv/export/x ;;
	C7)		image /srv/stick nosuid,nodev
			as_attacker /srv/stick/x '32 csum' image $home/image
			umount /srv/stick ;;
	C7:path)	image /srv/stick nosuid,nodev
			as_attacker /srv/stick/x '32 path'
			umount /srv/stick ;;
	C7:suid)	image /srv/stick suid
			as_attacker /srv/stick/x '32 csum' image $home/image
			umount /srv/stick ;;
	C7b)	cp -p $home/image.erofs $home/image
			mount -t erofs $home/image /srv/stick
			findmnt -no SOURCE /srv/stick >&2
			as_attacker /srv/stick/x '32 csum' image $home/image
			umount /srv/stick ;;
	C8)		image /srv/stick suid
			/srv/stick/x '32 csum' image "$(findmnt -no SOURCE /srv/stick)"
			umount /srv/stick ;;
	C9)		as_attacker cp $evil x
			as_attacker ./x '32 csum' open x ;;
	C9:truncate)	as_attacker cp $evil x
			as_attacker ./x '32 csum' truncate x ;;
	C9b)		as_attacker cp $evil x
			"$bin/pre-content" x ./x '32 csum' write x ;;
	C10)		nfs
			policy
			as_attacker cp --remove-destination /usr/bin/x /srv/export/x
			chgrp "$measured" /srv/export/x
			as_attacker /srv/nfs/x '32 csum' >/run/C10-before
			as_attacker cp $evil /srv/export/x
			as_attacker /srv/nfs/x '32 csum' ;;
	C10b)		policy
			as_attacker cp /usr/bin/x x
			chgrp "$measured" x
			as_attacker "$bin/change-mapped" x $evil && cmp x $evil >&2 || return
			as_attacker ./x '32 csum' ;;
	C11:*)		policy
			as_attacker cp /usr/bin/x x
			chgrp "$measured" x
			# IMA_XATTR_DIGEST_NG, the algorithm's number, the digest
			case $1 in
			*:md5)	setfattr -n security.ima -v "0x0401$(md5sum x | cut -c1-32)" x ;;
			*:sha1)	setfattr -n security.ima -v "0x0402$(sha1sum x | cut -c1-40)" x ;;
			esac
			as_attacker ./x '32 csum' ;;
	C12)		as_attacker cp $evil x
			as_attacker truncate -s 1T x
			as_attacker ./x '32 csum' ;;
	C13)		as_attacker $home/script-evil '32 csum' ;;
	C13:loader)	as_attacker /lib64/ld-linux-x86-64.so.2 "$bin/evil" '32 csum' ;;
	E2)		# The attacker can make this file as root of a user namespace with
			# subordinate ids.
			install -o 100000 -m 4755 /usr/bin/x x
			as_attacker ./x '32 csum' | tee /run/E2 ;;
	esac
}

victim() {
	case $1 in
	C7:path)	cp -p /usr/bin/x /srv/stick/x
			as_attacker /srv/stick/x '32 path'
			rm /srv/stick/x ;;
	C8)		/usr/bin/x '32 csum' ;;
	C13)		as_attacker $home/script-x '32 csum' ;;
	C13:loader)	as_attacker /lib64/ld-linux-x86-64.so.2 /usr/bin/x '32 csum' ;;
	*)		as_attacker /usr/bin/x '32 csum' ;;
	esac
}
key_name() {
	case $1 in
	C7:path|C8|C13*) echo "$1" ;;
	*)		echo user ;;
	esac
}

# On first use, start an NFS server with the attacker's files, and its client.
nfs() {
	! mounted /srv/nfs || return
	if ! mounted /proc/fs/nfsd; then
		modprobe nfsd
		mount -t nfsd nfsd /proc/fs/nfsd
		exportfs -o rw,fsid=0,insecure,no_subtree_check,no_root_squash 127.0.0.1:/srv/export
		# Without nfsdcld, a new server refuses to serve files for its first 90 s.
		mount -t rpc_pipefs rpc_pipefs /run/rpc_pipefs
		nfsdcld
		rpc.mountd --no-nfs-version 3
		rpc.nfsd --no-nfs-version 3 1
	fi
	mount -t nfs4 127.0.0.1:/ /srv/nfs
}

# From now on until the machine is shut down, IMA keeps a digest of the files of group $measured when
# they are run.
policy() {
	[ -e /run/policy ] ||
		printf 'measure func=%s mask=MAY_EXEC fgroup=%s\n' BPRM_CHECK "$measured" MMAP_CHECK "$measured" \
			>/sys/kernel/security/ima/policy
	touch /run/policy
}

prepare_rows() {
	local who file
	mkdir /srv/{fuse,merged,twice,nfs,noac,stick} /run/rpc_pipefs $home/stick
	install -d -o 1000 -g 1000 $home/fuse /srv/export
	for file in "$bin/becomes-x $evil" "$bin/x /usr/bin/x"; do
		# shellcheck disable=SC2086
		install -m 755 $file
		yes | head -c $((65536 - $(stat -c %s "${file% *}"))) >>"${file#* }"
	done
	for who in x evil; do script $who >$home/script-$who; done
	chmod 755 $home/script-*
	chmod 666 /dev/fuse	# as udev does
	modprobe -a overlay loop
	truncate -s 2M $home/image.saved
	mkfs.ext4 -q -O ^has_journal $home/image.saved
	mount -o loop $home/image.saved $home/stick
	cp -p $evil $home/stick/x
	mkfs.erofs --quiet $home/image.erofs $home/stick
	umount $home/stick
	chown 1000 $home/image.*
}

plan_later
prepare_attacks
prepare_rows
ok 'the module loads' load_module
is 'C3: registering a key type or adding a key does not wait meanwhile' \
	"$(silent '32 csum' $FUSE others_wait)" "evil EPERM
loaded
added"
with_our_gates
for row in C3 C12; do
	took=$(sed -n 's/^answered in \([0-9]*\) us$/\1/p' /run/stderr-$row)
	[ "${took:-$slow}" -lt $slow ]
	tap_point $? "$row: the request is refused at once, in less than $((slow / 1000)) ms" "$took us"
	note "$row: $took us"
done
like 'C11: IMA did hash with MD5' "$(grep " $home/run/x" /sys/kernel/security/ima/ascii_runtime_measurements)" \
	"ima-[a-z0-9]+ md5:[0-9a-f]{32} $home/run/x"
like 'C9b: the log says why' "$(dmesg)" \
	"uid 1000, \"$home/run/x\": refused: csum: its executable may be written while it runs\$"
is 'C7b: there is no block device' "$(head -n 1 /run/stderr-C7b)" $home/image
like 'C6: without csum, programs on NFS are served' \
	"$(as_attacker /srv/nfs/x '32 path')" '^evil [0-9a-f]{64}$'
is 'E2: the key is the key of the subordinate user id' "$(cat /run/E2)" \
	"$(setpriv --reuid 100000 --clear-groups /usr/bin/x '32 csum')"
unload_module

ok 'the module loads with more file systems for csum' load_module csum_fs=fuse,nfs4
is 'csum_fs=nfs4: C6 succeeds' "$(try C6)" KEY
is 'csum_fs=nfs4: C10 succeeds' "$(try C10)" KEY
is 'csum_fs=fuse does not open C2' "$(try C2:root)" EPERM
unload_module
umount /srv/nfs
modprobe -r nfsv4	# and dns_resolver

ok 'the test build loads' insmod "$DERIVED/test/derived-keys.ko"
gates 3
is 'C3 without G3: registering a key type waits, then also adding a key, until the daemon is killed' \
	"$(silent '32 csum' $FUSE others_wait)" "hangs
registering a key type waits
adding a key waits
both still wait
loaded
added"
is 'C10 without G3 and without the IMA policy: the attacker gets another key' \
	"$(measured=1000 try C10)" 'another key'
without_gates 3
is 'C10b without the IMA policy: the attacker gets another key' "$(measured=1000 try C10b)" 'another key'
unload_module

print_table
done_testing

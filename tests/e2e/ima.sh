#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ima.sh: a program has the same keys with every configuration of IMA: without a policy, with a policy
# that measures executed programs, with a policy that appraises them, and with another algorithm
# (ima_hash=). It also has the same keys with and without fs-verity, and below an overlay as composefs
# makes it. tests/debug/noima.sh tests a kernel without IMA.
#
# Boot 1 begins without a policy and loads one. Boot 2 has two built-in policies of the kernel from the
# start. Boots 3 and 4 have other algorithms, and boot 4 also a policy.
#
# vm: boot tpm=golden
# vm: boot tpm=golden timeout=300 args="ima_policy=tcb|appraise_tcb ima_appraise=fix"
# vm: boot tpm=golden args="ima_hash=sha1"
# vm: boot tpm=golden timeout=300 args="ima_hash=sha512 ima_policy=tcb"
# vm: long[7.3] four boots, of which one measures all that it runs

. "$DERIVED/tests/lib/lib.sh"

plan_later
ok 'the module loads' load_module
at=/srv/ima		# a file system with fs-verity
ima=/sys/kernel/security/ima

# keys PROGRAM: print its keys, one on each line
keys() {
	local options
	for options in path csum path,csum; do
		"$1" "32 $options"
	done
}
# measured FILE: print how often IMA's list has a measurement of the file.
measured() { grep -cE " sha256:$(sha256sum <"$1" | cut -c1-64) $1( |\$)" $ima/ascii_runtime_measurements; }
# give USER [ALGORITHM]: make USER, whom the policy names, the owner of the program, and give the
# program a digest for IMA.
give() {
	rm -f $at/x
	install -o "$1" -m 755 "$DERIVED/bin/x" $at/x
	[ -z "${2-}" ] || evmctl ima_hash --hashalgo "$2" $at/x >/dev/null 2>&1
}

# algorithm FILE: print the algorithm of its last measurement in IMA's list.
algorithm() { sed -n "s|.* ima-[a-z0-9]* \(.*\):[0-9a-f]* $1\( .*\)\?$|\1|p" $ima/ascii_runtime_measurements | tail -n 1; }

# Make a file like those of an immutable system: an erofs image that has only names, over a directory
# with the contents. The image refers to the contents by their fs-verity digest.
compose() {
	local digest
	mkdir -p $at/objects /srv/names /srv/erofs /srv/composed
	install -m 755 "$DERIVED/bin/x" $at/objects/1234
	fsverity enable $at/objects/1234
	digest=$(fsverity digest --compact $at/objects/1234)
	truncate -s "$(stat -c %s "$DERIVED/bin/x")" /srv/names/x
	chmod 755 /srv/names/x
	setfattr -n trusted.overlay.redirect -v /1234 /srv/names/x
	# struct ovl_metacopy: version 0, 36 bytes, no flags, FS_VERITY_HASH_ALG_SHA256, the digest
	setfattr -n trusted.overlay.metacopy -v "0x00240001$digest" /srv/names/x
	mkfs.erofs --quiet $at/names.erofs /srv/names
}
mount_composed() {
	mount -o loop,ro -t erofs $at/names.erofs /srv/erofs
	mount -t overlay -o ro,metacopy=on,verity=require,lowerdir=/srv/erofs::$at/objects composed /srv/composed
}
# Test files with fs-verity: on ext4, and below an overlay that requires fs-verity.
with_verity() {
	local csum
	csum=$(sed -n 2p <<<"$1")
	like 'there is a csum key' "$csum" '^x [0-9a-f]{64}$'
	like 'a file has fs-verity' "$(fsverity measure $at/verity 2>&1)" "^sha256:[0-9a-f]{64} $at/verity$"
	is 'with fs-verity, the csum key is the same' "$($at/verity '32 csum')" "$csum"
	modprobe -a loop erofs overlay
	ok 'an overlay over erofs that requires fs-verity is mounted' mount_composed
	fails 'its upper layer has no contents' cmp -n 4 /srv/erofs/x "$DERIVED/bin/x"
	is 'on that overlay, the csum key is the same, too' "$(/srv/composed/x '32 csum')" "$csum"
	umount /srv/composed /srv/erofs
}

[ "$BOOT" = 1 ] || { modprobe loop && mount -o loop /srv/ima.img $at; } || bail_out "there is no $at"
case $BOOT in
1)
	mkdir $at
	truncate -s 16M /srv/ima.img
	mkfs.ext4 -q -b 4096 -O verity /srv/ima.img
	modprobe loop
	mount -o loop /srv/ima.img $at
	install -m 755 "$DERIVED/bin/x" $at/verity
	ok 'fs-verity is enabled for a file' fsverity enable $at/verity
	compose
	give root
	keys=$(keys $at/x)
	is 'without a policy, the program has three keys' "$(sort -u <<<"$keys" | grep -cE '^x [0-9a-f]{64}$')" 3
	echo "$keys" >$at/keys
	is 'without a policy, nothing is measured' "$(measured $at/x)" 0
	give root sha512
	like 'the digest of a file may be a SHA-512' "$(getfattr -e hex -n security.ima $at/x)" '=0x0406'
	is 'without a policy, the keys are the same with that digest' "$(keys $at/x)" "$keys"
	with_verity "$keys"

	cat >/run/policy <<'END_OF_POLICY'
measure func=BPRM_CHECK fowner=1000
appraise func=BPRM_CHECK fowner=1001
measure func=BPRM_CHECK fowner=1002 digest_type=verity template=ima-ngv2
END_OF_POLICY
	ok 'a policy is loaded' cp /run/policy $ima/policy
	is "the policy does not apply to root's files: the keys are the same" "$(keys $at/x)" "$keys"

	give 1000
	is 'measured: the keys are the same' "$(keys $at/x)" "$keys"
	is 'IMA has measured the program' "$(measured $at/x)" 1
	cat "$DERIVED/bin/evil" >$at/x
	is 'changed in place, the program has the key of its new contents' \
		"$($at/x '32 csum')" "$("$DERIVED/bin/evil" '32 csum')"
	is 'IMA has measured the changed program' "$(measured $at/x)" 1
	give 1000 sha512
	is 'measured by SHA-512: the keys are the same' "$(keys $at/x)" "$keys"
	is 'IMA has measured the program by SHA-512' "$(algorithm $at/x)" sha512
	chown 1002 $at/verity
	is 'measured by its fs-verity digest: the csum key is the same' "$($at/verity '32 csum')" "$(sed -n 2p $at/keys)"
	is 'IMA has measured the program by its fs-verity digest' "$(algorithm $at/verity)" verity:sha256

	give 1001
	like 'appraised without a digest, the program does not run' "$($at/x '32 path' 2>&1)" 'Permission denied'
	give 1001 sha256
	is 'appraised: the keys are the same' "$(keys $at/x)" "$keys"
	give 1001 sha512
	is 'appraised by SHA-512: the keys are the same' "$(keys $at/x)" "$keys"
	;;
2)
	is 'the three keys of the first boot are there' "$(sort -u $at/keys | grep -cE '^x [0-9a-f]{64}$')" 3
	give root
	is 'measured and appraised: the keys are the same' "$(keys $at/x)" "$(cat $at/keys)"
	is 'IMA has measured the program' "$(measured $at/x)" 1
	like 'IMA has given the program a digest, a SHA-256' "$(getfattr -e hex -n security.ima $at/x)" '=0x0404'
	with_verity "$(cat $at/keys)"
	;;
3|4)
	hash=$(sed 's/.*ima_hash=\([a-z0-9]*\).*/\1/' /proc/cmdline)
	give root
	is "ima_hash=$hash: the keys are the same" "$(keys $at/x)" "$(cat $at/keys)"
	[ "$BOOT" = 3 ] || is "IMA has measured the program by $hash" "$(algorithm $at/x)" "$hash"
	like 'IMA uses that algorithm' "$(head -n 1 $ima/ascii_runtime_measurements)" " $hash:[0-9a-f]+ boot_aggregate"
	with_verity "$(cat $at/keys)"
	;;
esac
tpm_slots_empty 'nothing is left in the TPM'
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# use.sh: the possessor of a key may use the key, but not read it. This tests what AF_ALG gives away of
# twins, and that short twins are refused.
#
# All tests are run by a user without privileges, on the stock kernel. The walk tries each existing
# algorithm with twins of each length; use-6.12.list and use-7.3.list are the expected results. If a
# new kernel has more algorithms, check whether one of them gives a key away
# (Documentation/threat-model.rst, "Use"), and then add them to the list.
#
# vm: boot tpm=golden timeout=600
# vm: not-on[debug] it has few algorithms
# vm: long[7.3] each algorithm is keyed with twins of 52 lengths

. "$DERIVED/tests/lib/lib.sh"

plan_later
addkey=$DERIVED/bin/addkey
list=$DERIVED/tests/e2e/use-$(uname -r | cut -d. -f1,2).list
restrict=/proc/sys/crypto/af_alg_restrict
work=/run/use
mkdir -m 777 $work
klog_ours() { klog | grep '^derived: '; }

# by_user COMMANDS: run them as uid 1000, with a session keyring of its own.
cat >$work/functions <<'END'
# twin LENGTH: print the serial number of a twin. key LENGTH: print the bytes of the derived key, which
# has no noread.
twin() {
	keyctl search @s logon "derived:use-$1" 2>/dev/null && return
	keyctl request2 derived "use-$1" "$1 path,logon use v1" @s >/dev/null && keyctl search @s logon "derived:use-$1"
}
key() { keyctl pipe "%derived:use-$1" | od -An -v -tx1 | tr -d ' \n'; }
use() { python3 "$DERIVED/tests/e2e/use.py" "$@"; }
addkey() { "$DERIVED/bin/addkey" "$@"; }
END
by_user() { as_user 1000 bash -c ". $work/functions; $1"; }
twins=$(seq -s ' ' 16 64)' 65 128 1024'

# ---- Short twins are refused.
ok 'the module loads' load_module
is 'the default of short_twins is off' "$(cat /sys/module/derived_keys/parameters/short_twins)" N
for length in 16 24 32 33 48 63; do
	is "a twin of $length bytes is refused, and nothing is left" "$(by_user "
		addkey -r derived short '$length path,logon,noread use v1' @s; grep -c short /proc/keys")" 'EOPNOTSUPP
0'
	is "a key of $length bytes without a twin is made" "$(by_user "addkey -r derived short '$length path,noread use v1' @s |
		grep -c '^[0-9]*$'")" 1
done
like 'a line in the log gives the reason, and names the parameter' "$(klog_ours | grep refused)" \
	"^derived: uid 1000, \"$addkey\": refused: a twin of less than 64 bytes could be read by way of AF_ALG \(see short_twins=\)\$"
is 'there is one such line' "$(klog_ours | grep -c refused)" 1
is 'a short twin is refused before the caller is identified' "$(as_user 1000 unshare -U "$addkey" -r derived x '32 path,logon' @s)" EOPNOTSUPP
is 'this caller would be refused' "$(as_user 1000 unshare -U "$addkey" -r derived x '64 path,logon' @s)" EPERM
for length in 64 65 1024; do
	like "a twin of $length bytes is made" "$(by_user "twin $length; cat /proc/keys")" "logon +derived:use-$length: $length\$"
done
unload_module

klog_mark
ok 'the module loads with short_twins=1' load_module short_twins=1
like 'the log says that short_twins=1 is set' "$(klog_ours)" \
	'^derived: short_twins=1: the possessor of a twin of less than 64 bytes may be able to read it$'
for length in 16 32 63; do
	like "a twin of $length bytes is made" "$(by_user "twin $length; cat /proc/keys")" "logon +derived:use-$length: $length\$"
done

# ---- What the possessor of a short twin learns.
# The program that made the key may read it here, to compare it with what is learned.
echo 200000 >/proc/sys/kernel/keys/maxbytes
modules=$(cd "/lib/modules/$(uname -r)/kernel" && find crypto arch/x86/crypto lib -name '*.ko*' |
	sed 's/.*\///; s/\.ko.*//' | grep -v -e tcrypt -e test)
# shellcheck disable=SC2086
modprobe -aq $modules 2>/dev/null
modprobe -a algif_hash algif_skcipher algif_aead algif_rng

if [ -e $restrict ]; then
	is 'this kernel restricts AF_ALG' "$(cat $restrict)" 1
	gives='is not available'
else
	gives=is
fi
if [ "$gives" = is ]; then
	# shellcheck disable=SC2016
	by_user 't=$(twin 16); use ghash $t; key 16' >$work/ghash
	is 'ghash gives a key of 16 bytes away' "$(sed -n 1p $work/ghash)" "$(sed -n 2p $work/ghash)"
	like 'ghash: there is a key of 16 bytes' "$(sed -n 2p $work/ghash)" '^[0-9a-f]{32}$'
	is 'hmac(xxhash64) can be used with a key of 32 bytes' "$(by_user "use xxhash \$(twin 32) | grep -cE '^[0-9a-f]{16}\$'")" 1
	for length in 16 32 33 48 64 128; do
		by_user "t=\$(twin $length); use poly1305 \$t; use poly1305-of \$(key $length)" >$work/poly1305
		is "hmac(poly1305) gives away 106 bits of what it computes from a key of $length bytes" \
			"$(sed -n 1p $work/poly1305)" "$(sed -n 2p $work/poly1305)"
		like "hmac(poly1305): there are such bits for a key of $length bytes" "$(sed -n 2p $work/poly1305)" '^[0-9a-f]{32}$'
	done
	# shellcheck disable=SC2016
	half=$(by_user 'twin 32 >/dev/null; k=$(key 32); use poly1305-of $k; use poly1305-of ${k:32}')
	is 'hmac(poly1305): for a key of 32 bytes, they are of its second half' "$(sed -n 1p <<<"$half")" "$(sed -n 2p <<<"$half")"
fi

# walk HEADING COMMAND...: print which algorithms accept a twin, for a user or root, as COMMAND says.
walk() {
	echo "[$1]"
	# shellcheck disable=SC2016
	"${@:2}" bash -c '. '$work'/functions; for n in '"$twins"'; do all="$all $(twin $n)"; done; use walk $all'
}
by_uid() { as_user 1000 "$@"; }
by_root() { keyctl session - "$@" 2>/dev/null; }
{
	python3 "$DERIVED/tests/e2e/use.py" names
	modprobe=$(cat /proc/sys/kernel/modprobe)
	echo >/proc/sys/kernel/modprobe		# all modules are loaded, and requesting more takes long
	if [ -e $restrict ]; then
		walk 'a user, af_alg_restrict=1' by_uid
		walk 'root, af_alg_restrict=1' by_root
		echo 0 >$restrict
		walk 'a user, af_alg_restrict=0' by_uid
	else
		walk 'a user' by_uid
	fi
	echo "$modprobe" >/proc/sys/kernel/modprobe
} >$work/list 2>&1
diff -u "$list" $work/list >$work/diff 2>&1
tap_point $? "the algorithms that accept a twin are those of ${list##*/}" "$(cat $work/diff)"

for algorithm in ghash 'hmac(xxhash64)' 'hmac(poly1305)'; do
	errno=$(by_user "use set hash '$algorithm' \$(twin 16)")
	is "without a restriction, $algorithm $gives for all users" "$errno" "$([ "$gives" = is ] && echo ok || echo ENOENT)"
done
# essiv() uses the digest of the key as a key. These digests are so short that all can be tried, on each
# kernel.
for how in 'cbc(serpent) crc32 16' 'xts(serpent) crc32 64' 'xts(serpent) crc32c 64' 'lrw(serpent) crc32c 33' 'cbc(blowfish) crc32 56'; do
	read -r mode digest length <<<"$how"
	is "essiv($mode,$digest) gives away the $digest of a key of $length bytes" "$(by_user "
		t=\$(twin $length); use essiv '$mode' $digest \$t \$(key $length)")" "with its $digest: True, with another: False"
done
if [ "$gives" = is ]; then
	# shellcheck disable=SC2016
	is 'essiv(xts(serpent),crct10dif) gives away the crct10dif of a key of 64 bytes' "$(by_user '
		t=$(twin 64); use essiv "xts(serpent)" crct10dif $t $(key 64)')" 'with its crct10dif: True, with another: False'
fi

# ---- Other consumers of keys that a user can call.
others() {
	# shellcheck disable=SC2016
	by_user 't=$(twin 64); p=$(keyctl add user p 23 @s); '"$1"' 2>&1'
}
# shellcheck disable=SC2016	# for the user's shell
is 'KEYCTL_DH_COMPUTE may not read a twin' "$(others 'keyctl dh_compute $t $p $p')" \
	'keyctl_dh_compute_alloc: Required key not available'
# shellcheck disable=SC2016	# for the user's shell
is 'KEYCTL_PKEY_QUERY does not know the type' "$(others 'keyctl pkey_query $t 0')" \
	'keyctl_pkey_query: Operation not supported'
# shellcheck disable=SC2016	# for the user's shell
is 'a twin cannot be read' "$(others 'keyctl pipe $t')" 'keyctl_read_alloc: Operation not supported'
is 'an encrypted key cannot name a twin as its master' "$(others 'addkey encrypted e "new logon:derived:use-64 32" @s')" EINVAL
is 'an encrypted key cannot name it by its name alone either' "$(others 'addkey encrypted e "new derived:use-64 32" @s')" EINVAL
# shellcheck disable=SC2016	# for the user's shell
is 'a search for a master key of type user does not find a twin' \
	"$(others 'e=$(addkey encrypted e "new user:derived:use-64 32" @s); keyctl print $e')" \
	'keyctl_read_alloc: Required key not available'

# ---- The parts of AF_ALG that an administrator can switch off.
echo 'install algif_hash /bin/false' >/etc/modprobe.d/no-algif-hash.conf
ok 'algif_hash can be removed' rmmod algif_hash
is 'if algif_hash must not be loaded, AF_ALG has no hash' "$(by_user "use set hash 'hmac(sha256)' \$(twin 64)")" ENOENT
is 'if algif_hash must not be loaded, AF_ALG still has a cipher' "$(by_user "use set skcipher 'xts(aes)' \$(twin 64)")" ok
rm /etc/modprobe.d/no-algif-hash.conf
is 'if algif_hash may be loaded again, AF_ALG has hashes again' "$(by_user "use set hash 'hmac(sha256)' \$(twin 64)")" ok
if [ -e $restrict ]; then
	echo 2 >$restrict
	is 'af_alg_restrict=2 leaves nothing' "$(by_user "use set skcipher 'xts(aes)' \$(twin 64)")" EAFNOSUPPORT
	echo 1 >$restrict
	is 'af_alg_restrict=1 leaves xts(aes)' "$(by_user "use set skcipher 'xts(aes)' \$(twin 64)")" ok
fi
echo 'install af_alg /bin/false' >/etc/modprobe.d/no-af-alg.conf
rmmod algif_hash algif_skcipher algif_aead algif_rng
ok 'af_alg can be removed' rmmod af_alg
is 'if af_alg must not be loaded, there is no AF_ALG' "$(by_user "use set skcipher 'xts(aes)' \$(twin 64)")" EAFNOSUPPORT
rm /etc/modprobe.d/no-af-alg.conf
unload_module
done_testing

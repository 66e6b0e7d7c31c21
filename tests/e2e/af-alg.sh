#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# af-alg.sh: AF_ALG gets a key by its serial number, on a stock kernel and with a patched af_alg.
#
# The kernel encrypts, and Python decrypts with the key that derived-keys-recover computes; and the
# other way round. With the patches, no hash accepts a derived key.
#
# vm: boot tpm=golden

. "$DERIVED/tests/lib/lib.sh"

export PATH=$DERIVED/bin:$PATH
iv=000102030405060708090a0b0c0d0e0f
ccm_iv=03a0a1a2a3a4a5a6a7a8a9aa00000000	# L - 1, a nonce of 11 bytes, a counter
work=/run/af-alg
mkdir -m 777 $work
head -c 4096 /usr/bin/keyctl >$work/plain

plan_later
# ccm(aes) needs twins of 32 bytes. tests/e2e/use.sh explains their risk.
ok 'the module loads' load_module short_twins=1

# Compute the key in user space, from the root secret of this TPM, which tpm2-tools has computed.
oracle() { # UID REQUEST
	awk '$1 == "root" && $2 == "golden" { print $4 }' "$DERIVED/tests/vectors/golden.tsv" |
		"$DERIVED/tools/derived-keys-recover" key --root-hex-file - --uid "$1" --program /usr/bin/keyctl \
			--hex "$2" 2>/dev/null
}
oracle 1000 '64 path,noread user v1' >$work/user.key
oracle 0 '32 path,noread root v1' >$work/root.key
like "the oracle knows the user's key" "$(cat $work/user.key)" '^[0-9a-f]{128}$'
like "the oracle knows root's key" "$(cat $work/root.key)" '^[0-9a-f]{64}$'

# in_user_space encrypt|decrypt xts|ccm KEY-FILE <INPUT >OUTPUT
cat >$work/in_user_space <<'END'
import sys
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
what, how, file, iv, aad = sys.argv[1:]
key, iv, aad, data = bytes.fromhex(open(file).read()), bytes.fromhex(iv), bytes.fromhex(aad), sys.stdin.buffer.read()
if how == "xts":
    cipher = Cipher(algorithms.AES(key), modes.XTS(iv))
    run = cipher.encryptor() if what == "encrypt" else cipher.decryptor()
    result = run.update(data) + run.finalize()
else:
    cipher = AESCCM(key, tag_length=16)
    result = (cipher.encrypt if what == "encrypt" else cipher.decrypt)(iv[1:12], data, aad)
sys.stdout.buffer.write(result)
END
user_space() { python3 $work/in_user_space "$@"; }
# by_user SH-COMMANDS: run them as uid 1000, with a session keyring of its own
by_user() {
	as_user 1000 sh -c 'export PATH='"$PATH"'; cd '$work"; $1"
}
same() { cmp "$1" "$2"; }
# set_key TYPE ALGORITHM SERIAL: print "ok" or the errno. AF_ALG is not restricted meanwhile.
set_key() {
	local restrict=/proc/sys/crypto/af_alg_restrict
	[ ! -e $restrict ] || echo 0 >$restrict
	python3 "$DERIVED/tests/e2e/use.py" set "$@"
	[ ! -e $restrict ] || echo 1 >$restrict
}
sum() { sha256sum <"$1"; }

# Both types, with the kernel's own af_alg, and with the patched one.
for af_alg in stock patched; do
	if [ $af_alg = patched ]; then
		rmmod algif_skcipher algif_aead af_alg
		ok 'the patched af_alg loads' insmod "$DERIVED/patched/af_alg.ko"
	fi
	modprobe -a algif_skcipher algif_aead
	is "this is the $af_alg af_alg" "$(tr -d E </sys/module/af_alg/taint)" "$([ $af_alg = stock ] || echo O)"
	for type in logon derived; do
		with="$af_alg af_alg, type $type"
		keyctl clear @s		# the kernel would return an existing key for any request
		rm -f $work/cipher $work/again
		# The user's key, for an algorithm that all users may use.
		# shellcheck disable=SC2016	# for the user's shell
		if [ $type = logon ]; then
			get='keyctl request2 derived vault "64 path,logon,noread user v1" @s >/dev/null
				key=$(keyctl search @s logon derived:vault)'
		else
			get='key=$(keyctl add derived vault "64 path,noread user v1" @s)'
		fi
		if [ "$af_alg $type" = 'stock derived' ]; then
			fails "$with: a user's key is refused" by_user \
				"$get; afalg encrypt skcipher 'xts(aes)' \$key $iv <plain >cipher"
			like "$with: with ENOPROTOOPT" "$out" 'ALG_SET_KEY_BY_KEY_SERIAL: Protocol not available'
			key=$(keyctl add derived root '32 path,noread root v1' @s)
			fails "$with: root's key is refused, too" afalg encrypt aead 'ccm(aes)' "$key" $ccm_iv </dev/null
			like "$with: with ENOPROTOOPT again" "$out" 'ALG_SET_KEY_BY_KEY_SERIAL: Protocol not available'
			continue
		fi
		ok "$with: a user encrypts with xts(aes)" by_user \
			"$get; afalg encrypt skcipher 'xts(aes)' \$key $iv <plain >cipher"
		isnt "$with: the text is encrypted" "$(sum $work/cipher)" "$(sum $work/plain)"
		user_space decrypt xts $work/user.key $iv '' <$work/cipher >$work/again
		ok "$with: user space decrypts it with the oracle's key" same $work/again $work/plain
		user_space encrypt xts $work/user.key $iv '' <$work/plain >$work/cipher2
		ok "$with: the kernel decrypts what user space has encrypted" by_user \
			"$get; afalg decrypt skcipher 'xts(aes)' \$key $iv <cipher2 | cmp - plain"

		# Root's key, for authenticated encryption.
		if [ $type = logon ]; then
			keyctl request2 derived root '32 path,logon,noread root v1' @s >/dev/null
			key=$(keyctl search @s logon derived:root)
		else
			key=$(keyctl add derived root '32 path,noread root v1' @s)
		fi
		rm -f $work/cipher
		afalg encrypt aead 'ccm(aes)' "$key" $ccm_iv 616164 <$work/plain >$work/cipher
		is "$with: root's ccm(aes) adds a tag" "$(stat -c %s $work/cipher)" $((4096 + 16))
		user_space decrypt ccm $work/root.key $ccm_iv 616164 <$work/cipher >$work/again
		ok "$with: user space decrypts root's text with the oracle's key" same $work/again $work/plain
		afalg decrypt aead 'ccm(aes)' "$key" $ccm_iv 616164 <$work/cipher >$work/again
		ok "$with: the kernel decrypts it, too" same $work/again $work/plain
		printf 'X' | dd of=$work/cipher bs=1 seek=100 conv=notrunc status=none
		fails "$with: an altered text is not decrypted" sh -c \
			"afalg decrypt aead 'ccm(aes)' $key $ccm_iv 616164 <$work/cipher"
		like "$with: because its tag is wrong" "$out" 'read: Bad message'

		if [ $type = derived ]; then
			# Uses that give the key away, and lengths that are too short if 80 bits of the
			# key become known.
			for hash in 'hmac(sha256)' 'hmac(md5)' 'cmac(aes)'; do
				is "$with: the key is refused for $hash" "$(set_key hash "$hash" "$key")" ENOPROTOOPT
			done
			is "$with: the key is refused for a random number generator" \
				"$(set_key rng jitterentropy_rng "$key")" ENOPROTOOPT
			for length in 16 24 31; do
				short=$(keyctl add derived short "$length path,noread" @s)
				is "$with: $length bytes are refused for a cipher that takes this length" \
					"$(set_key skcipher 'cbc(serpent)' "$short")" EINVAL
			done
			short=$(keyctl add derived short "32 path,noread" @s)
			is "$with: 32 bytes are accepted for this cipher" "$(set_key skcipher 'cbc(serpent)' "$short")" ok
		fi

		# The length of the key, and its owner.
		fails "$with: a key of a length that the algorithm does not take is refused" \
			afalg encrypt skcipher 'xts(aes)' "$(keyctl request2 derived odd '40 path,logon' @s >/dev/null
				keyctl search @s logon derived:odd)" $iv
		like "$with: the errno is EINVAL" "$out" 'ALG_SET_KEY_BY_KEY_SERIAL: Invalid argument'
		fails "$with: a user cannot use root's key" by_user \
			"afalg encrypt skcipher 'xts(aes)' $key $iv <plain"
		like "$with: the user may not search it" "$out" 'ALG_SET_KEY_BY_KEY_SERIAL: Permission denied'
		keyctl unlink "$key" @s
		fails "$with: root cannot use the key after it is unlinked" \
			afalg encrypt aead 'ccm(aes)' "$key" $ccm_iv
		like "$with: root may not search it any more" "$out" 'ALG_SET_KEY_BY_KEY_SERIAL: (Permission denied|Required key not available)'
	done
done

# The algorithms that 7.3 allows by default.
key=$(keyctl add derived vault '32 path,noread' @s)
if [ -e /proc/sys/crypto/af_alg_restrict ]; then
	is 'this kernel restricts AF_ALG' "$(cat /proc/sys/crypto/af_alg_restrict)" 1
	fails 'ccm(aes) is not for users' by_user "afalg encrypt aead 'ccm(aes)' $key $ccm_iv </dev/null"
	like 'a user does not find ccm(aes)' "$out" 'bind: No such file or directory'
	fails 'gcm(aes) is not even for root' afalg encrypt aead 'gcm(aes)' "$key" 000102030405060708090a0b
	like 'root does not find gcm(aes)' "$out" 'bind: No such file or directory'
	echo 0 >/proc/sys/crypto/af_alg_restrict
else
	ok 'this kernel has no restriction: a user may use ccm(aes), too' by_user \
		"afalg encrypt aead 'ccm(aes)' \$(keyctl request2 derived vault '32 path,logon,noread' @s >/dev/null
			keyctl search @s logon derived:vault) $ccm_iv <plain"
fi
ok 'unrestricted, gcm(aes) works' sh -c \
	"afalg encrypt aead 'gcm(aes)' $key 000102030405060708090a0b <$work/plain >$work/cipher"

# The patched af_alg looks at the key type itself, not at its name.
ok 'the module unloads while the patched af_alg is loaded' unload_module
ok 'another module registers a key type of the same name' insmod "$DERIVED/modules/impostor.ko"
key=$(keyctl add derived impostor 0123456789abcdef0123456789abcdef @s)
is 'the patched af_alg refuses the keys of that type' "$(set_key skcipher 'ctr(aes)' "$key")" ENOPROTOOPT
is 'it accepts a key of type user with the same bytes' \
	"$(set_key skcipher 'ctr(aes)' "$(keyctl add user impostor 0123456789abcdef0123456789abcdef @s)")" ok
rmmod impostor
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# af-alg.sh: AF_ALG with a key by its serial, on a stock kernel and with a patched af_alg.
#
# What the kernel encrypts, Python decrypts, with the key that derived-keys-recover computes; and
# the other way round.  With the patches, a derived key is for no hash.
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
# Twins of 32 bytes, for ccm(aes): tests/e2e/use.sh tells what that means.
ok 'the module loads' load_module short_twins=1

# The key, computed in user space: from K_root of this TPM, which tpm2-tools gave.
oracle() { # UID REQUEST
	awk '$1 == "root" && $2 == "golden" { print $4 }' "$DERIVED/tests/vectors/golden.tsv" |
		"$DERIVED/tools/derived-keys-recover" key --root-hex-file - --uid "$1" --program /usr/bin/keyctl \
			--hex "$2" 2>/dev/null
}
oracle 1000 '64 path,noread user v1' >$work/user.key
oracle 0 '32 path,noread root v1' >$work/root.key
like "the oracle knows the user's key" "$(cat $work/user.key)" '^[0-9a-f]{128}$'
like "and root's" "$(cat $work/root.key)" '^[0-9a-f]{64}$'

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
# by_user SH-COMMANDS: as uid 1000, with a session keyring of its own; $1 is the request
by_user() {
	as_user 1000 sh -c 'export PATH='"$PATH"'; cd '$work"; $1"
}
same() { cmp "$1" "$2"; }
# set_key TYPE ALGORITHM SERIAL: "ok" or the errno.  Where the algorithm is restricted, it is not now.
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
		keyctl clear @s		# a key that is there would be returned for any request
		rm -f $work/cipher $work/again
		# The user's: any algorithm that is for everybody.
		# shellcheck disable=SC2016	# for the user's shell
		if [ $type = logon ]; then
			get='keyctl request2 derived vault "64 path,logon,noread user v1" @s >/dev/null
				key=$(keyctl search @s logon derived:vault)'
		else
			get='key=$(keyctl add derived vault "64 path,noread user v1" @s)'
		fi
		if [ "$af_alg $type" = 'stock derived' ]; then
			fails "$with: it is refused" by_user \
				"$get; afalg encrypt skcipher 'xts(aes)' \$key $iv <plain >cipher"
			like "$with: with ENOPROTOOPT" "$out" 'ALG_SET_KEY_BY_KEY_SERIAL: Protocol not available'
			key=$(keyctl add derived root '32 path,noread root v1' @s)
			fails "$with: root's too" afalg encrypt aead 'ccm(aes)' "$key" $ccm_iv </dev/null
			like "$with: with ENOPROTOOPT again" "$out" 'ALG_SET_KEY_BY_KEY_SERIAL: Protocol not available'
			continue
		fi
		ok "$with: a user encrypts with xts(aes)" by_user \
			"$get; afalg encrypt skcipher 'xts(aes)' \$key $iv <plain >cipher"
		isnt "$with: it is encrypted" "$(sum $work/cipher)" "$(sum $work/plain)"
		user_space decrypt xts $work/user.key $iv '' <$work/cipher >$work/again
		ok "$with: and decrypted in user space with the oracle's key" same $work/again $work/plain
		user_space encrypt xts $work/user.key $iv '' <$work/plain >$work/cipher2
		ok "$with: encrypted in user space, it is decrypted by the kernel" by_user \
			"$get; afalg decrypt skcipher 'xts(aes)' \$key $iv <cipher2 | cmp - plain"

		# Root's: authenticated.
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
		ok "$with: it is decrypted in user space with the oracle's key" same $work/again $work/plain
		afalg decrypt aead 'ccm(aes)' "$key" $ccm_iv 616164 <$work/cipher >$work/again
		ok "$with: and by the kernel" same $work/again $work/plain
		printf 'X' | dd of=$work/cipher bs=1 seek=100 conv=notrunc status=none
		fails "$with: changed on the way, it is not" sh -c \
			"afalg decrypt aead 'ccm(aes)' $key $ccm_iv 616164 <$work/cipher"
		like "$with: for that reason" "$out" 'read: Bad message'

		if [ $type = derived ]; then
			# What gives keys away, and what cannot bear that 80 bits of it are known.
			for hash in 'hmac(sha256)' 'hmac(md5)' 'cmac(aes)'; do
				is "$with: not for $hash" "$(set_key hash "$hash" "$key")" ENOPROTOOPT
			done
			is "$with: nor for a random number generator" "$(set_key rng jitterentropy_rng "$key")" ENOPROTOOPT
			for length in 16 24 31; do
				short=$(keyctl add derived short "$length path,noread" @s)
				is "$with: not $length bytes, for a cipher that takes them" \
					"$(set_key skcipher 'cbc(serpent)' "$short")" EINVAL
			done
			short=$(keyctl add derived short "32 path,noread" @s)
			is "$with: but 32" "$(set_key skcipher 'cbc(serpent)' "$short")" ok
		fi

		# Whose key it is.
		fails "$with: a length that is not the algorithm's" \
			afalg encrypt skcipher 'xts(aes)' "$(keyctl request2 derived odd '40 path,logon' @s >/dev/null
				keyctl search @s logon derived:odd)" $iv
		like "$with: is refused" "$out" 'ALG_SET_KEY_BY_KEY_SERIAL: Invalid argument'
		fails "$with: root's key is not for a user" by_user \
			"afalg encrypt skcipher 'xts(aes)' $key $iv <plain"
		like "$with: who cannot search it" "$out" 'ALG_SET_KEY_BY_KEY_SERIAL: Permission denied'
		keyctl unlink "$key" @s
		fails "$with: nor is it root's any more, once it is unlinked" \
			afalg encrypt aead 'ccm(aes)' "$key" $ccm_iv
		like "$with: who cannot search it either" "$out" 'ALG_SET_KEY_BY_KEY_SERIAL: (Permission denied|Required key not available)'
	done
done

# What 7.3 lets through by default.
key=$(keyctl add derived vault '32 path,noread' @s)
if [ -e /proc/sys/crypto/af_alg_restrict ]; then
	is 'this kernel restricts AF_ALG' "$(cat /proc/sys/crypto/af_alg_restrict)" 1
	fails 'ccm(aes) is for root' by_user "afalg encrypt aead 'ccm(aes)' $key $ccm_iv </dev/null"
	like 'for a user there is no such algorithm' "$out" 'bind: No such file or directory'
	fails 'gcm(aes) is for nobody' afalg encrypt aead 'gcm(aes)' "$key" 000102030405060708090a0b
	like 'for root there is no such algorithm either' "$out" 'bind: No such file or directory'
	echo 0 >/proc/sys/crypto/af_alg_restrict
else
	ok 'this kernel restricts nothing: ccm(aes) is for a user too' by_user \
		"afalg encrypt aead 'ccm(aes)' \$(keyctl request2 derived vault '32 path,logon,noread' @s >/dev/null
			keyctl search @s logon derived:vault) $ccm_iv <plain"
fi
ok 'unrestricted, gcm(aes) works' sh -c \
	"afalg encrypt aead 'gcm(aes)' $key 000102030405060708090a0b <$work/plain >$work/cipher"

# It is the type that counts, and not its name.
ok 'the module unloads, though the patched af_alg is loaded' unload_module
ok 'another module registers a type of that name' insmod "$DERIVED/modules/impostor.ko"
key=$(keyctl add derived impostor 0123456789abcdef0123456789abcdef @s)
is 'whose keys the patched af_alg does not take' "$(set_key skcipher 'ctr(aes)' "$key")" ENOPROTOOPT
is 'but one of type user with the same bytes' \
	"$(set_key skcipher 'ctr(aes)' "$(keyctl add user impostor 0123456789abcdef0123456789abcdef @s)")" ok
rmmod impostor
done_testing

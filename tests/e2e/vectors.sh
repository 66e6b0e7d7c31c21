#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# vectors.sh: the kernel computes the golden vectors, byte for byte.
#
# vm: boot tpm=golden
# vm: boot tpm=other
# vm: boot tpm=golden

. "$DERIVED/tests/lib/lib.sh"

plan_later
# Further PCRs are not in these boots: the firmware has extended them. capped-faults.sh has TPMs without firmware.
case $BOOT in
1) tpm=golden cap=13 ;;
2) tpm=other cap=13 ;;
3) tpm=golden cap=8 ;;
esac
capped_check=$(awk -F'\t' -v tpm="$tpm" -v root="$cap" '$1 == "capped-root" && $2 == tpm && $3 == root { print $9 }' \
	"$DERIVED/tests/vectors/golden.tsv")

status() { sed -n "s/^$1: //p" /sys/module/derived_keys/parameters/status; }

ok "the module loads with cap=$cap" load_module "cap=$cap" "expect_capped_root=$capped_check"
is "root check value of the TPM \"$tpm\"" "$(status 'root check')" \
	"$(awk -F'\t' -v tpm="$tpm" '$1 == "root" && $2 == tpm { print $3 }' "$DERIVED/tests/vectors/golden.tsv")"

is "capped root check value of the TPM \"$tpm\", PCR $cap" "$(status 'capped root check')" "$capped_check"

# The programs that make the requests. They have fixed bytes, and are made here.
for variant in a b; do
	"$DERIVED/tests/vectors/make-tiny-elf" $variant /root/tiny-$variant
	is "tiny-elf $variant has the digest that the vectors were computed with" \
		"$(sha256sum </root/tiny-$variant | cut -d' ' -f1)" \
		"$(awk -F'\t' -v v="$variant" '$1 == "elf" && $2 == v { print $3 }' "$DERIVED/tests/vectors/golden.tsv")"
done

# The key is made in a session keyring of that user. /proc/keys shows its check value. Only the program
# itself can read its bytes, unless it is a noread key, and prints them.
# shellcheck disable=SC2016
ask='"$1" vector "$2" derived $3 | od -An -v -tx1 | tr -d " \n"
	status=${PIPESTATUS[0]}
	[ "$status" -eq 0 ] || { echo "exit status $status"; exit; }
	echo
	sed -n "s/.* vector: .* kcv://p" /proc/keys'

count=0
# Records "key" as they are, and records "capped-key" of this root without their field ROOT.
while IFS=$'\t' read -r name uid path variant _ request kcv key _; do
	count=$((count + 1))
	mkdir -p "${path%/*}"
	install -m 755 "/root/tiny-$variant" "$path"
	# This option is for request_key(2), and does not change the key.
	request=${request/,logon/}
	options=${request#* }
	read='read'
	[[ ,${options%% *}, != *,noread,* ]] || { key='' read=''; }
	got=$(setpriv --reuid "$uid" --clear-groups keyctl session - bash -c "$ask" bash "$path" "$request" $read 2>/dev/null)
	is "$name" "$got" "$key"$'\n'"$kcv"
done < <(awk -F'\t' -v OFS='\t' -v tpm="$tpm" -v root="$cap" '
	$1 == "key" && $2 == tpm || $1 == "capped-key" && $2 == tpm && $3 == root {
		sub($1 == "key" ? "^[^\t]*\t[^\t]*\t" : "^[^\t]*\t[^\t]*\t[^\t]*\t", "")
		print
	}' "$DERIVED/tests/vectors/golden.tsv")
[ $count -gt 0 ]
tap_point $? "there are vectors for the TPM \"$tpm\" ($count)"

tpm_slots_empty 'nothing is left in the TPM'
done_testing

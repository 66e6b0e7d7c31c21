# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# stress.sh: what the scripts of tests/stress share: a seed, quotas that do not interfere, and checks that all is
# well afterwards.

# boot_word NAME DEFAULT: print N if the kernel's command line has vm_NAME=N, else DEFAULT.
boot_word() {
	local word
	word=$(grep -oE "(^| )vm_$1=[0-9]+" /proc/cmdline)
	echo "${word##*=}" | grep . || echo "$2"
}
choose_seed() {
	seed=$(boot_word seed $((RANDOM * 32768 + RANDOM)))
	note "seed $seed (make check ARGS=\"vm_seed=$seed\" runs with the same again)"
}

# keys_of UID: how many keys count towards the user's quota. bytes_of prints how many bytes they take.
keys_of() { sed -n "s|^ *$1: .* \([0-9]*\)/[0-9]* [0-9]*/[0-9]*\$|\1|p" /proc/key-users; }
accounts() {
	local uid
	for uid; do echo "$uid: $(keys_of "$uid") keys, $(bytes_of "$uid") bytes"; done
}

# settled UID...: print the accounts after they have not changed for a second. The keyrings of a process are removed
# only some time after its end.
settled() {
	local got='' last same=0
	while [ $same -lt 4 ]; do
		last=$got
		got=$(accounts "$@")
		same=$((same + 1))
		[ "$got" = "$last" ] || same=0
		sleep 0.25
	done
	echo "$got"
}

# With these high quotas, EDQUOT can only mean that quota was not given back.
lift_quota() {
	local name
	for name in maxkeys root_maxkeys; do echo 1000000 >/proc/sys/kernel/keys/$name; done
	for name in maxbytes root_maxbytes; do echo 100000000 >/proc/sys/kernel/keys/$name; done
}

# golden: print the bytes and the check value of the key that keyctl(1) gets with the TPM of
# tests/vectors/tpm-golden. README.md shows that check value.
golden() {
	# shellcheck disable=SC2016
	keyctl session - sh -c 'keyctl print $(keyctl add derived golden "64 path nas-disk v1" @s)
		sed -n "s/.* golden: .*kcv://p" /proc/keys' 2>/dev/null
}

# begin_stress UID...: record the state before the stress. well_afterwards UID...: check that the state is the same
# again. Root and these users make the stress. Their user keyrings outlive their processes, so those are cleared,
# and the link that the kernel makes between two of them is put back.
begin_stress() {
	local uid
	lift_quota
	for uid; do as_user "$uid" true; done
	golden_before=$(golden)
	like 'the golden key is the one that README.md shows' "$golden_before" '^4d5adf5e0588f0ba$'
	accounts_before=$(settled 0 "$@")
}
well_afterwards() {
	local uid shown empty='keyctl clear @u && keyctl clear @us && keyctl link @u @us'
	sh -c "$empty"
	for uid; do as_user "$uid" sh -c "$empty"; done
	is 'each user has as many keys and bytes on the account as before' \
		"$(until_is "$accounts_before" accounts 0 "$@")" "$accounts_before"
	# /proc/keys shows a user only the keys with view permission. The accounts have counted the others.
	shown=$(cat /proc/keys; for uid; do as_user "$uid" cat /proc/keys; done)
	unlike 'no derived key is left' "$shown" ' (derived|\.dead) |derived:'
	is 'the golden key is still the same' "$(golden)" "$golden_before"
	is 'nothing holds a reference to the module' "$(cat /sys/module/derived_keys/refcnt)" 0
	ok 'the module unloads' unload_module
	tpm_slots_empty 'nothing is left in the TPM'
}

# counted TEXT OPERATION [OUTCOME]: the sum of the matching lines "OPERATION OUTCOME COUNT". OPERATION may be "any".
counted() {
	awk -v op="$2" -v o="${3-}" 'NF == 3 && (op == "any" || $1 == op) && (!o || $2 == o) { n += $3 }
		END { print n + 0 }' <<<"$1"
}
# print_table TEXT: print these lines as a table with a row for each operation.
print_table() {
	local line
	awk 'NF == 3 && $3 ~ /^[0-9]+$/ {
		if (!($1 in row)) order[n++] = $1
		row[$1] = row[$1] sprintf(" %s %d,", $2, $3)
	} END { for (i = 0; i < n; i++) printf "%-18s%s\n", order[i], row[order[i]] }' <<<"$1" |
		while IFS= read -r line; do note "${line%,}"; done
}
# unexpected TEXT TABLE: print the lines of TEXT whose outcome is not in the operation's row of the table.
unexpected() {
	awk 'NR == FNR { for (i = 2; i <= NF; i++) allowed[$1, $i] = 1; next }
		NF == 3 && $3 ~ /^[0-9]+$/ && !(($1, $2) in allowed)' <(echo "$2") <(echo "$1")
}

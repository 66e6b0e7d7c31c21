# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# attack-lib.sh: what the scripts of the attack suite share: the victim and the attacker's files in the
# virtual machine, and what an attack came to.

bin=$DERIVED/bin
home=/home/user/attack		# the attacker's own directory

# The victim, and what an attacker needs.
prepare_attacks() {
	install -m 755 "$bin/x" /usr/bin/x
	# /usr/bin/x in here is the attacker's.
	install -d -o 1000 -g 1000 $home $home/tree $home/tree/usr $home/tree/usr/bin $home/binfmt
	install -o 1000 -g 1000 -m 755 "$bin/evil-loader" $home/tree/usr/bin/x
	cd $home || bail_out "there is no $home"
}

# As the attacker, who is also the victim's user: X cannot be protected from its own user's
# debugger (P22), but from everything else.
as_attacker() {
	setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all "$@"
}

gates_off=/sys/module/derived_keys/parameters/gates_off
# shellcheck disable=SC2034 # for those who source this
readonly READER=7 RFC=255
# gates BIT...: switch these off, and no other.
gates() {
	local mask=0 bit
	for bit; do mask=$((mask | 1 << bit)); done
	echo $mask >$gates_off
}

# outcome TEXT KEY [KCV]: what an attack came to, from what it printed, when KEY is the victim's:
#	KEY	the attacker's code has printed the victim's key
#	held	it has a key with the victim's check value, which it may use but not read
#	its key	the same, but it was X that printed it
#	another key, or an errno's name; anything else: the attack did not come off
outcome() {
	local line result=''
	while read -r line; do
		if [ -n "$2" ] && [ "$line" = "evil $2" ]; then
			result=KEY
			break
		elif [ -n "$2" ] && [ "$line" = "x $2" ]; then
			result='its key'
		elif [ -n "${3-}" ] && [ "$line" = "holds $3" ]; then
			result=held
		elif [[ $line =~ ^(evil|x)\ (E[A-Z]+|read:E[A-Z]+)$ ]]; then
			[ "$result" = held ] || result=${BASH_REMATCH[2]}
		elif [[ $line =~ ^(evil|x)\ [0-9a-f]{64}$ ]]; then
			result='another key'
		else
			result="did not come off: $line"
		fi
	done <<<"$1"
	echo "$result"
}

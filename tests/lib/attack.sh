# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# attack.sh: what the scripts of the attack suite share: the victim and the attacker's files in the virtual
# machine, the outcome of an attack, and the table of attacks.

bin=$DERIVED/bin
home=/home/user/attack		# the attacker's own directory

# Install the victim, and what an attacker needs.
prepare_attacks() {
	install -m 755 "$bin/x" /usr/bin/x
	# In this tree, /usr/bin/x is the attacker's program.
	install -d -o 1000 -g 1000 $home $home/tree $home/tree/usr $home/tree/usr/bin $home/binfmt
	install -o 1000 -g 1000 -m 755 "$bin/evil-loader" $home/tree/usr/bin/x
	cd $home || bail_out "there is no $home"
}

# as_attacker CMD...: run it as the attacker, who is the same user as the victim. The program X cannot be protected
# from a debugger of its own user (P22), but it can be from everything else.
as_attacker() {
	setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --bounding-set=-all "$@"
}

gates_off=/sys/module/derived_keys/parameters/gates_off
# shellcheck disable=SC2034 # the scripts that source this use them
readonly READER=7 RFC=255
# gates BIT...: switch these gates off, and all others on.
gates() {
	local mask=0 bit
	for bit; do mask=$((mask | 1 << bit)); done
	echo $mask >$gates_off
}

# script NAME: print a script that makes the request in its argument, and prints the key after NAME.
script() {
	cat <<END
#!/usr/bin/perl
my (\$type, \$name, \$request, \$key) = ("derived", "attack", \$ARGV[0] // "32 path", "\0" x 64);
\$id = syscall(248, \$type, \$name, \$request, length(\$request), -2);
\$len = \$id < 0 ? -1 : syscall(250, 11, \$id, \$key, 64);
print "$1 ", \$len < 0 ? (\$! == 1 ? "EPERM" : \$!) : unpack("H*", substr(\$key, 0, \$len)), "\n";
END
}

# outcome TEXT KEY [KCV]: print the outcome of an attack. TEXT is the output of the attack, KEY the victim's key:
#	KEY	the attacker's code has printed the victim's key
#	held	it has a key with the victim's check value; it may use that key but not read it
#	its key	the victim's key was printed, but by X
#	another key, or an errno's name
#	hangs	there is no answer; answered: there is some answer
# Anything else means that the attack could not be carried out.
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
		elif [ "$line" = hangs ] || [ "$line" = answered ]; then
			result=$line
		else
			result="could not be carried out: $line"
		fi
	done <<<"$1"
	echo "$result"
}

# The table of a script, $table, has one attack in each line:
#	row | with our gates | gates that close it | without those | RFC's rules | description
# The outcomes are those of outcome(). If several gates close a row, each of them does so alone.
#
# The script has three functions: "attack ROW" prints the attacker's result, in the words of ask.h;
# "victim ROW" prints the key that the attack aims at, as the undisturbed victim gets it; and "key_name ROW"
# prints a name for that key, which is the same for all rows with the same key.
#
# not_here ROW OUTCOME: if the outcome shows that the row is impossible on this kernel, print what is missing,
# for the points that are skipped.
not_here() { return 1; }
late_victims=()		# rows whose victim is also refused while the gates are on

declare -A key ours test_build without rfc
rows=() opened_by=()
# try ROW: print the outcome of the attack, in the words of the table.
try() {
	outcome "$(attack "$1" 2>"/run/stderr-$1" </dev/null)" "${key[$1]#* }" "${kcv-}"
}
in_words() {
	case $1 in
	KEY)	echo 'it succeeds' ;;
	held)	echo 'the attacker holds the key, and cannot read it' ;;
	hangs)	echo 'it hangs, with the key types locked' ;;
	answered) echo 'it is answered' ;;
	another*) echo 'it gives another key' ;;
	E*)	echo "it is refused with $1" ;;
	*)	echo "$1" ;;
	esac
}

# Try each row of the table with the ordinary module.
with_our_gates() {
	local row want closed_by off_want rfc_want what name missing
	while IFS='|' read -r row want closed_by off_want rfc_want what; do
		[ -n "$row" ] || continue
		if [[ " ${late_victims[*]} " != *" $row "* ]]; then
			name=$(key_name "$row")
			[ -n "${key[$name]-}" ] || key[$name]=$(victim "$row" </dev/null)
			key[$row]=${key[$name]}
		fi
		ours[$row]=$(try "$row")
		if missing=$(not_here "$row" "${ours[$row]}"); then
			skip "$row is for kernels with $missing" 'there is no such thing'
			continue
		fi
		rows+=("$row|$want|$closed_by|$off_want|$rfc_want|$what")
		is "$row, $what: $(in_words "$want")" "${ours[$row]}" "$want"
	done <<<"${table?}"
}

# without_gates BIT...: try each row on the test build, first with all gates off, then with those gates off that
# close it, and then with all but one of those off. Each gate BIT... must close a row that no other gate closes.
without_gates() {
	local line row want closed_by off_want rfc_want what bits bit others other alone disagree=''
	echo $RFC >$gates_off
	for row in "${late_victims[@]}"; do key[$row]=$(victim "$row"); done
	for line in "${rows[@]}"; do
		IFS='|' read -r row want closed_by off_want rfc_want what <<<"$line"
		echo $RFC >$gates_off
		rfc[$row]=$(try "$row")
		is "$row, by the rules of the RFC: $(in_words "$rfc_want")" "${rfc[$row]}" "$rfc_want"
		[ -n "$closed_by" ] || continue
		gates
		test_build[$row]=$(try "$row")
		read -ra bits <<<"$closed_by"
		gates "${bits[@]}"
		without[$row]=$(try "$row")
		is "$row, without G${closed_by// / and G}: $(in_words "$off_want")" "${without[$row]}" "$off_want"
		if [ ${#bits[@]} -eq 1 ]; then
			[ "${without[$row]}" != "$off_want" ] || opened_by[closed_by]+=" $row"
		fi
		# Once for each kind of attack is enough.
		[[ ${#bits[@]} -gt 1 && $row != *:* ]] || continue
		alone=''
		for bit in "${bits[@]}"; do
			others=()
			for other in "${bits[@]}"; do [ "$other" = "$bit" ] || others+=("$other"); done
			gates "${others[@]}"
			alone+="G$bit: $(try "$row"). "
		done
		is "$row is refused by each of G${closed_by// /, G} alone" "$alone" \
			"$(printf 'G%s: EPERM. ' "${bits[@]}")"
	done
	for row in "${!test_build[@]}"; do
		[ "${test_build[$row]}" = "${ours[$row]}" ] || disagree+="$row: ${test_build[$row]}; "
	done
	is 'with all its gates on, the test build agrees in every row that a gate closes' "$disagree" ''
	for bit; do
		isnt "G$bit alone closes something:${opened_by[bit]-}" "${opened_by[bit]-}" ''
	done
}

print_table() {
	local line row closed_by what
	note "row          | RFC's rules     | ours            | closed by      | attack"
	for line in "${rows[@]}"; do
		IFS='|' read -r row _ closed_by _ _ what <<<"$line"
		printf '# %-12s | %-15s | %-15s | %-14s | %s\n' "$row" "${rfc[$row]}" "${ours[$row]}" \
			"${closed_by:+G${closed_by// /, G}}" "$what"
	done
}

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bus.sh: an eavesdropper on the TPM's bus does not learn the root secret, unless the administrator
# allows it (require_encryption=0). The eavesdropper never learns the capped root secret.
#
# swtpm logs every byte that crosses the bus; bus.observer searches that log on the host. In the second
# boot, an error is forged as the answer to every command that starts a session. By default, this
# gives the eavesdropper nothing. Then, with require_encryption=0, the same search finds the root
# secret.
#
# The third and the fourth boot do the same with cap=13. The capped root needs a policy session, so that
# require_encryption=0 does not let it cross the bus in clear.
#
# vm: boot tpm=golden
# vm: boot tpm=golden proxy="StartAuthSession:rc=0x2c4"
# vm: boot tpm=golden
# vm: boot tpm=golden proxy="StartAuthSession:rc=0x2c4"
# vm: observer bus.observer

. "$DERIVED/tests/lib/lib.sh"
use_own_sessions

parameters=/sys/module/derived_keys/parameters
status() { sed -n "s/^$1: //p" $parameters/status; }

plan_later
input='derived-keys v1 capped root'
case $BOOT in
3)
	"$DERIVED/bin/cap-race" /dev/tpmrm0 1 /run/race &
	sleep 2
	kill $!
	like 'before the cap, a program fetches the capped root without encryption: the search finds it' \
		"$(ask_observer capped)" '^[1-9][0-9]* times, 25 of 25 pieces'
	like 'the same search finds the input of the HMAC' "$(ask_observer text "$input")" \
		'^[1-9][0-9]* times, 20 of 20 pieces'
	ask_observer forget >/dev/null
	ok 'the module loads with cap=13' load_module cap=13
	is 'the capped root is held' "$(status capped)" held
	like 'the input of the HMAC has crossed the bus once' "$(ask_observer text "$input")" \
		'^1 times, 20 of 20 pieces, in [0-9]{4,} bytes$'
	like 'no piece of the capped root secret has crossed the bus' "$(ask_observer capped)" \
		'^0 times, 0 of 25 pieces, in [0-9]{4,} bytes$'
	like 'no piece of the root secret has crossed the bus' "$(ask_observer root)" \
		'^0 times, 0 of 25 pieces, in [0-9]{4,} bytes$'
	done_testing
	exit
	;;
4)
	ok 'with a forged error the module loads with cap=13 and require_encryption=0' \
		load_module cap=13 require_encryption=0
	like 'the plain root secret has crossed the bus, as the administrator allows' "$(ask_observer root)" \
		'^1 times, 25 of 25 pieces, in [0-9]{4,} bytes$'
	is 'the capped root was not fetched' "$(status capped)" missed
	like 'no piece of the capped root secret has crossed the bus' "$(ask_observer capped)" \
		'^0 times, 0 of 25 pieces, in [0-9]{4,} bytes$'
	# What it does not share with the input of the plain one.
	like 'the input of its HMAC has not crossed the bus either' "$(ask_observer text 'capped root')" \
		'^0 times, 0 of 4 pieces, '
	done_testing
	exit
	;;
esac
clear=
if [ "$BOOT" -eq 2 ]; then
	ok 'with a forged error the module loads' load_module
	errno_is 'with a forged error a request is refused' EOPNOTSUPP derived first '64 path,noread bus v1' @u
	echo 1 >$parameters/forget
	errno_is 'a second request, with a new fetch, is refused, too' EOPNOTSUPP derived second '32 csum' @u
	unload_module
	ok 'with a forged error the module loads with root=transient' load_module root=transient
	errno_is 'with root=transient a request is refused, too' EOPNOTSUPP derived third '64 path,noread bus v1' @u
	like 'nothing was fetched' "$(cat $parameters/status)" '^root: transient, never fetched$'
	unload_module
	like 'the TPM was asked three times for a null primary key, and never for the root secret' \
		"$(ask_observer commands)" '^([3-9]|[1-9][0-9]) null primary keys, 0 of the owner, 0 HMACs$'
	like 'no piece of the root secret has crossed the bus' "$(ask_observer root)" \
		'^0 times, 0 of 25 pieces, in [0-9]{4,} bytes$'
	like 'the input of the HMAC has not crossed the bus either' "$(ask_observer text 'derived-keys v1 root')" \
		'^0 times, 0 of 13 pieces, '
	clear=require_encryption=0
fi

# Four fetches: when the module is loaded, after forget, and for each key with root=transient.
ok 'the module loads' load_module $clear
ok 'a key is made' keyctl add derived first '64 path,noread bus v1' @u
echo 1 >$parameters/forget
ok 'a second key is made, with a new fetch' keyctl add derived second '32 csum' @u
first=$(status session)
unload_module
ok 'the module loads with root=transient' load_module root=transient $clear
for name in third fourth; do
	ok "the $name key is made" keyctl add derived $name '64 path,noread bus v1' @u
done
is 'the root secret is the golden one' "$(status 'root check')" \
	"$(awk '$1 == "root" && $2 == "golden" { print $3 }' "$DERIVED/tests/vectors/golden.tsv")"

seen=$(ask_observer root)
note "K_root: $seen"
# The input of the HMAC is not secret. The same search finds it.
like 'the input of the HMAC has crossed the bus four times' "$(ask_observer text 'derived-keys v1 root')" \
	'^4 times, 13 of 13 pieces, in [0-9]{4,} bytes$'
case $BOOT in
1)
	like 'the session is encrypted' "$first" "^(own|the kernel's), the TPM's answer is encrypted on its bus\$"
	like 'no piece of the root secret has crossed the bus' "$seen" '^0 times, 0 of 25 pieces, in [0-9]{4,} bytes$'
	is 'the four encrypted answers differ' "$(ask_observer answers)" '4 answers, 4 different, 0 plain'
	;;
2)
	is 'there is no session' "$first" "password, the TPM's answer crosses its bus unencrypted"
	like 'the root secret has crossed the bus four times' "$seen" '^4 times, 25 of 25 pieces, in [0-9]{4,} bytes$'
	is 'the four answers are the root secret' "$(ask_observer answers)" '4 answers, 1 different, 4 plain'
	;;
esac
is 'both kinds of fetch had the same kind of session' "$(status session)" "$first"
like 'the TPM was asked four times for the root secret' "$(ask_observer commands)" ' null primary keys, 4 of the owner, 4 HMACs$'
done_testing

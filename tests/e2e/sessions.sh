#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# sessions.sh: the module's own session with the TPM: what it is made of, what the log says of it,
# and that its null primary key is the one that an administrator can certify. And what there is where no
# session can be had: by default, no root secret. What crosses the bus is looked at in bus.sh, and what a
# lying TPM comes to in tpm-faults.sh.
#
# vm: boot tpm=golden
# vm: boot tpm=golden args="ima_policy=tcb"
# vm: boot tpm=golden proxy="StartAuthSession:rc=0x2d6"

. "$DERIVED/tests/lib/lib.sh"
use_own_sessions

golden=$(awk -F'\t' '$1 == "root" && $2 == "golden" { print $3 }' "$DERIVED/tests/vectors/golden.tsv")
parameters=/sys/module/derived_keys/parameters
session() { sed -n 's/^session: //p' $parameters/status; }

plan_later
# Who has the TPM to himself must not wait for a program to be run, such as modprobe: where IMA measures
# programs, that one waits for the TPM.  The crypto API's generator of random numbers is put together when
# it is first asked, of modules that may have to be loaded then: here, somebody has just brought another
# SHA-512.
if [ "$BOOT" -eq 2 ]; then
	modprobe -q sha512_ssse3
	{ cat "$(readlink -f /sbin/modprobe)"; echo not measured; } >/root/modprobe
	chmod 755 /root/modprobe
	echo /root/modprobe >/proc/sys/kernel/modprobe
	ok 'the module loads where the kernel would have to have a new modprobe measured' load_module
	done_testing
	exit
fi

# The lines of ours in the log since klog_mark.  Something else is there as well, to show that we can see.
mark() { klog_mark; echo 'sessions.sh: here' >/dev/kmsg; }
ours() {
	klog | grep -q 'sessions.sh: here' || echo 'the log cannot be read'
	klog | grep '^derived: '
}
# refuses WHAT REASON FILE PARAMETER...: by default, or with what means the same.
refuses() {
	local what=$1 reason=$2
	module=$3
	shift 3
	mark
	ok "$what: the module loads all the same" load_module "$@"
	is "$what: the log says what is wrong, what it would give away, and what to type" "$(ours)" \
		"derived: uid 0, \"$(realpath /sbin/insmod)\": refused: no encrypted session: $reason. Without one the \
root secret, and so every key, could be read on the TPM's bus. To allow that: \"options derived-keys \
require_encryption=0\" in /etc/modprobe.d/derived-keys.conf
derived: no root secret yet (errno 95): the first request will fetch it"
	is "$what: nothing was fetched" "$(cat $parameters/status)" 'root check: none
root: cached, never fetched'
	errno_is "$what: a request is EOPNOTSUPP, by what is remembered of that" EOPNOTSUPP derived x '32 path' @s
	echo 1 >$parameters/forget
	mark
	errno_is "$what: and so it is when the TPM has been asked anew" EOPNOTSUPP derived x '32 path' @s
	is "$what: no more is said within the minute" "$(ours)" ''
	is "$what: still nothing was fetched" "$(sed -n 's/^root check: //p' $parameters/status)" none
	unload_module
}
# serves_in_clear WHAT REASON FILE: with require_encryption=0.
serves_in_clear() {
	mark
	module=$3
	ok "$1: with require_encryption=0 the module loads" load_module require_encryption=0
	like "$1: the log says first who lets that happen" "$(ours | head -n 1)" \
		"^derived: require_encryption=0: the administrator lets the root secret cross the TPM's bus in clear, where no session encrypts it\$"
	is "$1: and then that it did, and why" "$(ours | sed '1d; s/, TPM: .*//')" \
		"derived: root check value $golden, session: password, the TPM's answer crosses its bus unencrypted
derived: no encrypted session: $2. The root secret crossed the TPM's bus in clear, as require_encryption=0 allows"
	is "$1: the parameter is shown" "$(cat $parameters/require_encryption)" N
	ok "$1: it serves" keyctl add derived clear '32 path' @s
	is "$1: without a session" "$(session)" "password, the TPM's answer crosses its bus unencrypted"
	unload_module
}

# A TPM that starts no session, or an attacker on its bus who says so.
if [ "$BOOT" -eq 3 ]; then
	refused='the TPM, or an attacker on its bus, refused it (TPM2_StartAuthSession: TPM_RC 0x2d6)'
	no_ecdh='this kernel has no ECDH (CONFIG_CRYPTO_ECC)'
	own=$module without=$DERIVED/no-ecdh/derived-keys.ko
	refuses 'a TPM that starts none' "$refused" "$own"
	refuses 'the same with require_encryption=1' "$refused" "$own" require_encryption=1
	serves_in_clear 'a TPM that starts none' "$refused" "$own"
	refuses 'a kernel without ECDH' "$no_ecdh" "$without"
	serves_in_clear 'a kernel without ECDH' "$no_ecdh" "$without"
	tpm_slots_empty 'nothing is left in that TPM'
	done_testing
	exit
fi

mount_tracing
modprobe -q sha512_ssse3
for function in tpm_try_get_ops tpm_put_ops __request_module; do
	echo "p:tpm_held/$function $function" >>$tracing/kprobe_events
done
echo 1 >$tracing/events/tpm_held/enable
ok 'the module loads for the first time' load_module
echo 0 >$tracing/events/tpm_held/enable
unload_module
held=$(awk '/: tpm_try_get_ops:/ { held[$1]++; times++ }
	/: tpm_put_ops:/ { held[$1]-- }
	/: __request_module:/ && held[$1] { print $1, "asks for a module" }
	END { print (times ? "ok" : "nobody has had the TPM") }' $tracing/trace)
is 'nobody asks for a module while he has the TPM to himself' "$held" ok

# Vectors that no code of ours has made.
ok 'KDFa and KDFe give what an independent implementation gives' insmod "$DERIVED/modules/kdf-vectors.ko"
like 'the log says so' "$(dmesg)" 'kdf-vectors: 414 outputs compared in 14 ways, 0 wrong$'
rmmod kdf_vectors
fails 'with a wrong vector that is noticed' insmod "$DERIVED/modules/kdf-vectors.ko" wrong=1

klog_mark
ok 'the module loads' load_module
is 'the session is its own' "$(session)" "own, the TPM's answer is encrypted on its bus"
is 'it has to be encrypted, unless it is said' "$(cat $parameters/require_encryption)" Y
unlike 'the log says nothing of require_encryption' "$(klog)" require_encryption
is 'the root is the golden one' "$(sed -n 's/^root check: //p' $parameters/status)" "$golden"
name=$(sed -n 's/^null primary: //p' $parameters/status)
like 'status has the name of the null primary key' "$name" '^000b[0-9a-f]{64}$'
like 'so has the log' "$(klog)" "^derived: the name of the TPM's null primary key is $name: certify"
# As Documentation/derived.rst says.
ok 'tpm2-tools make the same key' tpm2_createprimary -T device:/dev/tpmrm0 -Q -C n -g sha256 \
	-G ecc256:aes128cfb -c /tmp/null.ctx \
	-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt'
ok 'and read its name' tpm2_readpublic -T device:/dev/tpmrm0 -Q -c /tmp/null.ctx -n /tmp/null.name
is 'which is the one in the log' "$(od -An -v -tx1 /tmp/null.name | tr -d ' \n')" "$name"
klog_mark
echo 1 >$parameters/forget
ok 'fetched again, a key is made' keyctl add derived again '32 path' @s
is 'the name is the same until the TPM is reset' "$(sed -n 's/^null primary: //p' $parameters/status)" "$name"
is 'so nothing more is said' "$(klog | grep -c 'null primary')" 0
unload_module

ok 'with require_encryption=1 it loads' load_module require_encryption=1
ok 'and serves, since it can encrypt' keyctl add derived again '32 path' @s
is 'the parameter is shown' "$(cat $parameters/require_encryption)" Y
unload_module
klog_mark
ok 'with require_encryption=0 it loads' load_module require_encryption=0
is 'and encrypts all the same' "$(session)" "own, the TPM's answer is encrypted on its bus"
like 'the log says that it need not' "$(klog)" '^derived: require_encryption=0: the administrator lets the root secret cross'
unlike 'and not that it did not' "$(klog)" 'no encrypted session'
unload_module
tpm_slots_empty 'nothing is left in the TPM'
done_testing

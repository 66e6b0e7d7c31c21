#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# sessions.sh: the module's own session with the TPM: its parts, its lines in the log, and its null
# primary key, which an administrator can certify. If no session is possible, there is no root
# secret by default. bus.sh looks at the bytes that cross the bus, and tpm-faults.sh tests a TPM
# that gives wrong answers.
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
# While the module has the TPM locked, it must not wait for a program to be run, such as modprobe:
# if IMA measures programs, that program waits for the TPM. The crypto API assembles its random
# number generator at the first use, from modules that may have to be loaded then. Here, another
# SHA-512 has just been loaded.
if [ "$BOOT" -eq 2 ]; then
	modprobe -q sha512_ssse3
	{ cat "$(readlink -f /sbin/modprobe)"; echo not measured; } >/root/modprobe
	chmod 755 /root/modprobe
	echo /root/modprobe >/proc/sys/kernel/modprobe
	ok 'the module loads although IMA would have to measure a new modprobe' load_module
	done_testing
	exit
fi

# Print the module's lines in the log since mark. The line of mark itself shows that the log can be
# read.
mark() { klog_mark; echo 'sessions.sh: here' >/dev/kmsg; }
ours() {
	klog | grep -q 'sessions.sh: here' || echo 'the log cannot be read'
	klog | grep '^derived: '
}
# refuses WHAT REASON FILE PARAMETER...: the module refuses, by default, or with parameters that
# mean the same.
refuses() {
	local what=$1 reason=$2
	module=$3
	shift 3
	mark
	ok "$what: the module still loads" load_module "$@"
	is "$what: the log gives the reason, the risk, and the setting" "$(ours)" \
		"derived: uid 0, \"$(realpath /sbin/insmod)\": refused: no encrypted session: $reason. Without one the \
root secret, and so every key, could be read on the TPM's bus. To allow that: \"options derived-keys \
require_encryption=0\" in /etc/modprobe.d/derived-keys.conf
derived: no root secret yet (errno 95): the first request will fetch it"
	is "$what: nothing was fetched" "$(cat $parameters/status)" 'root check: none
root: cached, never fetched
capped: off'
	errno_is "$what: a request gets EOPNOTSUPP, from the remembered failure" EOPNOTSUPP derived x '32 path' @s
	echo 1 >$parameters/forget
	mark
	errno_is "$what: a request gets EOPNOTSUPP after the TPM was asked again" EOPNOTSUPP derived x '32 path' @s
	is "$what: nothing more is logged within the minute" "$(ours)" ''
	is "$what: still nothing was fetched" "$(sed -n 's/^root check: //p' $parameters/status)" none
	unload_module
}
# serves_in_clear WHAT REASON FILE: with require_encryption=0 the module serves, without encryption.
serves_in_clear() {
	mark
	module=$3
	ok "$1: with require_encryption=0 the module loads" load_module require_encryption=0
	like "$1: the log first says that the administrator allows this" "$(ours | head -n 1)" \
		"^derived: require_encryption=0: the administrator lets the root secret cross the TPM's bus in clear, where no session encrypts it\$"
	is "$1: the log then says that it happened, and why" "$(ours | sed '1d; s/, TPM: .*//')" \
		"derived: root check value $golden, session: password, the TPM's answer crosses its bus unencrypted
derived: no encrypted session: $2. The root secret crossed the TPM's bus in clear, as require_encryption=0 allows"
	is "$1: require_encryption is shown" "$(cat $parameters/require_encryption)" N
	ok "$1: a request is served" keyctl add derived clear '32 path' @s
	is "$1: there is no session" "$(session)" "password, the TPM's answer crosses its bus unencrypted"
	unload_module
}

# A TPM that refuses to start a session, or an attacker on the TPM's bus who forges that answer.
if [ "$BOOT" -eq 3 ]; then
	refused='the TPM, or an attacker on its bus, refused it (TPM2_StartAuthSession: TPM_RC 0x2d6)'
	no_ecdh='this kernel has no ECDH (CONFIG_CRYPTO_ECC)'
	own=$module without=$DERIVED/no-ecdh/derived-keys.ko
	refuses 'a TPM that starts no session' "$refused" "$own"
	refuses 'a TPM that starts no session, with require_encryption=1' "$refused" "$own" require_encryption=1
	serves_in_clear 'a TPM that starts no session' "$refused" "$own"
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
	/: __request_module:/ && held[$1] { print $1, "requests a module" }
	END { print (times ? "ok" : "no process has locked the TPM") }' $tracing/trace)
is 'no process requests a module while it has the TPM locked' "$held" ok

# Vectors that were made by independent code.
ok 'KDFa and KDFe give the same results as an independent implementation' insmod "$DERIVED/modules/kdf-vectors.ko"
like 'the log says that all vectors were right' "$(dmesg)" 'kdf-vectors: 414 outputs compared in 14 ways, 0 wrong$'
rmmod kdf_vectors
fails 'a wrong vector is noticed' insmod "$DERIVED/modules/kdf-vectors.ko" wrong=1

klog_mark
ok 'the module loads' load_module
is "the session is the module's own" "$(session)" "own, the TPM's answer is encrypted on its bus"
is 'encryption is required by default' "$(cat $parameters/require_encryption)" Y
unlike 'the log does not mention require_encryption' "$(klog)" require_encryption
is 'the root secret is the golden one' "$(sed -n 's/^root check: //p' $parameters/status)" "$golden"
name=$(sed -n 's/^null primary: //p' $parameters/status)
like 'status shows the name of the null primary key' "$name" '^000b[0-9a-f]{64}$'
like 'the log shows the name, too' "$(klog)" "^derived: the name of the TPM's null primary key is $name: certify"
# The commands of Documentation/derived.rst.
ok 'tpm2-tools make the same key' tpm2_createprimary -T device:/dev/tpmrm0 -Q -C n -g sha256 \
	-G ecc256:aes128cfb -c /tmp/null.ctx \
	-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt'
ok 'tpm2-tools read its name' tpm2_readpublic -T device:/dev/tpmrm0 -Q -c /tmp/null.ctx -n /tmp/null.name
is 'that name is the one in the log' "$(od -An -v -tx1 /tmp/null.name | tr -d ' \n')" "$name"
klog_mark
echo 1 >$parameters/forget
ok 'after a new fetch, a key is made' keyctl add derived again '32 path' @s
is 'the name is the same until the TPM is reset' "$(sed -n 's/^null primary: //p' $parameters/status)" "$name"
is 'the name is not logged again' "$(klog | grep -c 'null primary')" 0
unload_module

ok 'with require_encryption=1 the module loads' load_module require_encryption=1
ok 'with require_encryption=1 a request is served by an encrypted session' keyctl add derived again '32 path' @s
is 'require_encryption=1 is shown' "$(cat $parameters/require_encryption)" Y
unload_module
klog_mark
ok 'with require_encryption=0 the module loads' load_module require_encryption=0
is 'with require_encryption=0 the session is still encrypted' "$(session)" "own, the TPM's answer is encrypted on its bus"
like 'the log says that encryption is not required' "$(klog)" '^derived: require_encryption=0: the administrator lets the root secret cross'
unlike 'the log does not say that there was no encryption' "$(klog)" 'no encrypted session'
unload_module
tpm_slots_empty 'nothing is left in the TPM'
done_testing

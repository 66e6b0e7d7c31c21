#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stress.sh: 64 processes derive keys, read them and destroy them in every way, and two processes
# read /proc/keys, while the module is unloaded and loaded a hundred times (on the kernel "debug":
# as often as possible in 150 s, at least ten times). No key ever changes, each errno is one of the
# possible errnos, and afterwards everything is as it was before. stress-long.sh does the same five
# hundred times. make check TESTS=stress ARGS="vm_rounds=5000 vm_seconds=3600" does up to 5000
# rounds in up to an hour.
#
# KEYCTL_DESCRIBE while a key type's module is unloaded is a known bug of some kernels:
# keyctl_describe_key() (security/keys/keyctl.c) looked at key->type->name without key->sem. When a
# module is unloaded, the garbage collector sets key->type to &key_type_dead
# (key_garbage_collector() in gc.c, "destroy_dead_key", under that semaphore), and then the module
# is freed, with the struct and the name in it. A process that has read the old pointer, and sleeps
# in the allocation of kasprintf(), then reads freed memory. A key type cannot prevent that: none of
# its code runs there. Kernel 7.3 takes key->sem, and so does Debian's 6.12.117. On an older kernel,
# this bug may make the test fail, by KASAN.
#
# (keyctl_pkey_params_get() has a similar bug in all kernels, but only for the one instruction that
# checks whether key->type->asym_query is NULL.)
#
# vm: boot tpm=golden cpus=2 args="maxcpus=1" timeout=400
# vm: long[6.12] two CPUs for most of a minute

. "$DERIVED/tests/lib/lib.sh"
. "$DERIVED/tests/lib/stress.sh"

plan_later
processes=${STRESS_PROCESSES:-64}
rounds=${STRESS_ROUNDS:-$(boot_word rounds 100)}
seconds=${STRESS_SECONDS:-$(boot_word seconds 150)}
# The number of rounds that must be done in that time.
least=$rounds
! on_debug_kernel || least=$((rounds / 10))

# The possible outcomes of each operation. ENODEV and ENOKEY: the module is not loaded. EACCES: the
# key is not in a keyring of the process any more, or is being destroyed. EAGAIN: too many requests
# wait for the TPM (root=transient). EDQUOT is not possible: keys that are gone do not count in the
# quota.
may_come='add ok ENODEV EAGAIN
request ok ENOKEY EAGAIN EKEYREVOKED EKEYEXPIRED
request-logon ok ENOKEY EAGAIN EKEYREVOKED EKEYEXPIRED
read-new ok ENOKEY EACCES EKEYREVOKED EKEYEXPIRED EOPNOTSUPP
read ok ENOKEY EACCES EKEYREVOKED EKEYEXPIRED EOPNOTSUPP
length ok ENOKEY EACCES EKEYREVOKED EKEYEXPIRED EOPNOTSUPP
describe ok ENOKEY EACCES EKEYREVOKED EKEYEXPIRED
update EOPNOTSUPP ENOKEY EACCES EKEYREVOKED EKEYEXPIRED
revoke ok ENOKEY EACCES EKEYREVOKED EKEYEXPIRED
invalidate ok ENOKEY EACCES EKEYREVOKED EKEYEXPIRED
unlink ok ENOKEY ENOENT EACCES
timeout ok ENOKEY EACCES EKEYREVOKED EKEYEXPIRED
setperm ok ENOKEY EACCES EKEYREVOKED EKEYEXPIRED
search ok ENOKEY EAGAIN EACCES EKEYREVOKED EKEYEXPIRED
clear ok ENOKEY
shown ok ENODATA
loading ok
unloading ok'

# A kernel that boots on two CPUs of QEMU's TCG crashes with an int3 now and then, while it patches its
# own code. So the second CPU is switched on after the boot.
echo 1 >/sys/devices/system/cpu/cpu1/online
is 'there are two CPUs from now on' "$(nproc)" 2
ok 'the module loads' load_module
choose_seed
begin_stress 1000
out=$("$DERIVED/bin/stress" "$seed" "$processes" "$rounds" "$seconds" "$DERIVED/derived-keys.ko" 2>&1)
tap_point $? "$processes processes derive, read and destroy keys while the module is unloaded and loaded" "$out"
did=$(awk '$1 == "rounds" { print $2 }' <<<"$out")
note "$did rounds in $(awk '$1 == "seconds" { print $2 }' <<<"$out") s"
grep '^#' <<<"$out"
print_table "$out"
[ "${did:-0}" -ge "$least" ]
tap_point $? "the module was unloaded and loaded at least $least times" "$did"
is 'unloading and loading succeeded each time' "$(counted "$out" unloading) $(counted "$out" loading)" "$did $did"
is 'every key that was made, read or shown was the right one' "$(grep '^WRONG' <<<"$out")" ''
is 'each outcome is one of the possible outcomes' "$(unexpected "$out" "$may_come")" ''
missing=''
for what in 'add ok' 'add ENODEV' 'add EAGAIN' 'request ok' 'request ENOKEY' 'request-logon ok' 'read-new ok' \
	    'read-new EOPNOTSUPP' 'read ok' 'read ENOKEY' 'length ok' 'describe ok' 'any EKEYREVOKED' \
	    'update EOPNOTSUPP' 'revoke ok' 'invalidate ok' 'unlink ok' 'timeout ok' 'setperm ok' \
	    'search ok' 'clear ok' 'shown ok'; do
	[ "$(counted "$out" "${what% *}" "${what#* }")" -gt 0 ] || missing+="$what, "
done
is 'each outcome that shows that the module was under load has come' "$missing" ''
well_afterwards 1000
done_testing

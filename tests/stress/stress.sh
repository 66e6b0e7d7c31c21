#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stress.sh: 64 processes derive keys, read them and lose them in every way, and two read /proc/keys,
# while the module is unloaded and loaded a hundred times (on the kernel "debug": in 150 s as often as
# that can, ten times at least).  No key is ever another one than before, no
# errno comes that should not, and afterwards all is as it was.  stress-long.sh is the same with five
# hundred times.
# make check TESTS=stress ARGS="vm_rounds=5000 vm_seconds=3600" is that many rounds, for which it has an hour.
#
# KEYCTL_DESCRIBE while a key type's module is unloaded is known to be wrong in some kernels:
# keyctl_describe_key() (security/keys/keyctl.c) looked at key->type->name without key->sem.  Unloading
# has the garbage collector make key->type &key_type_dead (key_garbage_collector() in gc.c, "destroy_
# dead_key", under that semaphore), and then frees the module, with the struct and the name in it.  A
# process that has taken the old pointer, and sleeps in the allocation of kasprintf(), reads what is gone.
# No key type can do anything about it: nothing of its own runs there.  Kernel 7.3 takes key->sem, and so
# does Debian's 6.12.117.  Where this is run on an older one, that may turn it red, by KASAN.
#
# (keyctl_pkey_params_get() has the like, in all of them, but for one instruction, that looks whether
# key->type->asym_query is NULL.)
#
# vm: boot tpm=golden cpus=2 args="maxcpus=1" timeout=400
# vm: long[6.12] two CPUs for most of a minute

. "$DERIVED/tests/lib/lib.sh"
. "$DERIVED/tests/lib/stress.sh"

plan_later
processes=${STRESS_PROCESSES:-64}
rounds=${STRESS_ROUNDS:-$(boot_word rounds 100)}
seconds=${STRESS_SECONDS:-$(boot_word seconds 150)}
# How many rounds must have been done when the time is up.
least=$rounds
! on_debug_kernel || least=$((rounds / 10))

# What may come of each operation.  ENODEV and ENOKEY: the module is not there.  EACCES: the key is in
# no keyring of the process any more, or dying.  EAGAIN: too many wait for the TPM (root=transient).
# EDQUOT is not among them: what is on no account stays on none.
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

# A kernel that boots on two CPUs of QEMU's TCG dies of an int3 now and then, while it patches itself.
echo 1 >/sys/devices/system/cpu/cpu1/online
is 'there are two CPUs from here on' "$(nproc)" 2
ok 'the module loads' load_module
choose_seed
begin_stress 1000
out=$("$DERIVED/bin/stress" "$seed" "$processes" "$rounds" "$seconds" "$DERIVED/derived-keys.ko" 2>&1)
tap_point $? "$processes processes derive, read and lose keys while the module goes and comes" "$out"
did=$(awk '$1 == "rounds" { print $2 }' <<<"$out")
note "$did rounds in $(awk '$1 == "seconds" { print $2 }' <<<"$out") s"
grep '^#' <<<"$out"
print_table "$out"
[ "${did:-0}" -ge "$least" ]
tap_point $? "the module was unloaded and loaded at least $least times" "$did"
is 'each time it could be' "$(counted "$out" unloading) $(counted "$out" loading)" "$did $did"
is 'every key that was made, read or shown was the right one' "$(grep '^WRONG' <<<"$out")" ''
is 'no other outcome came than those that should' "$(unexpected "$out" "$may_come")" ''
missing=''
for what in 'add ok' 'add ENODEV' 'add EAGAIN' 'request ok' 'request ENOKEY' 'request-logon ok' 'read-new ok' \
	    'read-new EOPNOTSUPP' 'read ok' 'read ENOKEY' 'length ok' 'describe ok' 'any EKEYREVOKED' \
	    'update EOPNOTSUPP' 'revoke ok' 'invalidate ok' 'unlink ok' 'timeout ok' 'setperm ok' \
	    'search ok' 'clear ok' 'shown ok'; do
	[ "$(counted "$out" "${what% *}" "${what#* }")" -gt 0 ] || missing+="$what, "
done
is 'each of the outcomes that show that it was under fire came' "$missing" ''
well_afterwards 1000
done_testing

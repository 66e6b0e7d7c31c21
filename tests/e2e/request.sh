#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# request.sh: every form of a request, good or bad, and its errno.
#
# vm: boot tpm=golden

. "$DERIVED/tests/lib/lib.sh"

plan_later
ok 'the module loads' load_module

# good REQUEST SHOWN: the key is made, and /proc/keys shows it as SHOWN.
good() {
	local serial
	serial=$("$DERIVED/bin/addkey" derived request "$1" @s)
	is "good: \"$1\"" "$(sed -n 's/.* request: \(.*\) kcv:[0-9a-f]\{16\}$/\1/p' /proc/keys)" "$2"
	keyctl unlink "$serial" @s 2>/dev/null
}
# bad ERRNO REQUEST
bad() { errno_is "$1: \"${2:0:60}\"" "$1" derived request "$2" @s; }
# bad_hex ERRNO HEX WHAT
bad_hex() { errno_is "$1: $3" "$1" -x derived request "$2" @s; }
hex() { printf %s "$1" | od -An -v -tx1 | tr -d ' \n'; }
repeat() { printf "%0$2d" 0 | sed "s/0/$1/g"; }

# Good requests.
good '16 path' '16 path'
good '1024 path' '1024 path'
good '64 csum' '64 csum'
good '64 path,csum' '64 path,csum'
good '64 csum,path' '64 path,csum'
good '64 path,noread' '64 path,noread'
good '64 noread,csum,path' '64 path,csum,noread'
good '64 path v1' '64 path'
good '64 path nas-disk v1' '64 path'
good '64 path two  spaces inside' '64 path'
good '64 path x' '64 path'
good '64 path Path' '64 path'
good '64 path paths are good' '64 path'
good '64 path noreading' '64 path'
good '64 path path/to' '64 path'
good '64 path ,path' '64 path'
good '64 path A=b' '64 path'
good '64 path 1=b' '64 path'
good '64 path _a=b' '64 path'
good '64 path a-b=c' '64 path'
good '64 path =' '64 path'
good '64 path für den Schrank' '64 path'
good "64 path $(repeat m 256)" '64 path'

# The length.
for length in 0 1 15 1025 9999 99999999999999999999 4294967312 18446744073709551632; do
	bad ERANGE "$length path"
done
errno_is 'ERANGE: a length of 4000 digits' ERANGE -x derived request "$(hex "$(repeat 9 4000) path")" @s
for length in +32 -32 032 00 0016 0x20 32.0 32k ' 32' '32	' "'32'" '' x; do
	bad EINVAL "$length path"
done

# Empty requests, and requests with something missing.
bad_hex EINVAL '' 'the empty request'
for request in 32 '32 ' ' ' '  ' path 'path 32' ' 32 path' '32,path' '32  path' '32	path' \
	'32 noread' '32 kcv=0123456789abcdef' '32 noread v1' '32 ,' '32 path,' '32 ,path' \
	'32 path,,noread' '32 path, noread' '32 path ,noread '; do
	bad EINVAL "$request"
done

# Options that do not exist, do not exist yet, are repeated, or are misspelled.
for options in Path PATH pat paths path=1 path= csum=sha256 verity pcrs pcrs=7 capped capped=13 noread=1 \
	read kcv kcv= ro path,path csum,csum path,noread,noread path,csum,path path,unknown \
	path,logon logon path,verity path,capped=13 path,capped,capped; do
	bad EINVAL "32 $options"
done

# capped (capped.sh has the rest)
bad EOPNOTSUPP '32 path,capped'

# kcv= (parameters.sh tests the right and the wrong value)
bad EKEYREJECTED '32 path,kcv=0123456789abcdef'
for kcv in 0123456789abcde 0123456789abcdef0 0123456789ABCDEF 0123456789abcdeg 0x23456789abcdef \
	'+123456789abcdef' ' 123456789abcdef'; do
	bad EINVAL "32 path,kcv=$kcv"
done
bad EINVAL '32 path,kcv=0123456789abcdef,kcv=0123456789abcdef'
bad EINVAL '32 kcv=0123456789abcdef'

# The mixin.
bad E2BIG "32 path $(repeat m 257)"
bad E2BIG "32 path $(repeat m 4000)"
for mixin in '' ' ' ' v1' 'v1 ' 'v1  '; do
	bad EINVAL "32 path $mixin"
done
for word in path csum verity noread logon kcv pcrs capped; do
	bad EINVAL "32 path $word"
	bad EINVAL "32 path $word and more"
	bad EINVAL "32 path $word,v1"
	bad EINVAL "32 path $word=1"
done
for mixin in a=b version=1 a1_=x z=; do
	bad EINVAL "32 path $mixin"
done

# Bytes that no request may have, in any place: all below 0x20, and 0x7f.
for code in $(seq 0 31) 127; do
	byte=$(printf %02x "$code")
	bad_hex EINVAL "$(hex '32 path v')${byte}$(hex 1)" "byte 0x$byte in the mixin"
done
bad_hex EINVAL "$(hex '32 path')0a" 'a trailing newline'
bad_hex EINVAL "$(hex '32 path v1')0a" 'a newline after the mixin'
bad_hex EINVAL "$(hex '32 path v1')00" 'a trailing NUL'
bad_hex EINVAL "$(hex '32')00$(hex ' path')" 'a NUL in the length'
bad_hex EINVAL "$(hex '32 pa')00$(hex 'th')" 'a NUL in an option'
bad_hex EINVAL "$(hex '32')09$(hex 'path')" 'a tab for a space'
bad_hex EINVAL "$(hex '32 path')0d0a" 'a line from Windows'
bad_hex EINVAL '00' 'a NUL alone'

# The length of the whole request.
page=$(getconf PAGESIZE)
errno_is 'E2BIG: a request of a page' E2BIG -n "$page" derived request '32 path mmmmmmm' @s
errno_is 'E2BIG: a page and a byte' E2BIG -n $((page + 1)) derived request '32 path mmmmmmm' @s
errno_is 'E2BIG: a page and a byte that do not begin like a request' E2BIG -n $((page + 1)) derived request x @s
errno_is 'E2BIG: a megabyte less a byte' E2BIG -n 1048575 derived request x @s
errno_is 'EINVAL: a megabyte, refused by the kernel itself' EINVAL -n 1048576 derived request x @s

is 'no refused request left a key behind' "$(grep -c ' request: ' /proc/keys)" 0
tpm_slots_empty 'nothing is left in the TPM'
ok 'the module unloads' unload_module
done_testing

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of the kernel that derived_request.c and derived_kdf.c need, for a
 * user space program. The headers that they include lead here.
 */
#ifndef FUZZ_KERNEL_H
#define FUZZ_KERNEL_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef uint16_t __be16;
typedef uint32_t __be32;

#define BIT(n)			(1U << (n))
#define PAGE_SIZE		4096
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define min_t(type, a, b)	((type)(a) < (type)(b) ? (type)(a) : (type)(b))
#define cpu_to_be32(x)		__builtin_bswap32(x)
#define memzero_explicit(p, n)	memset(p, 0, n)
#define noinline		__attribute__((noinline))
#define __nonstring

static inline void put_unaligned_be16(u16 v, void *p)
{
	((u8 *)p)[0] = v >> 8;
	((u8 *)p)[1] = v;
}

static inline void put_unaligned_be32(u32 v, void *p)
{
	put_unaligned_be16(v >> 16, p);
	put_unaligned_be16(v, (u8 *)p + 2);
}

static inline u64 get_unaligned_be64(const void *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

/* The kernel's <linux/ctype.h> classifies Latin-1; the C locale does not. */
static inline bool isascii_(int c) { return (c & 0x80) == 0; }
static inline bool isdigit_(int c) { return c >= '0' && c <= '9'; }
static inline bool islower_(u8 c)
{
	return (c >= 'a' && c <= 'z') || (c >= 0xdf && c != 0xf7);
}
static inline bool isupper_(u8 c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7);
}
static inline bool isxdigit_(u8 c)
{
	return isdigit_(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
#define isascii isascii_
#define isdigit isdigit_
#define islower islower_
#define isupper isupper_
#define isxdigit isxdigit_

static inline int hex_to_bin(u8 c)
{
	if (isdigit_(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif /* FUZZ_KERNEL_H */

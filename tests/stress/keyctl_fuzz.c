// SPDX-License-Identifier: GPL-2.0
/*
 * keyctl_fuzz: random calls of add_key(2), request_key(2) and every operation
 * of keyctl(2), from several processes, mostly on keys of type derived.
 *
 *	keyctl_fuzz SEED PROCESSES SECONDS
 *
 * Half of the PROCESSES belong to root, and half to user 3001. Each process
 * ends after about a thousand calls, and a new one takes its place: so damage
 * that a process does to itself, for example to its process keyring, does not
 * last. The calls of a process follow from SEED, its number and its generation;
 * except for the serial numbers of keys, which the kernel chooses, and for what
 * other processes do to these keys.
 *
 * It checks, in addition to the checks of the kernel:
 *	- the length and the bytes of a key whose name refers to the request
 *	that   it was made from ("k3"). No other keys have such names - the
 *	result of derived_parse() for a request, by a parser of its own - that
 *	KEYCTL_READ writes nothing after the bytes that it reports
 *
 * Prints "OPERATION OUTCOME COUNT", line by line; "calls N"; and "WRONG ..."
 * for each of the first wrong outcomes.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <keyutils.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

#define MIB		(1 << 20)
#define PAGE		4096
#define BUFFER_SIZE	(2 * MIB)
#define LIFETIME	1000		/* calls */
#define MAX_PROCESSES	64
#define MAX_WRONG	20

static const uid_t uids[] = { 0, 3001 };

#define USERS		2

/* Requests that are served. The last ones cannot be read. */
static const char *const known[] = {
	"16 path", "17 path a", "31 path mixin", "32 path", "33 path", "63 path", "64 path nas-disk v1",
	"255 path", "256 path", "1023 path", "1024 path", "32 csum", "64 csum,path", "64 path,csum x y z",
	"32 path,noread", "1024 csum,noread mixin",
};

#define KNOWN		((int)(sizeof(known) / sizeof(known[0])))

/*
 * Operations: the numbers of keyctl(2), and after them those of the other
 * calls.
 */
enum { ADD = 40, ADD_OTHER, REQUEST, REQUEST_OTHER, NO_OPERATION, OPS };

static const char *const op_names[OPS] = {
	"get_keyring_id", "join_session", "update", "revoke", "chown", "setperm", "describe", "clear",
	"link", "unlink", "search", "read", "instantiate", "negate", "set_reqkey", "set_timeout",
	"assume_authority", "get_security", "session_to_parent", "reject", "instantiate_iov",
	"invalidate", "get_persistent", "dh_compute", "pkey_query", "pkey_encrypt", "pkey_decrypt",
	"pkey_sign", "pkey_verify", "restrict_keyring", "move", "capabilities", "watch_key",
	[ADD] = "add_key", "add_key-other", "request_key", "request_key-other", "no-operation",
};

/*
 * A key: its serial number, its type, and the request that it was made from, or
 * -1.
 */
struct slot {
	key_serial_t key;
	short type, request;
};

enum { DERIVED, LOGON, USER, KEYRING, TYPES };

static const char *const type_names[TYPES] = { "derived", "logon", "user", "keyring" };

#define SLOTS		24

static struct slot slots[SLOTS];

static struct shared {
	outcome_counts outcomes;
	unsigned int wrong;
	uint64_t pool[64];		/* slots that other processes may use, too */
	struct {
		long len;
		unsigned char bytes[MAX_KEY];
	} first[USERS][KNOWN];
} *shared;

static int user;
static unsigned long long own_seed;
static unsigned char *buffer, *bad, *out;	/* @bad: no access, right after @buffer */

__attribute__((format(printf, 1, 2)))
static void wrong(const char *fmt, ...)
{
	va_list args;
	char text[512];

	if (__atomic_fetch_add(&shared->wrong, 1, __ATOMIC_SEQ_CST) >= MAX_WRONG)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	printf("WRONG uid %u, process %#llx: %s\n", uids[user], own_seed, text);
	fflush(stdout);
}

/*
 * A second parser, from Documentation/derived.rst.
 */

#define PATH	1
#define CSUM	2
#define NOREAD	4
#define KCV	8
#define LOGON_OPTION	16

static int is(const char *s, size_t len, const char *text)
{
	return len == strlen(text) && !memcmp(s, text, len);
}

static int option_of(const char *s, size_t len)
{
	size_t i;

	if (is(s, len, "path"))
		return PATH;
	if (is(s, len, "csum"))
		return CSUM;
	if (is(s, len, "noread"))
		return NOREAD;
	if (is(s, len, "logon"))
		return LOGON_OPTION;
	if (len != 20 || memcmp(s, "kcv=", 4))
		return 0;
	for (i = 4; i < 20; i++)
		if (!s[i] || !strchr("0123456789abcdef", s[i]))
			return 0;
	return KCV;
}

static int mixin_errno(const char *s, size_t len)
{
	static const char *const reserved[] = {
		"path", "csum", "verity", "noread", "logon", "kcv", "pcrs", "capped",
	};
	size_t i, n;

	if (len > 256)
		return E2BIG;
	if (!len || s[0] == ' ' || s[len - 1] == ' ')
		return EINVAL;
	for (n = 0; n < len && s[n] != ' ' && s[n] != ',' && s[n] != '='; n++)
		;
	for (i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (is(s, n, reserved[i]))
			return EINVAL;
	if (s[0] < 'a' || s[0] > 'z')
		return 0;
	for (i = 1; i < len && ((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') ||
				s[i] == '_'); i++)
		;
	return i < len && s[i] == '=' ? EINVAL : 0;
}

/* Returns the errno of a request, or 0 if it is good; and its options. */
static int request_errno(const char *s, size_t len, int *options)
{
	const char *end = s + len, *p, *comma;
	long value = 0;
	size_t i;
	int option;

	*options = 0;
	if (!len)
		return EINVAL;
	if (len > PAGE)
		return E2BIG;
	for (i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return EINVAL;

	p = memchr(s, ' ', len);
	if (!p)
		p = end;
	if (p == s || (s[0] == '0' && p > s + 1))
		return EINVAL;
	for (i = 0; s + i < p; i++)
		if (s[i] < '0' || s[i] > '9')
			return EINVAL;
	for (i = 0; s + i < p && value < 100000; i++)
		value = 10 * value + s[i] - '0';
	if (value < 16 || value > 1024)
		return ERANGE;
	if (p == end)
		return EINVAL;

	for (s = p + 1;; s = comma + 1) {
		p = memchr(s, ' ', end - s);
		if (!p)
			p = end;
		comma = memchr(s, ',', p - s);
		if (!comma)
			comma = p;
		option = option_of(s, comma - s);
		if (!option || (*options & option))
			return EINVAL;
		*options |= option;
		if (comma == p)
			break;
	}
	if (!(*options & (PATH | CSUM)))
		return EINVAL;
	return p == end ? 0 : mixin_errno(p + 1, end - p - 1);
}

/*
 * Random arguments.
 */

static size_t any_length(void)
{
	static const size_t some[] = {
		0, 1, 2, 15, 16, 17, 31, 32, 33, 64, 255, 1023, 1024, 1025, 4095, 4096, 4097, 32766,
		32767, 32768, MIB - 1, MIB, MIB + 1, INT_MAX, UINT_MAX, SSIZE_MAX, SIZE_MAX,
	};

	return chance(80) ? PICK(some) : pick(2048);
}

/* A pointer that is bad, or that is bad a few bytes further on. */
static void *bad_pointer(void)
{
	switch (pick(5)) {
	case 0:		return NULL;
	case 1:		return bad;
	case 2:		return bad - 1 - pick(16);
	case 3:		return (void *)0xffff888000000000;
	default:	return (void *)8;
	}
}

static void *any_pointer(void *good)
{
	return chance(90) ? good : bad_pointer();
}

/* A copy for system calls to read from: the caller may change it. */
static char *text(const char *s)
{
	static char copies[8][PAGE * 2];
	static unsigned int next;
	char *copy = copies[next++ % 8];

	snprintf(copy, sizeof(copies[0]), "%s", s);
	return copy;
}

static char *any_name(void)
{
	char name[64], *long_name;
	size_t len;

	switch (pick(40)) {
	case 0:
		return bad_pointer();
	case 1:
		return text("");
	case 2:
		/* A description may have up to 4095 bytes. */
		len = 4080 + pick(32);
		long_name = text("");
		memset(long_name, 'x', len);
		long_name[len] = 0;
		return long_name;
	case 3:
		return text(".r");
	case 4:
		return text("\001%s%n: \377\n");
	case 5:
		return text("derived:r1");
	default:
		snprintf(name, sizeof(name), "r%u", pick(12));
		return text(name);
	}
}

static void keep(key_serial_t key, int type, int request)
{
	const struct slot slot = { .key = key, .type = type, .request = request };
	uint64_t packed;

	slots[pick(SLOTS)] = slot;
	if (chance(20)) {
		memcpy(&packed, &slot, sizeof(packed));
		__atomic_store_n(&PICK(shared->pool), packed, __ATOMIC_RELAXED);
	}
}

static struct slot any_slot(void)
{
	struct slot slot = { .type = -1, .request = -1 };
	uint64_t packed;
	unsigned int i;

	switch (pick(20)) {
	case 0 ... 12:
		return PICK(slots);
	case 13 ... 16:
		packed = __atomic_load_n(&PICK(shared->pool), __ATOMIC_RELAXED);
		memcpy(&slot, &packed, sizeof(packed));
		return slot;
	case 17:
		i = pick(9);
		slot.key = -(int)i;
		return slot;
	case 18:
		slot.key = -1 - (int)pick(3);	/* thread, process and session keyring */
		return slot;
	default:
		slot.key = chance(50) ? INT_MIN + (int)pick(3) : (int)prng();
		return slot;
	}
}

static key_serial_t any_key(void)
{
	return any_slot().key;
}

/*
 * A key for operations with a lasting effect. The user keyring and the user
 * session keyring outlive this process, and the next processes need them. And
 * without its own keyrings, a process has no keys.
 */
static key_serial_t a_key_to_lose(void)
{
	const key_serial_t key = any_key();

	if (key == KEY_SPEC_USER_KEYRING || key == KEY_SPEC_USER_SESSION_KEYRING ||
	    (key < 0 && key >= KEY_SPEC_SESSION_KEYRING && chance(80)))
		return 0;
	return key;
}

static key_serial_t any_ring(void)
{
	switch (pick(10)) {
	case 0 ... 4:	return KEY_SPEC_PROCESS_KEYRING;
	case 5:		return KEY_SPEC_THREAD_KEYRING;
	case 6:		return KEY_SPEC_SESSION_KEYRING;
	case 7:		return KEY_SPEC_USER_KEYRING;
	default:	return any_key();
	}
}

static char *any_type(void)
{
	static const char *const names[] = {
		"derived", "derived", "derived", "logon", "user", "keyring", "derive", "derivedx", ".derived",
		"", "a name of a type that is longer than thirty-two bytes", "\n",
	};

	return chance(95) ? text(PICK(names)) : bad_pointer();
}

/*
 * A request from the grammar, mostly good; then it may be damaged. Returns its
 * length.
 */
static size_t any_request(char *to)
{
	static const char *const some[] = {
		"path", "csum", "noread", "logon", "kcv=0123456789abcdef", "kcv=", "kcv=0123456789ABCDEF",
		"verity", "", "path ", "Path", "kcv=0123456789abcdef0",
	};
	static const char *const numbers[] = {
		"16", "32", "64", "1024", "15", "1025", "0", "016", "+32", "4294967328", "-1", "",
		"18446744073709551648", "32.", "0x20",
	};
	static const char *const mixins[] = {
		" v1", " nas-disk v1", " ", "  x", " x ", " path", " kcv=1", " a=b", " A=b", " pcrs", " capped,x",
		" a b=c", "\n", " \303\244", " 0=",
	};
	const size_t size = 3 * PAGE;
	unsigned int i, times;
	size_t len;

	if (chance(60))
		len = sprintf(to, "%u", 16 + pick(1009));
	else
		len = sprintf(to, "%s", PICK(numbers));
	len += sprintf(to + len, "%s", chance(97) ? " " : "  ");
	len += sprintf(to + len, "%s", some[chance(85) ? pick(2) : pick(12)]);
	for (i = pick(4); i > 1; i--)
		len += sprintf(to + len, ",%s", some[chance(80) ? pick(4) : pick(12)]);
	if (chance(40))
		len += sprintf(to + len, "%s", PICK(mixins));
	if (chance(5)) {
		/* A mixin of about 256 bytes, or a request of about a page. */
		times = chance(70) ? 250 + pick(12) : PAGE - len - 8 + pick(16);
		to[len++] = ' ';
		while (times-- && len < size)
			to[len++] = 'a' + pick(26);
	}
	for (times = chance(25) ? 1 + pick(3) : 0; times && len; times--) {
		i = pick(len);
		switch (pick(5)) {
		case 0:
			to[i] ^= 1 << pick(8);
			break;
		case 1:
			to[i] = prng();
			break;
		case 2:
			memmove(to + i, to + i + 1, len - i - 1);
			len--;
			break;
		case 3:
			memmove(to + i + 1, to + i, len - i);
			len++;
			break;
		case 4:
			len = i;
			break;
		}
	}
	to[len] = 0;
	return len;
}

/*
 * The calls.
 */

/*
 * Read a key into a good buffer, and compare it with the expected key, if
 * known.
 */
static void check_read(const struct slot *slot, size_t size)
{
	long len, expected, i;
	char name[256], ours[16];

	memset(out, 0xa5, MAX_KEY + 64);
	len = count(KEYCTL_READ, syscall(SYS_keyctl, KEYCTL_READ, slot->key, out, size));
	if (len < 0 || slot->type != DERIVED)
		return;
	for (i = len <= (long)size ? len : 0; i < MAX_KEY + 64; i++)
		if (out[i] != 0xa5) {
			wrong("KEYCTL_READ of %zu bytes said %ld and wrote at %ld", size, len, i);
			break;
		}
	if (slot->request < 0)
		return;
	expected = shared->first[user][slot->request].len;
	if (len == expected &&
	    ((long)size < len || !memcmp(out, shared->first[user][slot->request].bytes, len)))
		return;
	/* Is it still that key? The kernel uses serial numbers again. */
	snprintf(ours, sizeof(ours), ";k%d", slot->request);
	if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, slot->key, name, sizeof(name)) > 0 &&
	    !(strncmp(name, "derived;", 8) == 0 && strcmp(strrchr(name, ';'), ours) == 0))
		return;
	wrong("\"%s\" is another key than at first", known[slot->request]);
}

/*
 * Errors about the keyring. They may come instead of the result for the
 * request.
 */
static int about_the_keyring(int err)
{
	return err == EACCES || err == EKEYREVOKED || err == EKEYEXPIRED || err == ENOKEY ||
	       err == ENOTDIR || err == EDQUOT || err == EPERM;
}

/* Check the errno of a request, where 0 is a request that is served. */
static void check_errno(const char *call, const char *request, size_t len, int options, int want,
			int err)
{
	if (about_the_keyring(err) || (!want && (options & CSUM) && err == EAGAIN))
		return;
	if (!want && (options & KCV))
		want = EKEYREJECTED;	/* the random check values are never right */
	if (err == want)
		return;
	wrong("%s of \"%.*s\" (%zu bytes) came to %s, not %s", call, len < 200 ? (int)len : 200, request,
	      len, errno_name(err), errno_name(want));
}

/*
 * Whether the result of add_key() and request_key() with this keyring can be
 * predicted.
 */
static int is_simple(key_serial_t ring)
{
	return ring <= KEY_SPEC_THREAD_KEYRING && ring >= KEY_SPEC_SESSION_KEYRING;
}

static void do_add(void)
{
	const key_serial_t ring = any_ring();
	const char *payload = (char *)buffer;
	int options, want, request = -1, err;
	char name[16], *description = name;
	struct slot slot;
	size_t len;
	long key;

	if (chance(50)) {
		request = pick(KNOWN);
		len = strlen(known[request]);
		memcpy(buffer, known[request], len);
		snprintf(name, sizeof(name), "k%d", request);
	} else {
		len = any_request((char *)buffer);
		snprintf(name, sizeof(name), "r%u", pick(12));
		if (chance(10)) {
			len = any_length();
			payload = any_pointer(buffer);
		} else if (chance(10)) {
			/* The request ends where the page ends. */
			payload = (char *)bad - len;
			memmove(bad - len, buffer, len);
		}
		if (chance(10))
			description = any_name();
	}
	key = count(ADD, syscall(SYS_add_key, "derived", description, payload, len, ring));
	err = key < 0 ? errno : 0;
	if (key >= 0)
		keep(key, DERIVED, request);
	if (!is_simple(ring) || description != name)
		return;
	if (payload == (char *)buffer || payload == (char *)bad - len) {
		if (len >= MIB) {
			want = EINVAL;
			options = 0;
		} else {
			want = request_errno(payload, len, &options);
			if (!want && (options & LOGON_OPTION))
				want = EINVAL;
		}
		check_errno("add_key", payload, len < PAGE ? len : 0, options, want, err);
	}
	if (key >= 0 && request >= 0) {
		slot.key = key;
		slot.type = DERIVED;
		slot.request = request;
		check_read(&slot, MAX_KEY);
	}
}

static void do_request(void)
{
	char *callout = (char *)buffer, name[32], *description = name, *end;
	static unsigned int names;
	const key_serial_t ring = chance(20) ? 0 : any_ring();
	int options, want, request = -1, is_new = 0;
	struct slot slot;
	size_t len;
	long key;

	if (chance(50)) {
		request = pick(KNOWN);
		strcpy(callout, known[request]);
		if (chance(20)) {
			end = strchr(callout, ' ') + 1;
			memmove(end + 6, end, strlen(end) + 1);
			memcpy(end, "logon,", 6);
		}
		snprintf(name, sizeof(name), "k%d", request);
	} else {
		any_request(callout);
		/*
		 * Mostly a name that no key has yet: otherwise the request is
		 * not parsed.
		 */
		if (chance(70)) {
			snprintf(name, sizeof(name), "n%d.%u", getpid(), names++);
			is_new = 1;
		} else {
			snprintf(name, sizeof(name), "q%u", pick(12));
		}
		if (chance(10))
			description = any_name();
		if (chance(10))
			callout = bad_pointer();
	}
	len = callout == (char *)buffer ? strlen(callout) : 0;
	key = count(REQUEST, syscall(SYS_request_key, "derived", description, callout, ring));
	if (key >= 0)
		keep(key, DERIVED, request);
	if (callout != (char *)buffer || description != name || !is_simple(ring))
		return;
	want = len >= PAGE ? EINVAL : request_errno(callout, len, &options);
	if (!want && (options & LOGON_OPTION) && atoi(callout) < 64)
		want = EOPNOTSUPP;
	/*
	 * An empty request does not reach the module; and if a key is found, it
	 * is not compared with the request.
	 */
	if (len && (key < 0 || is_new))
		check_errno("request_key", callout, len, options, want, key < 0 ? errno : 0);
	if (key >= 0 && request >= 0) {
		slot.key = key;
		slot.type = DERIVED;
		slot.request = request;
		check_read(&slot, MAX_KEY);
	}
}

/* A key of another type, or of a type that does not exist. */
static void do_other(void)
{
	static const char *const names[] = { "logon", "user", "keyring" };
	char *type = chance(60) ? text(PICK(names)) : any_type();
	char *description = any_name();
	key_serial_t ring = any_ring();
	unsigned int i;
	size_t len;
	long key;
	int kind = -1;

	for (i = 0; i < TYPES; i++)
		if ((unsigned long)type > PAGE && type < (char *)bad - 64 && !strcmp(type, type_names[i]))
			kind = i;
	if (kind == LOGON && chance(80))
		description = text("derived:r1");
	if (chance(60)) {
		len = kind == KEYRING ? 0 : chance(70) ? 1 + pick(64) : any_length();
		key = count(ADD_OTHER, syscall(SYS_add_key, type, description,
					       kind == KEYRING ? NULL : any_pointer(buffer), len, ring));
	} else {
		/*
		 * No callout information: with it, the kernel would start a
		 * program.
		 */
		key = count(REQUEST_OTHER, syscall(SYS_request_key, type, description, NULL, ring));
	}
	if (key >= 0)
		keep(key, kind, -1);
}

static long keyctl5(int op, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	return count(op, syscall(SYS_keyctl, op, a, b, c, d));
}

#define P(pointer)	((unsigned long)(pointer))

static void do_read(void)
{
	const struct slot slot = any_slot();

	if (chance(60)) {
		check_read(&slot, chance(50) ? MAX_KEY : pick(MAX_KEY + 1));
	} else {
		/*
		 * Not more than exists: the kernel allocates the given length.
		 */
		keyctl5(KEYCTL_READ, slot.key, P(any_pointer(out)), any_length(), 0);
	}
}

static void do_dh(void)
{
	static const char *const hashes[] = { "sha256", "sha1", "hmac(sha256)", "", "nothing" };
	const struct slot a = any_slot(), b = any_slot(), c = any_slot();
	struct keyctl_dh_params params = { .priv = a.key, .prime = b.key, .base = c.key };
	struct keyctl_kdf_params kdf = {
		.hashname = any_pointer(text(PICK(hashes))),
		.otherinfo = any_pointer(buffer),
		.otherinfolen = any_length(),
	};

	/* With a prime of 32767 bytes, the kernel would compute for hours. */
	if (a.type == USER || b.type == USER || c.type == USER)
		return;
	keyctl5(KEYCTL_DH_COMPUTE, P(any_pointer(&params)), P(any_pointer(out)), any_length(),
		P(chance(50) ? NULL : any_pointer(&kdf)));
}

static void do_pkey(int op)
{
	struct keyctl_pkey_params params = {
		.key_id = any_key(), .in_len = any_length(), .out_len = any_length(),
	};
	char *info = any_pointer(text(chance(50) ? "enc=pkcs1 hash=sha256" : "enc=raw"));

	if (op == KEYCTL_PKEY_QUERY)
		keyctl5(op, any_key(), chance(90) ? 0 : 1, P(info), P(any_pointer(out)));
	else
		keyctl5(op, P(any_pointer(&params)), P(info), P(any_pointer(buffer)), P(any_pointer(out)));
}

static void do_restrict(void)
{
	static const char *const how[] = {
		"builtin_trusted", "key_or_keyring:0", "key_or_keyring:1:chain", "32 path", "",
	};
	struct slot slot;
	int i;

	/*
	 * Only on keyrings made for this: others would soon accept no more
	 * keys.
	 */
	for (i = 0; i < 10; i++) {
		slot = any_slot();
		if (slot.type == KEYRING || chance(5))
			break;
	}
	if (slot.type != KEYRING && slot.key <= 0)
		return;
	keyctl5(KEYCTL_RESTRICT_KEYRING, slot.key, P(chance(10) ? NULL : any_type()),
		P(chance(20) ? NULL : any_pointer(text(PICK(how)))), 0);
}

static void do_instantiate(int op)
{
	struct iovec iov[2] = {
		{ .iov_base = any_pointer(buffer), .iov_len = any_length() },
		{ .iov_base = any_pointer(buffer), .iov_len = any_length() },
	};
	size_t len;

	if (op == KEYCTL_INSTANTIATE_IOV) {
		keyctl5(op, any_key(), P(any_pointer(iov)), chance(90) ? pick(3) : any_length(), any_ring());
	} else {
		len = chance(50) ? any_request((char *)buffer) : any_length();
		keyctl5(op, any_key(), P(any_pointer(buffer)), len, any_ring());
	}
}

static void do_chown(void)
{
	static const int ids[] = { -1, 0, 3001, 65534 };	/* as in keyctl-fuzz.sh */
	const key_serial_t key = a_key_to_lose();

	keyctl5(KEYCTL_CHOWN, key, PICK(ids), PICK(ids), 0);
}

static void do_setperm(void)
{
	static const unsigned int some[] = {
		0, 0x3f3f3f3f, 0x3f3f0000, 0x3f000000, 0x3b010000, 0x01010101, 0xffffffff, 0x40000000,
	};
	const key_serial_t key = a_key_to_lose();

	keyctl5(KEYCTL_SETPERM, key, chance(80) ? PICK(some) : prng() & 0x3f3f3f3f, 0, 0);
}

static void do_search(void)
{
	char name[16];
	long key;
	int request = -1, type = -1;

	if (chance(50)) {
		request = pick(KNOWN);
		type = DERIVED;
		snprintf(name, sizeof(name), "k%d", request);
		key = keyctl5(KEYCTL_SEARCH, any_ring(), P("derived"), P(text(name)),
			      chance(50) ? 0 : any_ring());
	} else {
		key = keyctl5(KEYCTL_SEARCH, any_ring(), P(any_type()), P(any_name()),
			      chance(50) ? 0 : any_ring());
	}
	if (key > 0)
		keep(key, type, request);
}

static void do_keyctl(void)
{
	static const unsigned int timeouts[] = { 0, 1, 2, 1000, UINT_MAX };
	static const char *const sessions[] = { "fuzz-1", "fuzz-2", "", "." };
	int op = pick(KEYCTL_WATCH_KEY + 1);
	char *name;

	/*
	 * Calls that destroy keys or keyrings are rare enough to leave some
	 * keys.
	 */
	if ((op == KEYCTL_REVOKE || op == KEYCTL_INVALIDATE || op == KEYCTL_SETPERM ||
	     op == KEYCTL_JOIN_SESSION_KEYRING) && chance(70))
		op = KEYCTL_READ;
	switch (op) {
	case KEYCTL_GET_KEYRING_ID:
		keyctl5(op, any_ring(), pick(2), 0, 0);
		break;
	case KEYCTL_JOIN_SESSION_KEYRING:
		name = chance(50) ? NULL : any_pointer(text(PICK(sessions)));
		keyctl5(op, P(name), 0, 0, 0);
		break;
	case KEYCTL_UPDATE:
		keyctl5(op, any_key(), P(any_pointer(buffer)),
			chance(50) ? any_request((char *)buffer) : any_length(), 0);
		break;
	case KEYCTL_REVOKE:
	case KEYCTL_INVALIDATE:
		keyctl5(op, a_key_to_lose(), 0, 0, 0);
		break;
	case KEYCTL_CHOWN:
		do_chown();
		break;
	case KEYCTL_SETPERM:
		do_setperm();
		break;
	case KEYCTL_DESCRIBE:
	case KEYCTL_GET_SECURITY:
		keyctl5(op, any_key(), P(any_pointer(out)), any_length(), 0);
		break;
	case KEYCTL_CLEAR:
		keyctl5(op, any_ring(), 0, 0, 0);
		break;
	case KEYCTL_LINK:
	case KEYCTL_UNLINK:
		keyctl5(op, any_key(), any_ring(), 0, 0);
		break;
	case KEYCTL_SEARCH:
		do_search();
		break;
	case KEYCTL_READ:
		do_read();
		break;
	case KEYCTL_INSTANTIATE:
	case KEYCTL_INSTANTIATE_IOV:
		do_instantiate(op);
		break;
	case KEYCTL_NEGATE:
		keyctl5(op, any_key(), PICK(timeouts), any_ring(), 0);
		break;
	case KEYCTL_REJECT:
		keyctl5(op, any_key(), PICK(timeouts), chance(50) ? EKEYREJECTED : prng(), any_ring());
		break;
	case KEYCTL_SET_REQKEY_KEYRING:
		keyctl5(op, (int)pick(10) - 1, 0, 0, 0);
		break;
	case KEYCTL_SET_TIMEOUT:
		keyctl5(op, a_key_to_lose(), PICK(timeouts), 0, 0);
		break;
	case KEYCTL_ASSUME_AUTHORITY:
		keyctl5(op, any_key(), 0, 0, 0);
		break;
	case KEYCTL_SESSION_TO_PARENT:
		keyctl5(op, 0, 0, 0, 0);
		break;
	case KEYCTL_GET_PERSISTENT:
		keyctl5(op, chance(90) ? -1 : 3000 + (int)pick(4), any_ring(), 0, 0);
		break;
	case KEYCTL_DH_COMPUTE:
		do_dh();
		break;
	case KEYCTL_PKEY_QUERY ... KEYCTL_PKEY_VERIFY:
		do_pkey(op);
		break;
	case KEYCTL_RESTRICT_KEYRING:
		do_restrict();
		break;
	case KEYCTL_MOVE:
		keyctl5(op, any_key(), any_ring(), any_ring(), pick(4));
		break;
	case KEYCTL_CAPABILITIES:
		keyctl5(op, P(any_pointer(out)), pick(64), 0, 0);
		break;
	case KEYCTL_WATCH_KEY:
		keyctl5(op, any_key(), (int)pick(8) - 1, (int)pick(300) - 2, 0);
		break;
	}
}

static void do_no_operation(void)
{
	count(NO_OPERATION, syscall(SYS_keyctl, chance(50) ? KEYCTL_WATCH_KEY + 1 + (int)pick(8) :
				    (int)(prng() | 0x10000), any_key(), buffer, any_length(), any_ring()));
}

static void become(int who)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	user = who;
	if (uids[who] && (setgroups(0, NULL) || setresgid(uids[who], uids[who], uids[who]) ||
			  setresuid(uids[who], uids[who], uids[who])))
		die("setresuid");
	/* The processes before this one may have left no quota for it. */
	if (keyctl_join_session_keyring(NULL) < 0 && errno != EDQUOT)
		die("session keyring");
}

static void fuzz(double end)
{
	int i;

	for (i = 0; i < LIFETIME && (i % 16 || now() < end); i++) {
		switch (pick(100)) {
		case 0 ... 24:
			do_add();
			break;
		case 25 ... 39:
			do_request();
			break;
		case 40 ... 45:
			do_other();
			break;
		case 46:
			do_no_operation();
			break;
		default:
			do_keyctl();
			break;
		}
	}
}

/*
 * Store the key of each request at the beginning; at the end, check that it is
 * the same.
 */
static void ask_all(int again)
{
	const double patience = now() + 20;
	long key, len;
	int i;

	/*
	 * The quota that earlier processes used is given back some time after
	 * they have ended.
	 */
	if (again) {
		keyctl_clear(KEY_SPEC_USER_KEYRING);
		keyctl_clear(KEY_SPEC_USER_SESSION_KEYRING);
	}
	for (i = 0; i < KNOWN; i++) {
		do {
			key = add_key("derived", "first", known[i], strlen(known[i]),
				      KEY_SPEC_PROCESS_KEYRING);
		} while (key < 0 && errno == EDQUOT && again && now() < patience && !usleep(100000));
		if (key < 0)
			die(known[i]);
		len = keyctl_read(key, (char *)out, MAX_KEY);
		if (len < 0 && errno != EOPNOTSUPP)
			die("read");
		if (!again) {
			shared->first[user][i].len = len;
			memcpy(shared->first[user][i].bytes, out, len > 0 ? len : 0);
		} else if (len != shared->first[user][i].len ||
			   (len > 0 && memcmp(shared->first[user][i].bytes, out, len))) {
			wrong("\"%s\" is another key in the end", known[i]);
		}
	}
}

static void fuzz_process(unsigned long long seed, int number, int generation, double end)
{
	own_seed = seed ^ (unsigned long long)(number + 1) << 48 ^ (unsigned long long)generation << 32;
	prng_state = own_seed;
	become(number % USERS);
	fuzz(end);
	exit(0);
}

int main(int argc, char **argv)
{
	int processes, i, status, generations[MAX_PROCESSES] = {}, left;
	pid_t pids[MAX_PROCESSES], pid;
	unsigned long long seed;
	double end;

	if (argc != 4 || (processes = atoi(argv[2])) < 1 || processes > MAX_PROCESSES) {
		fprintf(stderr, "usage: keyctl_fuzz SEED PROCESSES SECONDS\n");
		return 2;
	}
	seed = strtoull(argv[1], NULL, 0);
	shared = share(sizeof(*shared));
	outcomes = &shared->outcomes;
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* One mapping, so that bytes written after the buffer are noticed. */
	buffer = mmap(NULL, BUFFER_SIZE + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	out = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffer == MAP_FAILED || out == MAP_FAILED)
		die("mmap");
	bad = buffer + BUFFER_SIZE;
	if (mprotect(bad, PAGE, PROT_NONE))
		die("mprotect");

	each_user(USERS, become, ask_all, 0);
	end = now() + atof(argv[3]);
	for (i = 0; i < processes; i++) {
		pids[i] = fork();
		if (!pids[i])
			fuzz_process(seed, i, 0, end);
	}
	for (left = processes; left;) {
		pid = wait(&status);
		if (pid < 0)
			die("wait");
		for (i = 0; i < processes && pids[i] != pid; i++)
			;
		if (status)
			wrong("process %d, generation %d ended with status %#x", i, generations[i], status);
		if (now() >= end) {
			left--;
			continue;
		}
		generations[i]++;
		pids[i] = fork();
		if (!pids[i])
			fuzz_process(seed, i, generations[i], end);
	}
	printf("calls %lu\n", print_counts(op_names, OPS));
	for (i = 0, left = 0; i < processes; i++)
		left += generations[i] + 1;
	printf("generations %d\n", left);
	each_user(USERS, become, ask_all, 1);
	return 0;
}

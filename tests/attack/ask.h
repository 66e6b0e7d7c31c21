/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ask.h: request a derived key and print the result. It uses no C library, so
 * that it also works in a program that takes the place of a loader.
 *
 * ask(WHO, WHAT, KEYRING) prints one line: WHO, and then the key in
 * hexadecimal, or the name of the errno. "read:" stands before the errno if the
 * key was made but cannot be read. WHAT is one of
 *
 *	REQUEST			make the key with add_key(2), and read it
 *	request REQUEST		the same with request_key(2)
 *	read SERIAL		read a key that exists already
 */
#ifndef ASK_H
#define ASK_H

#define ASK_PROCESS_KEYRING	(-2)

static inline long ask_syscall(long nr, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long result;

	__asm__ volatile("syscall" : "=a" (result)
			 : "0" (nr), "D" (a), "S" (b), "d" (c), "r" (r10), "r" (r8)
			 : "rcx", "r11", "memory");
	return result;
}

static inline long ask_length(const char *s)
{
	long n = 0;

	while (s[n])
		n++;
	return n;
}

/*
 * Returns the rest of @s after @prefix, or NULL if @s does not begin with it.
 */
static inline const char *ask_after(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return 0;
	return s;
}

static inline const char *ask_errno(long err)
{
	switch (err) {
	case 1:		return "EPERM";
	case 11:	return "EAGAIN";
	case 12:	return "ENOMEM";
	case 13:	return "EACCES";
	case 19:	return "ENODEV";
	case 22:	return "EINVAL";
	case 27:	return "EFBIG";
	case 95:	return "EOPNOTSUPP";
	case 122:	return "EDQUOT";
	case 126:	return "ENOKEY";
	case 127:	return "EKEYEXPIRED";
	case 128:	return "EKEYREVOKED";
	case 129:	return "EKEYREJECTED";
	default:	return "E-something-else";
	}
}

static inline char *ask_append(char *to, const char *s)
{
	while (*s)
		*to++ = *s++;
	return to;
}

static inline void ask(const char *who, const char *what, long keyring)
{
	static unsigned char key[1024];
	static char line[2 * sizeof(key) + 64];
	const long add_key = 248, request_key = 249, keyctl = 250, keyctl_read = 11;
	const char *rest;
	long serial, len, i;
	char *p;

	p = ask_append(line, who);
	*p++ = ' ';

	rest = ask_after(what, "read ");
	if (rest) {
		for (serial = 0; *rest; rest++)
			serial = 10 * serial + (*rest - '0');
	} else {
		rest = ask_after(what, "request ");
		if (rest)
			serial = ask_syscall(request_key, (long)"derived", (long)"attack",
					     (long)rest, keyring, 0);
		else
			serial = ask_syscall(add_key, (long)"derived", (long)"attack",
					     (long)what, ask_length(what), keyring);
	}
	if (serial < 0) {
		p = ask_append(p, ask_errno(-serial));
	} else {
		len = ask_syscall(keyctl, keyctl_read, serial, (long)key, sizeof(key), 0);
		if (len < 0) {
			p = ask_append(ask_append(p, "read:"), ask_errno(-len));
		} else {
			for (i = 0; i < len; i++) {
				*p++ = "0123456789abcdef"[key[i] >> 4];
				*p++ = "0123456789abcdef"[key[i] & 15];
			}
		}
	}
	*p++ = '\n';
	ask_syscall(1, 1, (long)line, p - line, 0, 0);
}

#endif /* ASK_H */

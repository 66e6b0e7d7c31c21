// SPDX-License-Identifier: GPL-2.0
/*
 * afalg: encrypt or decrypt with a key in the kernel. This program never sees
 * the bytes of the key.
 *
 *	afalg encrypt|decrypt skcipher ALGORITHM KEY IV <INPUT >OUTPUT
 *	afalg encrypt|decrypt aead     ALGORITHM KEY IV [AAD] <INPUT >OUTPUT
 *
 * ALGORITHM is the kernel's name of the algorithm: "xts(aes)", "ccm(aes)".
 * KEY is the serial number of the key. AF_ALG takes a key of type logon on every
 * kernel. On a patched kernel, it also takes a key of type derived, of 32 bytes
 * or more. IV and AAD are hexadecimal; the same values are needed to decrypt.
 * INPUT is at most 32 KiB. The output of an aead encryption ends with a tag of
 * 16 bytes.
 *
 *	keyctl request2 derived vault '64 path,logon,noread vault v1' @s
 *	key=$(keyctl search @s logon derived:vault)
 *	afalg encrypt skcipher 'xts(aes)' $key 00000000000000000000000000000000 <plain >cipher
 *
 * The kernel looks for the key in the keyrings of the process that calls
 * setsockopt(2). That process must possess the key: a search from its session
 * keyring must find it.
 */
#include <errno.h>
#include <limits.h>
#include <linux/if_alg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef ALG_SET_KEY_BY_KEY_SERIAL	/* since Linux 6.2 */
#define ALG_SET_KEY_BY_KEY_SERIAL 7
#endif

#define INPUT_MAX	(32 * 1024)
#define IV_MAX		64
#define AAD_MAX		1024
#define TAG_LEN		16

static void usage(void)
{
	fprintf(stderr,
		"usage: afalg encrypt|decrypt skcipher ALGORITHM KEY IV\n"
		"       afalg encrypt|decrypt aead ALGORITHM KEY IV [AAD]\n");
	exit(2);
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int digit(char c)
{
	const char *digits = "0123456789abcdef", *found = c ? strchr(digits, c) : NULL;

	return found ? found - digits : -1;
}

static size_t hex(const char *s, unsigned char *out, size_t max, const char *what)
{
	const size_t len = strlen(s);
	size_t i;

	if (len % 2 || len / 2 > max || strspn(s, "0123456789abcdef") != len) {
		fprintf(stderr, "afalg: %s is not lower-case hexadecimal of at most %zu bytes\n", what, max);
		exit(2);
	}
	for (i = 0; i < len / 2; i++)
		out[i] = digit(s[2 * i]) << 4 | digit(s[2 * i + 1]);
	return len / 2;
}

/*
 * Returns a socket on which the key is set. This program knows nothing more
 * about the key than its serial number.
 */
static int open_algorithm(const char *type, const char *name, int serial)
{
	struct sockaddr_alg sa = { .salg_family = AF_ALG };
	int parent, fd;

	if (strlen(type) >= sizeof(sa.salg_type) || strlen(name) >= sizeof(sa.salg_name))
		usage();
	strcpy((char *)sa.salg_type, type);
	strcpy((char *)sa.salg_name, name);

	parent = socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (parent < 0)
		die("afalg: socket");
	if (bind(parent, (struct sockaddr *)&sa, sizeof(sa))) {
		if (errno == ENOENT)
			fprintf(stderr, "afalg: no such algorithm, or /proc/sys/crypto/af_alg_restrict\n");
		die("afalg: bind");
	}
	if (setsockopt(parent, SOL_ALG, ALG_SET_KEY_BY_KEY_SERIAL, &serial, sizeof(serial)))
		die("afalg: ALG_SET_KEY_BY_KEY_SERIAL");
	if (!strcmp(type, "aead") &&
	    setsockopt(parent, SOL_ALG, ALG_SET_AEAD_AUTHSIZE, NULL, TAG_LEN))
		die("afalg: ALG_SET_AEAD_AUTHSIZE");
	fd = accept(parent, NULL, 0);
	if (fd < 0)
		die("afalg: accept");
	close(parent);
	return fd;
}

static void add_control(struct msghdr *msg, struct cmsghdr **cmsg, int type, const void *data, size_t len)
{
	*cmsg = *cmsg ? CMSG_NXTHDR(msg, *cmsg) : CMSG_FIRSTHDR(msg);
	(*cmsg)->cmsg_level = SOL_ALG;
	(*cmsg)->cmsg_type = type;
	(*cmsg)->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(*cmsg), data, len);
}

int main(int argc, char **argv)
{
	static unsigned char in[AAD_MAX + INPUT_MAX + 1], out[AAD_MAX + INPUT_MAX + TAG_LEN];
	static char control[CMSG_SPACE(sizeof(__u32)) * 2 +
			    CMSG_SPACE(sizeof(struct af_alg_iv) + IV_MAX)];
	union {
		struct af_alg_iv alg;
		unsigned char room[sizeof(struct af_alg_iv) + IV_MAX];
	} iv;
	struct iovec iov = { .iov_base = in };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };
	struct cmsghdr *cmsg = NULL;
	size_t aad_len = 0, in_len, out_len;
	unsigned long serial;
	__u32 op, assoclen;
	ssize_t n;
	char *end;
	int aead, fd;

	if (argc < 6 || argc > 7)
		usage();
	if (strcmp(argv[1], "encrypt") && strcmp(argv[1], "decrypt"))
		usage();
	op = strcmp(argv[1], "encrypt") ? ALG_OP_DECRYPT : ALG_OP_ENCRYPT;
	aead = !strcmp(argv[2], "aead");
	if (!aead && (strcmp(argv[2], "skcipher") || argc == 7))
		usage();
	serial = strtoul(argv[4], &end, 10);
	if (*end || !serial || serial > INT_MAX)
		usage();
	iv.alg.ivlen = hex(argv[5], iv.alg.iv, IV_MAX, "IV");
	if (argc == 7)
		aad_len = hex(argv[6], in, AAD_MAX, "AAD");

	for (in_len = aad_len; in_len < sizeof(in); in_len += n) {
		n = read(STDIN_FILENO, in + in_len, sizeof(in) - in_len);
		if (n < 0)
			die("afalg: read");
		if (!n)
			break;
	}
	if (in_len - aad_len > INPUT_MAX) {
		fprintf(stderr, "afalg: the input is longer than %d bytes\n", INPUT_MAX);
		return 1;
	}
	if (aead && op == ALG_OP_DECRYPT && in_len - aad_len < TAG_LEN) {
		fprintf(stderr, "afalg: the input is shorter than its tag\n");
		return 1;
	}
	out_len = in_len;
	if (aead)
		out_len += op == ALG_OP_ENCRYPT ? TAG_LEN : -TAG_LEN;

	fd = open_algorithm(argv[2], argv[3], serial);

	msg.msg_controllen = CMSG_SPACE(sizeof(op)) + CMSG_SPACE(sizeof(iv.alg) + iv.alg.ivlen) +
			     (aead ? CMSG_SPACE(sizeof(assoclen)) : 0);
	add_control(&msg, &cmsg, ALG_SET_OP, &op, sizeof(op));
	add_control(&msg, &cmsg, ALG_SET_IV, &iv, sizeof(iv.alg) + iv.alg.ivlen);
	if (aead) {
		assoclen = aad_len;
		add_control(&msg, &cmsg, ALG_SET_AEAD_ASSOCLEN, &assoclen, sizeof(assoclen));
	}
	iov.iov_len = in_len;
	n = sendmsg(fd, &msg, 0);
	if (n < 0)
		die("afalg: sendmsg");
	if ((size_t)n != in_len) {
		fprintf(stderr, "afalg: the kernel took %zd of %zu bytes\n", n, in_len);
		return 1;
	}
	/* EBADMSG: aead decrypts only what was encrypted with the same key, IV and AAD. */
	n = read(fd, out, out_len);
	if (n < 0)
		die("afalg: read");
	if ((size_t)n != out_len) {
		fprintf(stderr, "afalg: the kernel gave %zd of %zu bytes\n", n, out_len);
		return 1;
	}
	/* The kernel's output begins with the AAD. */
	if (fwrite(out + aad_len, 1, out_len - aad_len, stdout) != out_len - aad_len || fflush(stdout))
		die("afalg: write");
	return 0;
}

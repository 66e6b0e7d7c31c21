// SPDX-License-Identifier: GPL-2.0
/*
 * cap-race: try to fetch the capped root (cap=13) all the time, by the TPM's devices.
 *
 *	cap-race DEVICE CLIENTS COUNTS
 *
 * Each client opens the device, makes the primary key and a policy session, and then repeats
 * TPM2_PolicyPCR and TPM2_HMAC. With one client, each write waits for the TPM. With more clients, the
 * writes do not wait (O_NONBLOCK): a worker of the kernel sends the command, and each client has a command
 * in the queue all the time, also when the system suspends.
 *
 * COUNTS is a file that another process reads at any time, and that must not exist. Its first page has the
 * numbers of struct counts.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST_CLIENTS 16

/* What came of TPM2_HMAC, except for errors that say that the TPM was reset. */
struct counts {
	uint64_t refused;	/* TPM_RC_POLICY_FAIL */
	uint64_t changed;	/* TPM_RC_PCR_CHANGED */
	uint64_t failed;	/* other errors, of this or another command */
	uint64_t won;		/* the capped root */
	unsigned char root[32];	/* of the first success */
	uint32_t failure;	/* the last other error: a return code, or a negative errno */
};

enum step { OPEN, PRIMARY, SESSION, POLICY, HMAC, RESTART };

struct client {
	int fd;
	enum step step;
	unsigned char key[4], session[4];	/* handles */
};

static const unsigned char policy[32] = {
	0xea, 0x07, 0xba, 0xdf, 0x16, 0x2f, 0x2c, 0x45, 0x4b, 0xdf, 0x5a, 0xa5, 0xe4, 0x97, 0x6b, 0x6f,
	0x71, 0x89, 0xf2, 0x02, 0x3e, 0xdf, 0xa3, 0x16, 0xfd, 0xf5, 0x8c, 0x15, 0xd2, 0x6e, 0xc8, 0x14,
};

static const unsigned char unique[32] = {
	0xa9, 0x39, 0xae, 0xf9, 0x5e, 0x0f, 0x85, 0x29, 0x42, 0xc2, 0x62, 0x35, 0x2d, 0xf1, 0x1d, 0x77,
	0x75, 0x5e, 0x84, 0xfc, 0xf2, 0x9f, 0x4d, 0x20, 0xfb, 0xbc, 0xa7, 0xdd, 0x45, 0x65, 0x7b, 0x0e,
};

static unsigned char message[4096];
static size_t length;
static struct counts *counts;
static const char *device;
static int flags = O_RDWR | O_CLOEXEC;

static void put(const void *data, size_t size)
{
	memcpy(message + length, data, size);
	length += size;
}

#define PUT(bytes) put(bytes, sizeof(bytes) - 1)

static void begin(const char *tag, unsigned char code)
{
	length = 0;
	put(tag, 2);
	PUT("\0\0\0\0\0\0\1");
	put(&code, 1);
}

/* The command of the step, into message. */
static void command(const struct client *client)
{
	switch (client->step) {
	case OPEN:
		break;
	case PRIMARY:
		begin("\x80\x02", 0x31);
		PUT("\x40\0\0\1" "\0\0\0\x09" "\x40\0\0\x09" "\0\0" "\0" "\0\0");
		PUT("\0\4\0\0\0\0" "\0\x50");
		PUT("\0\x08\0\x0b\0\x04\x04\xb2\0\x20");
		put(policy, sizeof(policy));
		PUT("\0\x05\0\x0b\0\x20");
		put(unique, sizeof(unique));
		PUT("\0\0" "\0\0\0\0");
		break;
	case SESSION:
		begin("\x80\x01", 0x76);
		PUT("\x40\0\0\x07" "\x40\0\0\x07" "\0\x10" "0123456789abcdef" "\0\0" "\1" "\0\x10" "\0\x0b");
		break;
	case POLICY:
		begin("\x80\x01", 0x7f);
		put(client->session, 4);
		PUT("\0\0" "\0\0\0\1" "\0\x0b" "\3" "\0\x20\0");
		break;
	case HMAC:
		begin("\x80\x02", 0x55);
		put(client->key, 4);
		PUT("\0\0\0\x09");
		put(client->session, 4);
		PUT("\0\0" "\1" "\0\0");
		PUT("\0\x44" "\0\0\0\1" "derived-keys v1 capped root" "\0");
		put(policy, sizeof(policy));
		PUT("\0\0\1\0" "\0\x0b");
		break;
	case RESTART:
		begin("\x80\x01", 0x80);
		put(client->session, 4);
		break;
	}
	message[4] = length >> 8;
	message[5] = length;
}

/* Through /dev/tpm0, the bare TPM, closing does not remove anything. */
static void flush(struct client *client, const unsigned char *handle)
{
	if (!memcmp(handle, "\0\0\0\0", 4) || !strncmp(device, "/dev/tpmrm", 10))
		return;
	begin("\x80\x01", 0x65);
	put(handle, 4);
	message[5] = length;
	if (write(client->fd, message, length) > 0 && read(client->fd, message, sizeof(message)) < 0)
		counts->failure = -errno;
}

static void start_again(struct client *client, uint32_t failure)
{
	counts->failed++;
	counts->failure = failure;
	flush(client, client->session);
	flush(client, client->key);
	memset(client->session, 0, 4);
	memset(client->key, 0, 4);
	close(client->fd);
	client->step = OPEN;
	usleep(1000);
}

/* Treat the response to the command of the step. */
static void response(struct client *client)
{
	ssize_t n = read(client->fd, message, sizeof(message));
	uint32_t rc;

	if (n < 10) {
		start_again(client, n < 0 ? -errno : 0);
		return;
	}
	rc = message[6] << 24 | message[7] << 16 | message[8] << 8 | message[9];
	if (client->step == HMAC && rc == 0) {
		if (!counts->won)
			memcpy(counts->root, message + 16, 32);
		counts->won++;
		client->step = POLICY;		/* the TPM has restarted the session */
	} else if (client->step == HMAC && rc == 0x99d) {
		counts->refused++;
		client->step = RESTART;
	} else if (client->step == HMAC && rc == 0x128) {
		counts->changed++;
		client->step = RESTART;
	} else if (rc) {
		start_again(client, rc);
	} else if (client->step == PRIMARY) {
		memcpy(client->key, message + 10, 4);
		client->step = SESSION;
	} else if (client->step == SESSION) {
		memcpy(client->session, message + 10, 4);
		client->step = POLICY;
	} else if (client->step == POLICY) {
		client->step = HMAC;
	} else {
		client->step = POLICY;
	}
}

/* Open the device, or send the next command. */
static void request(struct client *client)
{
	if (client->step == OPEN) {
		client->fd = open(device, flags);
		if (client->fd < 0) {
			counts->failed++;
			counts->failure = -errno;
			usleep(10000);
			return;
		}
		client->step = PRIMARY;
	}
	command(client);
	if (write(client->fd, message, length) != (ssize_t)length)
		start_again(client, -errno);
}

int main(int argc, char **argv)
{
	struct client clients[MOST_CLIENTS] = { };
	struct pollfd polls[MOST_CLIENTS];
	int i, number, file;

	if (argc != 4)
		errx(2, "usage: cap-race DEVICE CLIENTS COUNTS");
	device = argv[1];
	number = atoi(argv[2]);
	if (number < 1 || number > MOST_CLIENTS)
		errx(2, "not a number of clients: %s", argv[2]);
	file = open(argv[3], O_RDWR | O_CREAT | O_EXCL, 0600);
	if (file < 0 || ftruncate(file, 4096))
		err(1, "%s", argv[3]);
	counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (counts == MAP_FAILED)
		err(1, "mmap");

	if (number == 1)
		for (;;) {
			request(&clients[0]);
			if (clients[0].step != OPEN)
				response(&clients[0]);
		}

	flags |= O_NONBLOCK;
	for (i = 0; i < number; i++)
		request(&clients[i]);
	for (;;) {
		for (i = 0; i < number; i++) {
			polls[i].fd = clients[i].step == OPEN ? -1 : clients[i].fd;
			polls[i].events = POLLIN;
			polls[i].revents = 0;
		}
		if (poll(polls, number, 100) < 0)
			err(1, "poll");
		for (i = 0; i < number; i++) {
			if (clients[i].step != OPEN && !polls[i].revents)
				continue;
			if (clients[i].step != OPEN)
				response(&clients[i]);
			request(&clients[i]);
		}
	}
}

// SPDX-License-Identifier: GPL-2.0
/*
 * pass-execfd: an interpreter for binfmt_misc. It sends AT_EXECFD, the
 * descriptor of the program that it was called for, over the socket that is its
 * descriptor 3 (P11c).
 *
 * gcc: -static
 */
#define _GNU_SOURCE
#include "attack.h"

#include <sys/auxv.h>

int main(void)
{
	int fd;

	errno = 0;
	fd = getauxval(AT_EXECFD);
	if (errno)
		failed("AT_EXECFD");
	send_fd(3, fd);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For kernels without <linux/tpm_buf.h>. There, a struct tpm_buf points to a
 * page that tpm_buf_init() allocates. The page is never wiped. In newer kernels,
 * the caller allocates TPM_BUFSIZE bytes, header and data in one, and frees them.
 *
 * Here, one allocation also has both: the old struct, and the PAGE_SIZE bytes
 * that the old tpm_transmit_cmd() lets a TPM fill. So kfree_sensitive() wipes
 * both.
 */
#ifndef _COMPAT_LINUX_TPM_H
#define _COMPAT_LINUX_TPM_H

#include_next <linux/tpm.h>

#ifdef COMPAT_LACKS_TPM_BUF_H
#include <linux/tpm_command.h>

#define TPM_BUFSIZE (sizeof(struct tpm_buf) + PAGE_SIZE)

static inline void compat_tpm_buf_init(struct tpm_buf *buf, size_t buf_size)
{
	memset(buf, 0, buf_size);
	buf->data = (u8 *)(buf + 1);
	tpm_buf_reset(buf, TPM_TAG_RQU_COMMAND, 0);
}

#define tpm_buf_init compat_tpm_buf_init

#endif /* COMPAT_LACKS_TPM_BUF_H */

#endif /* _COMPAT_LINUX_TPM_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel log: messages for the administrator, and their rate limits.
 */

#define pr_fmt(fmt) "derived: " fmt

#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/string_helpers.h>

#include "derived_current.h"
#include "derived_log.h"

/* A longer path is cut: a user could fill the log with long paths. */
#define LOG_PATH_MAX	256

/**
 * derived_may_log() - whether a line may go into the kernel log now
 * @cause:	what the line is about. Each cause has at most one line a minute, so
 *		that a user cannot fill the log
 *
 * Context: any.
 * Return: true if it may; then this counts as the line of this minute
 */
bool derived_may_log(enum derived_cause cause)
{
	/* RATELIMIT_MSG_ON_RELEASE: no second line, "callbacks suppressed". */
	static struct ratelimit_state limits[] = {
		[0 ... DERIVED_CAUSES - 1] =
			RATELIMIT_STATE_INIT_FLAGS(limits, 60 * HZ, 1,
						   RATELIMIT_MSG_ON_RELEASE),
	};

	return __ratelimit(&limits[cause]);
}

/**
 * derived_log() - write a line into the kernel log
 * @cause:	what the line is about. Each cause has at most one line a minute
 * @fmt:	the message: never with bytes of a key or a digest. Check values are
 *		public
 *
 * The line names the user and the program of this process. The path is the one
 * that the process sees. The user can choose it, so it is escaped and cut.
 *
 * Context: process context, of the process that asks; may sleep.
 */
void derived_log(enum derived_cause cause, const char *fmt, ...)
{
	static const char unknown[] = "(unknown)";
	const char *shown = unknown;
	char *path_buf, *line;
	struct va_format vaf;
	struct file *exe;
	va_list args;
	char *path;
	int len;

	if (!derived_may_log(cause))
		return;

	exe = derived_current_exe();
	path_buf = kmalloc(PATH_MAX, GFP_KERNEL);
	line = kmalloc(LOG_PATH_MAX, GFP_KERNEL);
	if (exe && path_buf && line) {
		path = file_path(exe, path_buf, PATH_MAX);
		if (!IS_ERR(path)) {
			len = string_escape_mem(path, strlen(path), line,
						LOG_PATH_MAX - 1,
						ESCAPE_HEX | ESCAPE_NAP |
						ESCAPE_APPEND, "\"\\");
			line[min(len, LOG_PATH_MAX - 1)] = '\0';
			shown = line;
		}
	}

	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	pr_notice("uid %u, \"%s\": %pV\n", derived_current_euid(), shown, &vaf);
	va_end(args);

	kfree(line);
	kfree(path_buf);
	if (exe)
		fput(exe);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel log: what the administrator is told, and how often.
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

/* A path in the log may be long enough to tell, and not to flood. */
#define LOG_PATH_MAX	256

/**
 * derived_may_log() - whether a line may go into the kernel log now
 * @cause:	what it is about: at most one line for each and minute, so that
 *		nobody can fill the log
 *
 * Context: any.
 * Return: true if it may, which counts as done
 */
bool derived_may_log(enum derived_cause cause)
{
	/* RATELIMIT_MSG_ON_RELEASE: "callbacks suppressed" would be a second line. */
	static struct ratelimit_state limits[] = {
		[0 ... DERIVED_CAUSES - 1] =
			RATELIMIT_STATE_INIT_FLAGS(limits, 60 * HZ, 1,
						   RATELIMIT_MSG_ON_RELEASE),
	};

	return __ratelimit(&limits[cause]);
}

/**
 * derived_log() - tell the administrator, in the kernel log
 * @cause:	what about: at most one line for each and minute
 * @fmt:	what; never bytes of a key or a digest. Check values are public
 *
 * The line names the asking user and program. The path is what the program
 * looks like to itself: it is chosen by whoever runs it, hence escaped and cut.
 *
 * Context: process context, of the one who asks; may sleep.
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

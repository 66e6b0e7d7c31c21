/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files that execve(2) hands to an interpreter.
 */
#ifndef _DERIVED_EXEC_H
#define _DERIVED_EXEC_H

void derived_exec_init(void);
void derived_exec_exit(void);

#endif /* _DERIVED_EXEC_H */

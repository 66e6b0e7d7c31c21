// SPDX-License-Identifier: GPL-2.0
/* Who says BAD at the start of a comment is caught. */

/*
 * A fixture for tests/checks/wording, which must find each sentence that is
 * marked, at its first line, and no other. Whoever says BAD in the middle of
 * a paragraph is caught. There are two cases: nobody says BAD after a colon.
 * This is the end of a line.
 * Someone who says BAD at the start of a line is caught.
 *
 * - whoever says BAD in a list
 * @name: nobody says BAD here
 *
 * Who may say this? A user who asks may, and so may a user whose name is
 * known; the caller, who waits, too. As e.g. who or i.e. nobody.
 * One that asks two things: who asked, and why?
 */
int derived_bad_wording(int who)
{
	/* "Nobody" is but a name; this ends here.
	 * (Nobody says BAD in parentheses.) */
	return who; // Whatever says BAD behind code is caught.
}

// Somebody says BAD over
// two lines. Whose BAD it is, is said here.
static const char text[] = "Who is in a string is no comment. /* Nobody */";

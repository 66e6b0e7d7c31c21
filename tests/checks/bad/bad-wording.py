# SPDX-License-Identifier: GPL-2.0
"""A fixture for tests/checks/wording.

Whoever says BAD in a docstring is caught.
"""
TEXT = "Who is in a string is not read. # Nobody"  # Nobody says BAD.

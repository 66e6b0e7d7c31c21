# SPDX-License-Identifier: GPL-2.0
"""Python must not compile this."""
def f(:
    pass

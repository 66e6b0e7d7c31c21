#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A fixture for tests/checks/wording. Who says BAD is caught.
echo "Who # Nobody says it in a string"
true # Somebody says BAD behind code.
echo "${1#Who} $#"

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A fixture for tests/checks/static: what shellcheck must catch.
name=$1
rm $name

# SPDX-License-Identifier: GPL-2.0
"""
golden.py: what a test compares with: the root secret of the TPM tests/vectors/tpm-golden, and the keys that the
recovery tool computes from it.
"""

import importlib.machinery
import importlib.util
import os

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RECOVER = os.path.join(TREE, "tools", "derived-keys-recover")


def load_program(path):
    """A Python program, whose name does not end in ".py", as a module."""
    name = os.path.basename(path).replace("-", "_")
    loader = importlib.machinery.SourceFileLoader(name, path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def golden_root():
    """K_root of tests/vectors/tpm-golden and its check value, as tpm2-tools computed them."""
    with open(os.path.join(TREE, "tests", "vectors", "golden.tsv"), encoding="utf-8") as file:
        for line in file:
            fields = line.split("\t")
            if fields[:2] == ["root", "golden"]:
                return bytes.fromhex(fields[3]), bytes.fromhex(fields[2])
    raise RuntimeError("golden.tsv has no golden K_root")

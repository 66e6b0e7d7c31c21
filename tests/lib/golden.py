# SPDX-License-Identifier: GPL-2.0
"""
golden.py: what a test compares with: the root secrets of the TPM tests/vectors/tpm-golden, and the keys that the
recovery tool computes from them.
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


def golden_row(*first):
    """The other fields of the row of tests/vectors/golden.tsv that begins with these."""
    with open(os.path.join(TREE, "tests", "vectors", "golden.tsv"), encoding="utf-8") as file:
        for line in file:
            fields = line.rstrip("\n").split("\t")
            if fields[:len(first)] == list(first):
                return fields[len(first):]
    raise RuntimeError(f"golden.tsv has no row {' '.join(first)}")


def golden_root():
    """K_root of tests/vectors/tpm-golden and its check value, as tpm2-tools computed them."""
    check, secret = golden_row("root", "golden")[:2]
    return bytes.fromhex(secret), bytes.fromhex(check)


def golden_capped_root(cap="13"):
    """K_capped of that TPM and its check value, for a cap PCR and no further PCRs."""
    *_, check, secret = golden_row("capped-root", "golden", cap)
    return bytes.fromhex(secret), bytes.fromhex(check)

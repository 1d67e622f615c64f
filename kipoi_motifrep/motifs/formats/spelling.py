"""How names and numbers are spelt in motif files."""

from __future__ import annotations

import numpy as np


def word(name: str) -> str:
    """Name as one word: white space becomes ``_``."""
    return "_".join(name.split())


def decimal(value: float) -> str:
    """Probability with 6 decimals, or as many more as it takes to read the same number back."""
    return np.format_float_positional(value, unique=True, min_digits=6, trim="k")


def plain(value: float) -> str:
    """Count without a needless fraction; reads back as the same number."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))

"""Sequences as text and as codes."""

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from oracles import naive

from kipoi_motifrep.sequences.alphabet import OUTSIDE, encode

LETTER = "ACGTNRYSWKMBDHVU"
dna = st.text(LETTER + LETTER.lower(), max_size=60)
several = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def codes_of(text):
    return encode(np.frombuffer(text.encode(), np.uint8))


def padded(text):
    """Codes of a string in which naive.PAD marks what lies outside."""
    return np.array([OUTSIDE if letter == naive.PAD else codes_of(letter)[0] for letter in text], np.uint8)


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path

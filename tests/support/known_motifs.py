"""Random PWMs, and files of known motifs."""

import numpy as np


def pwm(seed, width=8, sharp=0.15):
    return np.random.default_rng(seed).dirichlet([sharp] * 4, width)


def truth_file(tmp_path, text):
    path = tmp_path / "truth.tsv"
    path.write_text(text)
    return path

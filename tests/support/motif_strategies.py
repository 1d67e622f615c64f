"""Random motifs for hypothesis, and one that is known."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kipoi_motifrep.motifs import Motif

PWM = np.array([[0.7, 0.1, 0.1, 0.1], [0, 1, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.1, 0.2, 0.3, 0.4]])
COUNTS = np.array([[7, 1, 1, 1], [0, 10, 0, 0], [4, 2, 2, 2], [1, 2, 3, 4]], float)
BACKGROUND = [0.3, 0.2, 0.2, 0.3]


@st.composite
def pwms(draw, max_width=12):
    width = draw(st.integers(1, max_width))
    weights = draw(hnp.arrays(float, (width, 4), elements=st.floats(0, 1, allow_subnormal=False)))
    weights[weights.sum(axis=1) < 1e-3] = 1
    return weights / weights.sum(axis=1, keepdims=True)


WORDS = st.text("abcdefghijklmnopXYZ0123456789_.-:()/", min_size=1, max_size=12)
PHRASES = st.lists(WORDS, max_size=3).map(" ".join)


@st.composite
def motif_lists(draw, with_counts=False):
    motifs = []
    for name in draw(st.lists(WORDS, min_size=1, max_size=4, unique=True)):
        pwm = draw(pwms())
        fields = {"alt_name": draw(PHRASES), "nsites": draw(st.none() | st.integers(2, 10**6) | st.floats(2, 1e6))}
        if with_counts and draw(st.booleans()):
            counts = np.round(pwm * draw(st.integers(50, 10**5)) + draw(st.integers(1, 3)))
            pwm, fields["counts"] = counts / counts.sum(axis=1, keepdims=True), counts
            fields["nsites"] = counts[0].sum()
        motifs.append(Motif(name, pwm, **fields))
    return motifs

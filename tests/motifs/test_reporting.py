"""Tomtom's records from p-values: against a plain loop, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kipoi_motifrep.motifs.tomtom.comparing import SEED, seeded
from kipoi_motifrep.motifs.tomtom.reporting import ReportRule, q_values, report
from kipoi_motifrep.motifs.tomtom.targets import Targets


def slow_report(widths, targets, rule, p_values, chosen):
    """One query, and one strand after another; fractions of null p-values are 1."""
    rows = []
    for query, w in enumerate(widths):
        own = p_values[query]
        strands = []
        for strand, p in enumerate(own):
            k, n = int(chosen[query, strand]), int(targets.width_of[strand])
            overlap = sum(0 <= k + 1 - w + i < n for i in range(w))
            strands.append((p, -overlap, bool(targets.minus[strand]), int(targets.target[strand]), k + 1 - w))
        strands.sort()
        seen = set()
        for p, overlap, minus, target, offset in strands:
            if target in seen:
                continue
            seen.add(target)
            e = float(np.float32(p * np.float32(targets.n_targets)))
            # The lowest rate of all lists that hold this p-value.
            rates = [float(other) * len(own) / sum(own <= other) for other in own if other >= p]
            q = float(np.float32(min(1.0, *rates))) if rule.with_q else np.nan
            if (q if rule.by_q else e) <= rule.threshold:
                rows.append((query, target, offset, float(p), e, q, -overlap, "-" if minus else "+"))
    return rows


@given(data=st.data(), both_strands=st.booleans(), which=st.sampled_from(["E", "E with q", "q"]))
@settings(max_examples=150, deadline=None)
def test_records_are_those_of_a_plain_loop(data, both_strands, which):
    shapes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    targets = Targets.of([np.full((n, 4), 0.25) for n in shapes], both_strands)
    widths = np.array(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    shape = len(widths), len(targets.target)
    few = st.sampled_from([1e-9, 0.01, 0.0200001, 0.02, 0.1, 0.5, 1.0])  # so that there are ties
    p_values = np.array([[data.draw(few) for _ in range(shape[1])] for _ in widths], np.float32)
    chosen = np.array(
        [[data.draw(st.integers(0, w + n - 2)) for n in targets.width_of.tolist()] for w in widths.tolist()], np.int32
    )
    threshold = data.draw(st.sampled_from([0.0, 0.02 * len(shapes), 0.1, 1.0] + [np.inf] * (which != "q")))
    rule = ReportRule(threshold, which == "q", which != "E")
    hits = report(widths, targets, rule, p_values, chosen, seeded(SEED))
    expected = np.array(slow_report(widths.tolist(), targets, rule, p_values, chosen), hits.dtype)
    for name in hits.dtype.names:
        np.testing.assert_array_equal(hits[name], expected[name])


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=50), st.floats(0, 1))
@settings(deadline=None)
def test_q_values_rise_and_stay_below_one(p, pi0):
    (q,) = q_values(np.sort(np.array([p], np.float32)), np.array([pi0]))
    assert np.all(np.diff(q) >= 0) and q.max() <= 1
    assert q[-1] == pytest.approx(min(1, pi0 * max(p)))

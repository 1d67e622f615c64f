"""The slow, obvious way to what kipoi_motifrep.networks and .filters compute: one loop a site."""

import numpy as np


def one_hot(codes):
    """(L,) codes to (L, 4); 4 (no base) is a row of zeros."""
    rows = np.zeros((len(codes), 4))
    for position, code in enumerate(codes):
        if code < 4:
            rows[position, code] = 1
    return rows


def window(rows, start, width):
    """Rows start to start + width - 1 of one sequence, zeros beyond its ends."""
    cut = np.zeros((width, 4))
    for column in range(width):
        if 0 <= start + column < len(rows):
            cut[column] = rows[start + column]
    return cut


def scores(codes, kernels, start, step, n_positions):
    """Cross-correlation of every kernel at every position: (n, n_positions, n_filters)."""
    n_filters, width, _ = kernels.shape
    found = np.zeros((len(codes), n_positions, n_filters))
    for n, sequence in enumerate(codes):
        rows = one_hot(sequence)
        for i in range(n_positions):
            seen = window(rows, start + step * i, width)
            for f in range(n_filters):
                found[n, i, f] = (kernels[f] * seen).sum()
    return found


def sites(feature_map, level, best_per_sequence=False):
    """(sequence, position) of the sites of one filter; feature_map is (n, n_positions)."""
    found = []
    for n, values in enumerate(feature_map):
        chosen = [i for i, value in enumerate(values) if value > level and value > 0]
        if best_per_sequence and chosen:
            chosen = [max(chosen, key=lambda i: (values[i], -i))]
        found += [(n, i) for i in chosen]
    return found


def best_sites(feature_map, k):
    """The k highest positive values of one filter; ties to the earlier sequence, then position."""
    every = [(-value, n, i) for n, values in enumerate(feature_map) for i, value in enumerate(values) if value > 0]
    return [(n, i) for _, n, i in sorted(every)[:k]]


def pwm(codes, feature_map, found, start, step, width, weighted=True):
    """Activation PWM of one filter from its sites: paper, methods."""
    counts = np.zeros((width, 4))
    for n, i in found:
        weight = float(feature_map[n, i]) if weighted else 1.0
        counts += weight * window(one_hot(codes[n]), start + step * i, width)
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.where(total > 0, total, 1), 0.25), counts

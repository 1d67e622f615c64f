"""Tomtom, slow and obvious: one step of the method after another, in plain Python loops.

Written from the description of the method alone, to check the fast implementation
against. Motifs are (matrix, nsites) pairs; a matrix is a list of rows (A, C, G, T).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Row(NamedTuple):
    query: int
    target: int
    offset: int
    p_value: float
    e_value: float
    q_value: float
    overlap: int
    orientation: str


class Mersenne:
    """MT19937 (Matsumoto & Nishimura 1998) with its first seeding rule."""

    def __init__(self, seed):
        self.state = [seed]
        for _ in range(623):
            self.state.append((69069 * self.state[-1]) % 2**32)
        self.next = 624

    def word(self):
        if self.next == 624:
            for i in range(624):
                y = (self.state[i] & 0x80000000) | (self.state[(i + 1) % 624] & 0x7FFFFFFF)
                self.state[i] = self.state[(i + 397) % 624] ^ (y >> 1) ^ (0x9908B0DF if y & 1 else 0)
            self.next = 0
        y = self.state[self.next]
        self.next += 1
        y ^= y >> 11
        y ^= (y << 7) & 0x9D2C5680
        y ^= (y << 15) & 0xEFC60000
        return y ^ (y >> 18)

    def uniform(self):
        first = self.word()
        second = self.word()
        return ((first << 32) | second) * 2.0**-64


def prepare(motif, background):
    matrix, nsites = motif
    nsites = nsites if nsites else 20
    if background is None:
        letters = [0.25] * 4
    else:
        letters = [b + 5e-7 for b in background]
        total = letters[0] + letters[1] + letters[2] + letters[3]
        letters = [b / total for b in letters]
    prepared = []
    for row in matrix:
        row = [float(p) for p in row]
        total = row[0] + row[1] + row[2] + row[3]
        if abs(total - 1) > 1e-5:
            row = [p / total for p in row]
        prepared.append([(p * nsites + 0.1 * b) / (nsites + 0.1) for p, b in zip(row, letters, strict=True)])
    return prepared


def reverse_complement(matrix):
    return [row[::-1] for row in matrix[::-1]]


def distance(q, t):
    square = (q[0] - t[0]) ** 2
    for letter in (1, 2, 3):
        square = square + (q[letter] - t[letter]) ** 2
    return math.sqrt(square)


def integer_scores(query, columns, complete):
    """Integer scores, one list for each query column, and the score of an unaligned column."""
    w = len(columns)
    scores = []
    for q in query:
        row = [-distance(q, t) for t in columns]
        if complete:
            ordered = sorted(row)
            median = (ordered[w // 2 - 1] + ordered[math.ceil(w / 2) - 1]) / 2
            row = [s - median for s in row]
        scores.append(row)
    lowest = min(min(row) for row in scores)
    highest = max(max(row) for row in scores)
    if lowest == highest:
        lowest = highest - 1
    off = math.floor(lowest)
    scale = math.floor(100 / (highest - off))
    integers = [[math.floor((s - off) * scale + 0.5) for s in row] for row in scores]
    return integers, -off * scale


def convolve(a, b):
    total = [0.0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        if x:
            for j, y in enumerate(b):
                total[i + j] += x * y
    return total


def tail(distribution, score):
    """Probability of `score` or more; small terms are added first."""
    total = 0.0
    for s in range(len(distribution) - 1, max(score, 0) - 1, -1):
        total += distribution[s]
    return total


def alignments(w, n):
    """(k, offset, first query column, overlap) for k = 1 .. w + n - 1."""
    for k in range(1, w + n):
        offset = k - w
        first = max(0, -offset)
        last = min(w, n - offset)
        yield k, offset, first, last - first


class Reference:
    """Tomtom of one query after another against the same targets."""

    def __init__(self, targets, background=None, complete=True, min_overlap=1, both_strands=True):
        self.background, self.complete, self.min_overlap = background, complete, min_overlap
        self.strands = []
        for target in targets:
            matrix = prepare(target, background)
            self.strands += [matrix, reverse_complement(matrix)] if both_strands else [matrix]
        self.columns = [row for matrix in self.strands for row in matrix]
        self.n_targets, self.n_strands = len(targets), 1 + both_strands
        self.random = Mersenne(4357)
        self.n_queries = 0

    def rows(self, query):
        """Best row of every target, in the order of the output."""
        query = prepare(query, self.background)
        w = len(query)
        scores, unaligned = integer_scores(query, self.columns, self.complete)
        self._distributions = []
        for row in scores:
            counts = [0] * 101
            for s in row:
                counts[s] += 1
            self._distributions.append([count / len(self.columns) for count in counts])
        self._spans = {}
        entries = []
        position = 0
        for strand, matrix in enumerate(self.strands):
            n = len(matrix)
            own = [row[position : position + n] for row in scores]
            position += n
            find = self._complete if self.complete else self._incomplete
            p, k, overlap = find(own, w, n, unaligned)
            entries.append((float(np.float32(p)), -overlap, strand % self.n_strands, strand // self.n_strands, k - w))
        entries.sort()
        q_values = self._q_values([entry[0] for entry in entries])
        seen, rows = set(), []
        for (p, overlap, minus, target, offset), q in zip(entries, q_values, strict=True):
            if target not in seen:
                seen.add(target)
                # All three are single precision when they are printed.
                e, q = float(np.float32(p * self.n_targets)), float(np.float32(q))
                rows.append(Row(self.n_queries, target, offset, p, e, q, -overlap, "+-"[minus]))
        self.n_queries += 1
        return rows

    def _allowed(self, w, n):
        least = min(self.min_overlap, w, n)
        return [alignment for alignment in alignments(w, n) if alignment[3] >= least]

    def _complete(self, own, w, n, unaligned):
        best = None
        for k, offset, first, overlap in self._allowed(w, n):
            score = sum(own[i][i + offset] - unaligned for i in range(first, first + overlap))
            if best is None or (score, overlap, -k) > best:
                best = (score, overlap, -k)
        score, overlap, k = best
        p = 0.0
        for _, _, first, length in alignments(w, n):
            # Shifted by unaligned * (w - length), and asked at score + w * unaligned.
            b = tail(self._span(first, length), score + w * unaligned - unaligned * (w - length))
            for _strand in range(self.n_strands):
                p = p + b - p * b
        return p, -k, overlap

    def _incomplete(self, own, w, n, _):
        best = None
        for k, offset, first, overlap in self._allowed(w, n):
            score = sum(own[i][i + offset] for i in range(first, first + overlap))
            p = min(1.0, tail(self._span(first, overlap), score))
            # Tails that differ by rounding alone are ties.
            rank = (float(np.float32(p)), -overlap, k)
            if best is None or rank < best[0]:
                best = rank, p
        (_, overlap, k), p = best
        n_alignments = self.n_strands * (w + n - 1)
        p = p * n_alignments if p * n_alignments < 1e-3 else 1 - (1 - p) ** n_alignments
        return p, k, -overlap

    def _span(self, first, length):
        if (first, length) not in self._spans:
            if length == 0:
                return [1.0]
            self._spans[first, length] = convolve(
                self._span(first, length - 1), self._distributions[first + length - 1]
            )
        return self._spans[first, length]

    def _q_values(self, p_values):
        m = len(p_values)
        pi0 = self._null_fraction(p_values) if m > 100 else 1.0
        q_values = [min(1.0, pi0 * p * m / rank) for rank, p in enumerate(p_values, 1)]
        for i in range(m - 2, -1, -1):
            q_values[i] = min(q_values[i], q_values[i + 1])
        return q_values

    def _null_fraction(self, p_values):
        m = len(p_values)
        lambdas = [(i + 1) / 100 * 0.5 for i in range(100)]
        fractions = [sum(p >= x for p in p_values) / ((1 - x) * m) for x in lambdas]
        smallest = min(fractions)
        errors = [0.0] * 100
        for _ in range(100):
            sample = sorted(p_values[int(self.random.uniform() * m)] for _ in range(1000))
            position = 0
            for j, x in enumerate(lambdas):
                while position < 1000 and sample[position] < x:
                    position += 1
                errors[j] += ((1000 - position) / ((1 - x) * 1000) - smallest) ** 2
        return min(max(fractions[errors.index(min(errors))], 0.0), 1.0)

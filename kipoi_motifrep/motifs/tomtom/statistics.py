"""Tomtom's statistics, compiled by numba: one function a step, plain loops.

A query of w columns is compared with N targets on both strands, or on one, which have W columns in all:

1. `score_columns`: distances of the query's columns to all target columns, less each query column's median, as
   integers from 0 to 100.
2. `count_scores`: how often a query column has each score. That is its null distribution.
3. `align` and `best_alignments`: the highest sum of scores of each target strand.
4. `null_tables`: the chance that the best of all alignments on these strands scores as high, by target width. For
   incomplete scores `incomplete_p_values` stands for the last two.
5. `in_order`: all strands by p-value; the first one of a target is its record.
6. `null_fraction` and `q_values`: false discovery rates.

`compare` takes these steps for one query after another. What decides a digit is computed in double precision and
in a fixed order, which the compiler may not change: results do not depend on the machine, nor on how queries are
spread over threads.

It is one file because numba knows by the file that holds a function whether its cached code is out of date, not by
the files of what it calls; and only the two functions that Python calls are cached. Arrays are filled by loops, not
by functions of numpy, because each of those takes as long to compile as a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numba import njit
from numba.core import event

from kipoi_motifrep.core.progress import say

N_BINS = 100  # Tomtom's score bins, less one
# Distances are first measured in single precision, in steps: the longest, the root of two, fits 16 bits.
STEPS = 46_000
# A distance is within this of its step's middle: half a step, and what single precision can be wrong by. It rounds
# coordinates, differences, squares and the root by 6e-8 of themselves, which is less than a tenth of a step in all.
STEP_ERROR = 0.6 / STEPS
COARSE = 32  # steps in a bin of the histogram that finds the median
N_COARSE = 2**16 // COARSE
PAD = 104  # room for all scores of a column, a multiple of four
MAX_WITHOUT_BOOTSTRAP = 100  # with so few p-values pi0 is taken as 1
N_LAMBDAS, N_BOOTSTRAPS, N_DRAWS = 100, 100, 1000
N_WORDS = 624  # of the random number generator's state

_OPTIONS = {"nogil": True, "error_model": "numpy"}
_compiled = njit(**_OPTIONS)


def _cached(function: Callable) -> Callable:
    """Compile a function and keep its code: beside this file, or in the user's cache where that cannot be written."""
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # neither can be written: it is compiled each time
        return njit(**_OPTIONS)(function)


@_compiled
def exact_square(column, columns, j):
    """Squared distance to target column j: squares are added in the order A, C, G, T."""
    a, c = column[0] - columns[j, 0], column[1] - columns[j, 1]
    g, t = column[2] - columns[j, 2], column[3] - columns[j, 3]
    return a * a + c * c + g * g + t * t


@_compiled
def marked(marks, words, places):
    """List the marked columns in ``places``; return how many there are. ``words`` are eight marks each."""
    n = 0
    for b in range(len(words)):
        if words[b]:
            for j in range(8 * b, 8 * b + 8):
                if marks[j]:
                    places[n] = j
                    n += 1
    return n


@_compiled
def distance_of_rank(rank, column, columns, steps, counts, marks, words, places, squares):
    """Exact distance of a rank, from 0, by counting.

    The bin that holds the rank is found in the histogram. Steps may be wrong by one at a bin's edge; so the
    exact distances of the bin and of one step on either side are ranked among themselves.
    """
    coarse, below = 0, 0
    while below + counts[coarse] <= rank:
        below += counts[coarse]
        coarse += 1
    first = np.uint16(COARSE * coarse - 1)  # at 0 it wraps round, and so does the difference
    for j in range(len(steps)):
        marks[j] = np.uint16(steps[j] - first) <= np.uint16(COARSE + 1)
    n = marked(marks, words, places)
    for i in range(n):
        if steps[places[i]] < COARSE * coarse:
            below -= 1
        squares[i] = exact_square(column, columns, places[i])
    # Hoare's selection.
    rank -= below
    first_one, last_one = 0, n - 1
    while first_one < last_one:
        pivot = squares[(first_one + last_one) // 2]
        i, j = first_one, last_one
        while i <= j:
            while squares[i] < pivot:
                i += 1
            while squares[j] > pivot:
                j -= 1
            if i <= j:
                squares[i], squares[j] = squares[j], squares[i]
                i += 1
                j -= 1
        if rank <= j:
            last_one = j
        elif rank >= i:
            first_one = i
        else:
            break
    return math.sqrt(squares[rank])


@_compiled
def score_columns(query, columns, rough, complete, steps, marks, words, values):
    """Fill ``values`` (w, W) with integer scores above the neutral one, and return that.

    1. A query column's distances in steps, and their median, exactly.
    2. The highest and the lowest score of all decide offset and scale of the integers.
    3. Integers from distances in steps; from exact ones where steps leave a doubt.
    """
    w, n_columns = len(query), len(columns)
    counts, medians = np.empty(N_COARSE, np.int64), np.empty(w)
    places, squares = np.empty(n_columns, np.int64), np.empty(n_columns)
    lowest, highest = np.inf, -np.inf
    for i in range(w):
        column, own = query[i], steps[i]
        a0, c0, g0, t0 = np.float32(column[0]), np.float32(column[1]), np.float32(column[2]), np.float32(column[3])
        all_a, all_c, all_g, all_t = rough[0], rough[1], rough[2], rough[3]
        for j in range(n_columns):
            a, c, g, t = all_a[j] - a0, all_c[j] - c0, all_g[j] - g0, all_t[j] - t0
            own[j] = np.int32(math.sqrt(a * a + c * c + g * g + t * t) * np.float32(STEPS))
        for b in range(N_COARSE):
            counts[b] = 0
        for j in range(n_columns):
            counts[own[j] // np.uint16(COARSE)] += 1
        medians[i] = 0
        if complete:
            # The mean of the two middle elements of the method. These are one where both strands make W even.
            half, last = n_columns // 2, n_columns - 1
            medians[i] = distance_of_rank(half, column, columns, own, counts, marks, words, places, squares)
            if n_columns % 2:
                medians[i] += distance_of_rank(min(half + 1, last), column, columns, own, counts, marks, words, places,
                                               squares)
                medians[i] /= 2
        # Only a column that may hold the extreme is worth its exact distance.
        first, last = 0, N_COARSE - 1
        while counts[first] == 0:
            first += 1
        while counts[last] == 0:
            last -= 1
        if medians[i] - (COARSE * first - 1) / STEPS > highest:
            nearest = distance_of_rank(0, column, columns, own, counts, marks, words, places, squares)
            highest = max(highest, medians[i] - nearest)
        if medians[i] - (COARSE * (last + 1) + 1) / STEPS < lowest:
            farthest = distance_of_rank(n_columns - 1, column, columns, own, counts, marks, words, places, squares)
            lowest = min(lowest, medians[i] - farthest)
    if lowest == highest:
        lowest = highest - 1
    offset = np.floor(lowest)
    scale = np.floor(N_BINS / (highest - offset))
    neutral = int(-offset * scale) if complete else 0
    doubt = scale * STEP_ERROR + 2e-5  # the second is single precision's, for scores up to 101
    for i in range(w):
        own, scores = steps[i], values[i]
        if doubt < 0.5:
            slope, base = np.float32(scale / STEPS), np.int32(neutral)
            top = (medians[i] - offset - 0.5 / STEPS) * scale + 0.5
            least, most = np.float32(top - doubt), np.float32(top + doubt)
            for j in range(n_columns):
                drop = slope * np.float32(own[j])
                low, high = np.int32(least - drop), np.int32(most - drop)
                scores[j] = low - base
                marks[j] = low != high
        else:  # distances that differ by little more than rounding, spread over a hundred scores
            for j in range(n_columns):
                marks[j] = True
        for m in range(marked(marks, words, places)):
            j = places[m]
            distance = math.sqrt(exact_square(query[i], columns, j))
            scores[j] = int(np.floor((medians[i] - distance - offset) * scale + 0.5)) - neutral
    return neutral


@_compiled
def count_scores(values, neutral, falling, n_scores, highest):
    """Distribution of each query column's scores, from its highest score downwards."""
    counts = np.empty(N_BINS + 1, np.int64)
    base = np.int16(neutral)
    for i in range(len(n_scores)):
        for s in range(N_BINS + 1):
            counts[s] = 0
        own = values[i]
        for j in range(len(own)):
            counts[np.uint16(own[j] + base)] += 1
        low, high = 0, N_BINS
        while counts[low] == 0:
            low += 1
        while counts[high] == 0:
            high -= 1
        for s in range(PAD):
            falling[i, s] = counts[high - s] / len(own) if s <= high - low else 0.0
        n_scores[i], highest[i] = high - low + 1, high - neutral


@_compiled
def overlap_of(k, w, n):
    """Aligned columns of alignment k, from 0, which puts the first query column at k + 1 - w of the target."""
    return min(k + 1, w + n - 1 - k, w, n)


@_compiled
def align(values, w, n, first, n_strands, sums):
    """Sum the scores of the aligned columns, for all alignments with the S strands of one width n.

    ``values`` are, from column ``first`` on, position by position, and at a position strand by strand; ``sums`` get
    alignment by alignment. So all that a query column adds lies in one piece, wherever it is aligned.
    """
    for x in range((w + n - 1) * n_strands):
        sums[x] = 0
    for i in range(w):
        own, total = values[i, first:first + n * n_strands], sums[(w - 1 - i) * n_strands:]
        for x in range(len(own)):
            total[x] += own[x]


@_compiled
def best_alignments(sums, w, n, n_strands, min_overlap, scores, chosen):
    """Highest sum of each strand, and its alignment; ties go to the larger overlap, then the smaller k."""
    for s in range(n_strands):
        scores[s] = -2**30
    most = min(w, n)
    for overlap in range(most, min(min_overlap, most) - 1, -1):
        for k in range(w + n - 1):
            if overlap_of(k, w, n) == overlap:
                own = sums[k * n_strands:]
                for s in range(n_strands):
                    better = own[s] > scores[s]
                    scores[s] = own[s] if better else scores[s]
                    chosen[s] = np.int32(k) if better else chosen[s]


@_compiled
def start_spans(tails):
    """Tails of empty spans: 1 from a sum of 0 on. Before it come the zeros that `lengthen` reads above the highest."""
    for a in range(len(tails)):
        for x in range(tails.shape[1]):
            tails[a, x] = 0.0 if x < PAD else 1.0


@_compiled
def lengthen(tails, falling, n_scores, depth, longer):
    """Tails of spans with one more column, whose scores are distributed as ``falling``."""
    if depth > 0:
        out = longer[PAD:PAD + depth]
        for x in range(depth):
            out[x] = 0.0
        for s in range(0, min(n_scores, depth), 4):  # four at a time: memory is what takes the time
            p0, p1, p2, p3 = falling[s], falling[s + 1], falling[s + 2], falling[s + 3]
            shorter = tails[PAD - 3 - s:]
            for x in range(depth):
                out[x] += p0 * shorter[x + 3] + p1 * shorter[x + 2] + p2 * shorter[x + 1] + p3 * shorter[x]


@_compiled
def either(chance, tails, missing):
    """Add the chance of one more alignment, whose highest sum is ``missing`` below that of the whole query.

    As if they were independent; a + b - a b does not lose small chances as 1 - (1 - a)(1 - b) does.
    """
    if missing < len(chance):
        own, other = chance[missing:], tails[PAD:]
        for x in range(len(own)):
            own[x] += other[x] - own[x] * other[x]


@_compiled
def null_tables(falling, n_scores, highest, widths, both_strands, depth, tables):
    """Chance that the best of all alignments is x below the highest sum or better, for 0 <= x < depth.

    ``tables`` (G, depth) have a row for each target width. A span is a run of query columns that an alignment
    covers; the sum of its scores is one of independent draws, and unaligned columns add nothing. Tails of all
    spans of a length are grown from those of one column less. They are counted downwards from a span's highest
    sum: so small chances keep their digits, and sums lower than the lowest that occurs are never computed.
    """
    w = len(highest)
    before = np.empty(w + 1, np.int64)  # highest sum of the columns before each
    before[0] = 0
    for i in range(w):
        before[i + 1] = before[i] + highest[i]
    tails, longer = np.empty((w, PAD + depth)), np.empty((w, PAD + depth))
    start_spans(tails)
    start_spans(longer)
    partial = np.empty(depth)  # alignments that leave a part of the query over on one side
    for x in range(depth):
        partial[x] = 0.0
    group = 0
    for length in range(1, w + 1):
        for a in range(w - length + 1):
            # The columns before a span never join it, so its tail is not asked for that much farther down.
            lengthen(tails[a], falling[a + length - 1], n_scores[a + length - 1], depth - before[a], longer[a])
        tails, longer = longer, tails
        if length < w:
            if group < len(widths) and widths[group] == length:
                chance = tables[group]
                for x in range(depth):
                    chance[x] = partial[x]
                for a in range(w - length + 1):
                    either(chance, tails[a], before[w] - before[a + length] + before[a])
                group += 1
            either(partial, tails[0], before[w] - before[length])
            either(partial, tails[w - length], before[w - length])
    for n in range(w, widths[-1] + 1):
        either(partial, tails[0], 0)
        if widths[group] == n:
            for x in range(depth):
                tables[group, x] = partial[x]
            group += 1
    for g in range(len(widths) if both_strands else 0):
        for x in range(depth):
            tables[g, x] += tables[g, x] - tables[g, x] * tables[g, x]  # the other strand


@_compiled
def incomplete_p_values(falling, n_scores, highest, sums, widths, n_strands, both_strands, min_overlap, chosen,
                        p_values):
    """Alignment of the smallest tail of each strand, and its chance among all of them.

    Tails are compared as they are reported, in single precision: two that differ by rounding alone
    are a tie. Ties go to the larger overlap, then the smaller k.
    """
    w, depth = len(highest), 1
    for i in range(w):
        depth += n_scores[i] - 1
    tails, longer = np.empty((w, PAD + depth)), np.empty((w, PAD + depth))
    start_spans(tails)
    start_spans(longer)
    least = np.empty(len(p_values))
    for e in range(len(least)):
        least[e], chosen[e] = np.inf, 0
    for length in range(1, w + 1):
        for a in range(w - length + 1):
            lengthen(tails[a], falling[a + length - 1], n_scores[a + length - 1], depth, longer[a])
        tails, longer = longer, tails
        place = entry = 0
        for g in range(len(widths)):
            n = widths[g]
            for k in range(w + n - 1):
                if overlap_of(k, w, n) == length and length >= min(min_overlap, w, n):
                    a, top = max(0, w - 1 - k), PAD
                    for i in range(a, a + length):
                        top += highest[i]
                    for s in range(n_strands[g]):
                        tail = min(tails[a, top - sums[place + s]], 1.0)
                        rounded, so_far = np.float32(tail), np.float32(least[entry + s])
                        # Lengths grow: in a tie an alignment of this length beats all but its equals.
                        if rounded < so_far or (rounded == so_far and overlap_of(chosen[entry + s], w, n) < length):
                            least[entry + s], chosen[entry + s] = tail, k
                place += n_strands[g]
            entry += n_strands[g]
    entry = 0
    for g in range(len(widths)):
        n_alignments = (1 + both_strands) * (w + widths[g] - 1)
        for e in range(entry, entry + n_strands[g]):
            expected = least[e] * n_alignments
            p_values[e] = expected if expected < 1e-3 else 1 - math.pow(1 - least[e], n_alignments)
        entry += n_strands[g]


@_compiled
def in_order(entries, n, spare, p_values, overlaps, minus, target):
    """Sort strands by p-value, then larger overlap, then "+" before "-", then the order of the targets (merge sort)."""
    size = 1
    while size < n:
        for start in range(0, n, 2 * size):
            middle, stop = min(start + size, n), min(start + 2 * size, n)
            i, j = start, middle
            for place in range(start, stop):
                first = j == stop
                if not first and i < middle:
                    a, b = entries[i], entries[j]
                    if p_values[a] != p_values[b]:
                        first = p_values[a] < p_values[b]
                    elif overlaps[a] != overlaps[b]:
                        first = overlaps[a] > overlaps[b]
                    elif minus[a] != minus[b]:
                        first = minus[b]
                    else:
                        first = target[a] < target[b]
                if first:
                    spare[place] = entries[i]
                    i += 1
                else:
                    spare[place] = entries[j]
                    j += 1
        for place in range(n):
            entries[place] = spare[place]
        size *= 2


@_compiled
def null_fraction(p_values, state):
    """Estimate pi0, the fraction of null p-values, by Storey's bootstrap.

    For 100 lambdas up to 1/2: the fraction of p-values from lambda on, over what it is if all are null. The
    lambda whose estimates in 100 bootstrap samples miss the smallest of these by least is the one.
    ``p_values`` are sorted, and draws are places in their order. ``state`` is moved on.
    """
    m = len(p_values)
    if m <= MAX_WITHOUT_BOOTSTRAP:
        return 1.0
    fractions, errors, counts = np.empty(N_LAMBDAS), np.empty(N_LAMBDAS), np.empty(N_LAMBDAS + 1, np.int64)
    reached = np.empty(m + 1, np.uint8)  # of each place: how many lambdas are at or below its p-value
    smallest, first = np.inf, 0
    for i in range(N_LAMBDAS):
        at = (i + 1) / (2 * N_LAMBDAS)
        while first < m and p_values[first] < at:
            reached[first] = i
            first += 1
        fractions[i], errors[i] = (m - first) / ((1 - at) * m), 0.0
        smallest = min(smallest, fractions[i])
    for place in range(first, m + 1):
        reached[place] = N_LAMBDAS
    words, places = np.empty(2 * N_DRAWS, np.uint32), np.empty(N_DRAWS, np.int64)
    for _ in range(N_BOOTSTRAPS):
        draw_words(state, words)
        for i in range(N_DRAWS):  # two words make one number of 64 bits, the first word on top
            draw = (np.uint64(words[2 * i]) << np.uint64(32)) | np.uint64(words[2 * i + 1])
            places[i] = np.int64(np.float64(draw) * 2.0**-64 * m)
        for i in range(N_LAMBDAS + 1):
            counts[i] = 0
        for i in range(N_DRAWS):
            counts[reached[places[i]]] += 1
        above = 0
        for i in range(N_LAMBDAS - 1, -1, -1):
            above += counts[i + 1]
            miss = above / ((1 - (i + 1) / (2 * N_LAMBDAS)) * N_DRAWS) - smallest
            errors[i] += miss * miss
    best = 0
    for i in range(N_LAMBDAS):
        if errors[i] < errors[best]:
            best = i
    return min(max(fractions[best], 0.0), 1.0)


@_compiled
def q_values(p_values, pi0, rates):
    """Smallest false discovery rate at which each of sorted p-values is called significant, into ``rates``."""
    m, lowest = len(p_values), 1.0
    for i in range(m - 1, -1, -1):
        lowest = min(lowest, pi0 * p_values[i] * m / (i + 1))
        rates[i] = lowest


@_compiled
def twist(word, following, far):
    """Next value of a word of the random number generator MT19937 (Matsumoto & Nishimura 1998)."""
    mixed = (word & np.uint32(0x80000000)) | (following & np.uint32(0x7FFFFFFF))
    return far ^ (mixed >> np.uint32(1)) ^ (np.uint32(0x9908B0DF) if mixed & np.uint32(1) else np.uint32(0))


@_compiled
def next_words(state):
    """Replace the generator's 624 words; each is made of itself, the next one and the one 397 on, all in a ring."""
    ahead = N_WORDS - 397
    for i in range(ahead):
        state[i] = twist(state[i], state[i + 1], state[i + 397])
    for i in range(396):
        state[ahead + i] = twist(state[ahead + i], state[ahead + 1 + i], state[i])
    state[N_WORDS - 1] = twist(state[N_WORDS - 1], state[0], state[396])


@_compiled
def draw_words(state, words):
    """Fill an array with random words; the last number of ``state`` is how many of the others are used."""
    used, done = np.int64(state[N_WORDS]), 0
    while done < len(words):
        if used == N_WORDS:
            next_words(state)
            used = 0
        n = min(N_WORDS - used, len(words) - done)
        fresh, out = state[used:used + n], words[done:done + n]
        for i in range(n):
            y = fresh[i]
            y ^= y >> np.uint32(11)
            y ^= (y << np.uint32(7)) & np.uint32(0x9D2C5680)
            y ^= (y << np.uint32(15)) & np.uint32(0xEFC60000)
            out[i] = y ^ (y >> np.uint32(18))
        used, done = used + n, done + n
    state[N_WORDS] = np.uint32(used)


@_cached
def skip_draws(state, n_queries):
    """Pass over the random numbers of some queries."""
    used = np.int64(state[N_WORDS]) + n_queries * N_BOOTSTRAPS * N_DRAWS * 2
    while used > N_WORDS:
        next_words(state)
        used -= N_WORDS
    state[N_WORDS] = np.uint32(used)


@_compiled
def report(p_values, overlaps, chosen, w, minus, target, n_targets, by_q, threshold, with_q, state,
           query, whole, real, done):
    """Write one query's records behind the ``done`` ones of those before; return how many there are then."""
    n_entries, n = len(p_values), 0
    entries, spare = np.empty(n_entries, np.int64), np.empty(n_entries, np.int64)
    for e in range(n_entries):
        if by_q or np.float32(p_values[e] * n_targets) <= threshold:
            entries[n] = e
            n += 1
    ordered, rates = np.empty(n_entries), np.empty(n_entries)
    if with_q and n == 0:
        if n_entries > MAX_WITHOUT_BOOTSTRAP:
            skip_draws(state, 1)
        return done
    if with_q:
        n = n_entries
        for e in range(n):
            entries[e] = e
    in_order(entries, n, spare, p_values, overlaps, minus, target)
    if with_q:
        for i in range(n):
            ordered[i] = p_values[entries[i]]
        q_values(ordered, null_fraction(ordered, state), rates)
    seen = np.empty(n_targets, np.bool_)
    for t in range(n_targets):
        seen[t] = False
    for i in range(n):
        e = entries[i]
        t = target[e]
        if not seen[t]:
            seen[t] = True
            # In single precision, as Tomtom prints them.
            q_value = np.float64(np.float32(rates[i])) if with_q else np.nan
            e_value = np.float64(np.float32(p_values[e] * n_targets))
            if (q_value if by_q else e_value) <= threshold:
                whole[done, 0], whole[done, 1], whole[done, 2] = query, t, chosen[e] + 1 - w
                whole[done, 3], whole[done, 4] = overlaps[e], minus[e]
                real[done, 0], real[done, 1], real[done, 2] = p_values[e], e_value, q_value
                done += 1
    return done


@_cached
def compare(queries, starts, targets, complete, min_overlap, by_q, threshold, with_q, state, whole, real):
    """Compare some queries with all targets.

    Parameters
    ----------
    queries : numpy.ndarray, shape (sum of w, 4), float64
        Their columns, pseudocounts included.
    starts : numpy.ndarray, shape (n + 1,), int64
        Where each begins.
    targets : Targets
        What to compare them with.
    complete : bool
        Complete scores.
    min_overlap : int
        Fewest columns that an alignment may pair up.
    by_q : bool
        Whether the threshold is on q-values; else it is on E-values.
    threshold : float
        Highest value to report.
    with_q : bool
        Compute q-values.
    state : numpy.ndarray, shape (625,), uint32
        Random number generator as the first of these queries finds it; it is moved on.
    whole : numpy.ndarray, shape (R, 5), int64
        Filled with the records: query, target, offset, overlap, minus. There is room for N of each query.
    real : numpy.ndarray, shape (R, 3), float64
        Likewise: p-value, E-value, q-value.

    Returns
    -------
    int
        Number of records.
    """
    columns, widths, n_strands = targets.columns, targets.widths, targets.n_strands
    n_columns, n_entries, n_groups = len(columns), len(targets.target), len(widths)
    both_strands = n_entries > targets.n_targets
    width = 0
    for q in range(len(starts) - 1):
        width = max(width, starts[q + 1] - starts[q])
    n_sums = 0
    for g in range(n_groups):
        n_sums += (width + widths[g] - 1) * n_strands[g]
    steps, values = np.empty((width, n_columns), np.uint16), np.empty((width, n_columns), np.int16)
    words = np.empty(n_columns // 8 + 1, np.uint64)
    words[-1] = 0
    falling, sums = np.empty((width, PAD)), np.empty(n_sums, np.int32)
    n_scores, highest = np.empty(width, np.int64), np.empty(width, np.int64)
    scores, chosen = np.empty(n_entries, np.int32), np.empty(n_entries, np.int32)
    p_values, overlaps = np.empty(n_entries, np.float32), np.empty(n_entries, np.int64)
    done = 0
    for q in range(len(starts) - 1):
        w = starts[q + 1] - starts[q]
        neutral = score_columns(queries[starts[q]:starts[q + 1]], columns, targets.rough, complete, steps,
                                words.view(np.uint8), words, values)
        count_scores(values, neutral, falling, n_scores[:w], highest[:w])
        place = first = entry = 0
        for g in range(n_groups):
            size, stop = (w + widths[g] - 1) * n_strands[g], entry + n_strands[g]
            align(values, w, widths[g], first, n_strands[g], sums[place:place + size])
            if complete:
                best_alignments(sums[place:place + size], w, widths[g], n_strands[g], min_overlap, scores[entry:stop],
                                chosen[entry:stop])
            place, first, entry = place + size, first + widths[g] * n_strands[g], stop
        if complete:
            top, lowest = 0, scores[0]
            for i in range(w):
                top += highest[i]
            for e in range(n_entries):
                lowest = min(lowest, scores[e])
            tables = np.empty((n_groups, top - lowest + 1))
            null_tables(falling, n_scores, highest[:w], widths, both_strands, top - lowest + 1, tables)
            entry = 0
            for g in range(n_groups):
                for e in range(entry, entry + n_strands[g]):
                    p_values[e] = tables[g, top - scores[e]]
                entry += n_strands[g]
        else:
            incomplete_p_values(falling, n_scores, highest[:w], sums, widths, n_strands, both_strands, min_overlap,
                                chosen, p_values)
        entry = 0
        for g in range(n_groups):
            for e in range(entry, entry + n_strands[g]):
                overlaps[e] = overlap_of(chosen[e], w, widths[g])
            entry += n_strands[g]
        done = report(p_values, overlaps, chosen, w, targets.minus, targets.target, targets.n_targets, by_q, threshold,
                      with_q, state, q, whole, real, done)
    return done


class _Announcement(event.Listener):
    """Says why the first search takes seconds to begin. Code that comes from the cache makes no such event."""

    def on_start(self, event: event.Event) -> None:
        if event.data["dispatcher"] is compare:
            say("compiling the comparison of motifs: once, a few seconds")

    def on_end(self, event: event.Event) -> None:
        pass


event.register("numba:compile", _Announcement())

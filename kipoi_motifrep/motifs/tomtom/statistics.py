"""Tomtom's statistics, compiled by numba: plain loops, one function a step.

A query of w columns is compared with N targets on both strands, or on one, which have W columns in all:

1. `score_columns`: distances of the query's columns to all target columns, less each query column's median, as
   integers from 0 to 100. A shuffle of the query before has the same, in another order.
2. `count_scores`: how often a query column has each score. That is its null distribution.
3. `align` and `best_alignments`: the highest sum of scores of each target strand.
4. `null_tables`: the chance that the best of all alignments on these strands scores as high, by target width; down to
   the lowest score, or to where chances are higher than any that is asked for. For incomplete scores
   `find_incomplete_p_values` stands for the last two.
5. `null_fraction`: how many p-values are those of chance, for the false discovery rates.

`compare` takes the first four steps for some queries, and `null_fractions` the fifth. What decides a digit is computed
in double precision and in a fixed order, which the compiler may not change: results do not depend on the machine, nor
on how queries are spread over threads.

To compile in seconds, steps are called by compiled code alone, and Python makes their arrays; so types are stated
by the four functions that Python calls, and only those are kept on disk. It is one file because numba knows by the
file that holds a function whether its code is out of date, not by the files of what it calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numba.core import event

from kipoi_motifrep.core.progress import say
from kipoi_motifrep.motifs.tomtom.targets import Targets

N_BINS = 100  # Tomtom's score bins, less one
# Distances are first measured in single precision, in steps: the longest, the root of two, fits 16 bits.
STEPS = 46_000
# A distance is within this of its step's middle: half a step, and what single precision can be wrong by. It rounds
# coordinates, differences, squares and the root by 6e-8 of themselves, which is less than a tenth of a step in all.
STEP_ERROR = 0.6 / STEPS
SCORE_ERROR = 2e-5  # what scores up to 101 can be wrong by in single precision, beyond their distance's error
COARSE = 32  # steps in a bin of the histogram that finds the median
N_COARSE = 2**16 // COARSE
PAD = 104  # room for all scores of a column, a multiple of four
MAX_WITHOUT_BOOTSTRAP = 100  # with so few p-values pi0 is taken as 1
N_LAMBDAS, N_BOOTSTRAPS, N_DRAWS = 100, 100, 1000
N_WORDS = 624  # of the random number generator's state
# Numbers of a type, for arithmetic in that type; named here because a conversion takes time to compile.
STEPS_32, COARSE_16, SPAN = np.float32(STEPS), np.uint16(COARSE), np.uint16(COARSE + 1)
TOP_BIT, LOW_BITS, MATRIX, MASK_1, MASK_2 = np.array(
    [0x80000000, 0x7FFFFFFF, 0x9908B0DF, 0x9D2C5680, 0xEFC60000], np.uint32
)
ZERO_32, SHIFT_1, SHIFT_11, SHIFT_7, SHIFT_15, SHIFT_18 = np.array([0, 1, 11, 7, 15, 18], np.uint32)
SHIFT_32 = np.uint64(32)

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
_STEP: dict[str, Any] = {**_OPTIONS, "no_cpython_wrapper": True}
_compiled = njit(**_STEP)


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
        marks[j] = np.uint16(steps[j] - first) <= SPAN
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
def score_columns(query, columns, rough, complete, steps, counts, marks, words, places, squares, medians, values):
    """Fill ``values`` (w, W) with integer scores above the neutral one, and return that.

    1. A query column's distances in steps, and their median, exactly.
    2. The highest and the lowest score of all decide offset and scale of the integers.
    3. Integers from distances in steps; from exact ones where steps leave a doubt.
    """
    w, n_columns = len(query), len(columns)
    lowest, highest = np.inf, -np.inf
    for i in range(w):
        column, own = query[i], steps[i]
        a0, c0, g0, t0 = np.float32(column[0]), np.float32(column[1]), np.float32(column[2]), np.float32(column[3])
        all_a, all_c, all_g, all_t = rough[0], rough[1], rough[2], rough[3]
        for j in range(n_columns):
            a, c, g, t = all_a[j] - a0, all_c[j] - c0, all_g[j] - g0, all_t[j] - t0
            own[j] = np.int32(math.sqrt(a * a + c * c + g * g + t * t) * STEPS_32)
        for b in range(N_COARSE):
            counts[b] = 0
        for j in range(n_columns):
            counts[own[j] // COARSE_16] += 1
        medians[i] = 0
        if complete:
            # The mean of the two middle elements of the method. They are one where both strands make W even.
            half = n_columns // 2
            medians[i] = distance_of_rank(half, column, columns, own, counts, marks, words, places, squares)
            if n_columns % 2:
                medians[i] += distance_of_rank(
                    min(half + 1, n_columns - 1), column, columns, own, counts, marks, words, places, squares
                )
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
    doubt = scale * STEP_ERROR + SCORE_ERROR
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
def count_scores(values, neutral, counts, falling, n_scores, highest):
    """Distribution of each query column's scores, from its highest score downwards."""
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
def reordered(query, former, order):
    """Whether a query's columns are those of another one, perhaps in another order: fills ``order`` with their places.

    Distances are those of columns, and offset and scale of the integers are those of all of them: so are the scores.
    """
    if len(query) != len(former):
        return False
    for i in range(len(query)):
        order[i] = -1
        for j in range(len(former)):
            same = query[i, 0] == former[j, 0] and query[i, 1] == former[j, 1]
            if same and query[i, 2] == former[j, 2] and query[i, 3] == former[j, 3]:
                for k in range(i):
                    same = same and order[k] != j
                if same:
                    order[i] = j
                    break
        if order[i] < 0:
            return False
    return True


@_compiled
def overlap_of(k, w, n):
    """Aligned columns of alignment k, from 0, which puts the first query column at k + 1 - w of the target."""
    return min(k + 1, w + n - 1 - k, w, n)


@_compiled
def align(values, order, w, n, first, n_strands, sums):
    """Sum the scores of the aligned columns, for all alignments with the S strands of one width n.

    ``values`` of query column i are in row ``order[i]``, and there from column ``first`` on, position by position, and
    at a position strand by strand; ``sums`` get alignment by alignment. So all that a query column adds lies in one
    piece, wherever it is aligned.
    """
    for x in range((w + n - 1) * n_strands):
        sums[x] = 0
    for i in range(w):
        own, total = values[order[i], first : first + n * n_strands], sums[(w - 1 - i) * n_strands :]
        for x in range(len(own)):
            total[x] += own[x]


@_compiled
def best_alignments(sums, w, n, n_strands, min_overlap, scores, chosen):
    """Highest sum of each strand, and its alignment; ties go to the larger overlap, then the smaller k."""
    for s in range(n_strands):
        scores[s] = -(2**30)
    most = min(w, n)
    for overlap in range(most, min(min_overlap, most) - 1, -1):
        for k in range(w + n - 1):
            if overlap_of(k, w, n) == overlap:
                own = sums[k * n_strands :]
                for s in range(n_strands):
                    better = own[s] > scores[s]
                    scores[s] = own[s] if better else scores[s]
                    chosen[s] = np.int32(k) if better else chosen[s]


@_compiled
def start_spans(spans, w, depth):
    """Tails of empty spans: 1 from a sum of 0 on. Before it come the zeros that `lengthen` reads above the highest."""
    for a in range(w):
        for x in range(PAD + depth):
            spans[0, a, x] = spans[1, a, x] = 0.0 if x < PAD else 1.0


@_compiled
def lengthen(tails, falling, n_scores, reach, depth, longer):
    """Tails of a span with one more column, whose scores are distributed as ``falling``.

    Its lowest sum is ``reach`` below its highest: from there on a tail is of all sums, and stays as it is.
    """
    if depth > 0:
        varying = min(depth, reach + 1)
        out = longer[PAD : PAD + varying]
        for x in range(varying):
            out[x] = 0.0
        for s in range(0, min(n_scores, varying), 4):  # four at a time: memory is what takes the time
            p0, p1, p2, p3 = falling[s], falling[s + 1], falling[s + 2], falling[s + 3]
            shorter = tails[PAD - 3 - s :]
            for x in range(varying):
                out[x] += p0 * shorter[x + 3] + p1 * shorter[x + 2] + p2 * shorter[x + 1] + p3 * shorter[x]
        same = longer[PAD + varying : PAD + depth]
        for x in range(len(same)):
            same[x] = out[varying - 1]


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
def rows_up_to(chance, both_strands, most):
    """How many entries a table has up to the first chance above ``most``; one more than it has, where there is none."""
    x = 0
    while x < len(chance) and chance[x] + (chance[x] - chance[x] * chance[x] if both_strands else 0.0) <= most:
        x += 1
    return x + 1


@_compiled
def null_tables(falling, n_scores, highest, widths, both_strands, whole, most, spans, before, tables, depths):
    """Chance that the best of all alignments is x below the highest sum or better, for 0 <= x < ``whole``.

    ``tables`` (G, whole) have a row for each target width. A span is a run of query columns that an alignment
    covers; the sum of its scores is one of independent draws, and unaligned columns add nothing. Tails of all
    spans of a length are grown from those of one column less. They are counted downwards from a span's highest
    sum: so small chances keep their digits, and sums lower than the lowest that occurs are never computed.

    A table ends after ``depths`` entries, behind the first chance above ``most``. Wide targets have more alignments, so
    their chances get there before those of narrow ones: what is left is computed no deeper. Returns whether that
    was so, and no table ends before.
    """
    w = len(highest)
    tops, ranges = before[0], before[1]  # of the columns before each: highest sum, and how far below it the lowest is
    tops[0] = ranges[0] = 0
    for i in range(w):
        tops[i + 1], ranges[i + 1] = tops[i] + highest[i], ranges[i] + n_scores[i] - 1
    start_spans(spans, w, whole)
    tails, longer = spans[0], spans[1]
    partial = tables[len(widths), :whole]  # alignments that leave a part of the query over on one side
    for x in range(whole):
        partial[x] = 0.0
    group, depth, sure = 0, whole, True
    for length in range(1, widths[-1] + 1):
        if length <= w:
            for a in range(w - length + 1):
                # The columns before a span never join it, so its tail is not asked for that much farther down.
                stop = a + length
                reach = ranges[stop] - ranges[a]
                lengthen(tails[a], falling[stop - 1], n_scores[stop - 1], reach, depth - tops[a], longer[a])
            tails, longer = longer, tails
        if length >= w:
            either(partial, tails[0], 0)
        if group < len(widths) and widths[group] == length:
            chance = tables[group, :depth]
            for x in range(depth):
                chance[x] = partial[x]
            for a in range(w - length + 1 if length < w else 0):
                either(chance, tails[a], tops[w] - tops[a + length] + tops[a])
            end = rows_up_to(chance, both_strands, most)
            sure = sure and (end <= depth or depth == whole)
            depth = depths[group] = min(end, depth)
            partial = partial[:depth]
            group += 1
        if length < w:
            either(partial, tails[0], tops[w] - tops[length])
            either(partial, tails[w - length], tops[w - length])
    for g in range(len(widths) if both_strands else 0):
        for x in range(depths[g]):
            tables[g, x] += tables[g, x] - tables[g, x] * tables[g, x]  # the other strand
    return sure


@_compiled
def null_fraction(p_values, state, words, places, reached, counts, fractions, errors):
    """Estimate pi0, the fraction of null p-values, by Storey's bootstrap.

    For 100 lambdas up to 1/2: the fraction of p-values from lambda on, over what it is if all are null. The
    lambda whose estimates in 100 bootstrap samples miss the smallest of these by least is the one.
    ``p_values`` are sorted, and draws are places in their order. ``state`` is moved on.
    """
    m = len(p_values)
    smallest, first = np.inf, 0
    for i in range(N_LAMBDAS):
        at = (i + 1) / (2 * N_LAMBDAS)
        while first < m and p_values[first] < at:
            reached[first] = i  # lambdas at or below the p-value of this place
            first += 1
        fractions[i], errors[i] = (m - first) / ((1 - at) * m), 0.0
        smallest = min(smallest, fractions[i])
    for place in range(first, m + 1):
        reached[place] = N_LAMBDAS
    for _ in range(N_BOOTSTRAPS):
        draw_words(state, words)
        for i in range(N_DRAWS):  # two words make one number of 64 bits, the first word on top
            draw = (np.uint64(words[2 * i]) << SHIFT_32) | np.uint64(words[2 * i + 1])
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
def twist(word, following, far):
    """Next value of a word of the random number generator MT19937 (Matsumoto & Nishimura 1998)."""
    mixed = (word & TOP_BIT) | (following & LOW_BITS)
    return far ^ (mixed >> SHIFT_1) ^ (MATRIX if mixed & SHIFT_1 else ZERO_32)


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
    used, done = int(np.int64(state[N_WORDS])), 0
    while done < len(words):
        if used == N_WORDS:
            next_words(state)
            used = 0
        n = min(N_WORDS - used, len(words) - done)
        fresh, out = state[used : used + n], words[done : done + n]
        for i in range(n):
            y = fresh[i]
            y ^= y >> SHIFT_11
            y ^= (y << SHIFT_7) & MASK_1
            y ^= (y << SHIFT_15) & MASK_2
            out[i] = y ^ (y >> SHIFT_18)
        used, done = used + n, done + n
    state[N_WORDS] = np.uint32(used)


@_compiled
def move_on(state, n_queries):
    """Pass over the random numbers of some queries."""
    used = int(np.int64(state[N_WORDS])) + n_queries * N_BOOTSTRAPS * N_DRAWS * 2
    while used > N_WORDS:
        next_words(state)
        used -= N_WORDS
    state[N_WORDS] = np.uint32(used)


@_cached
def align_queries(
    queries, starts, columns, rough, widths, strands, complete, min_overlap, work, nulls, sums, scores, chosen
):
    """Scores of some queries, and the best alignments (steps 1 to 3).

    Parameters
    ----------
    queries : numpy.ndarray, shape (sum of w, 4), float64
        Their columns, pseudocounts included.
    starts : numpy.ndarray, shape (n + 1,), int64
        Where each begins.
    columns, rough, widths, strands
        Columns of the targets, widths, and number of strands of each width, as in `Targets`.
    complete : bool
        Complete scores.
    min_overlap : int
        Fewest columns that an alignment may pair up.
    work : tuple of numpy.ndarray
        Filled on the way: see `compare`.
    nulls : tuple of numpy.ndarray
        Filled with the null distribution of each query column, its number of scores and the highest.
    sums : numpy.ndarray, shape (n or 1, S), int32
        Filled with the sums of scores of all alignments; complete scores need them for one query only.
    scores, chosen : numpy.ndarray, shape (n, 2 N), int32
        Filled with the highest sum of each strand and its alignment, for complete scores.
    """
    steps, counts, marks, words, places, squares, medians, values, order = work
    falling, n_scores, highest = nulls
    first_scored, last_scored = 0, 0  # columns of the query whose scores are at hand
    for q in range(len(starts) - 1):
        start, stop = starts[q], starts[q + 1]
        w, query = stop - start, queries[start:stop]
        if reordered(query, queries[first_scored:last_scored], order):
            for i in range(w):
                former = first_scored + order[i]
                n_scores[start + i], highest[start + i] = n_scores[former], highest[former]
                for s in range(PAD):
                    falling[start + i, s] = falling[former, s]
        else:
            first_scored, last_scored = start, stop
            for i in range(w):
                order[i] = i
            neutral = score_columns(
                query, columns, rough, complete, steps, counts, marks, words, places, squares, medians, values
            )
            count_scores(values, neutral, counts, falling[start:stop], n_scores[start:stop], highest[start:stop])
        place = first = entry = 0
        for g in range(len(widths)):
            n, n_strands = widths[g], strands[g]
            own = sums[0 if complete else q, place : place + (w + n - 1) * n_strands]
            align(values, order, w, n, first, n_strands, own)
            if complete:
                best_alignments(own, w, n, n_strands, min_overlap, scores[q, entry:], chosen[q, entry:])
            place, first, entry = place + len(own), first + n * n_strands, entry + n_strands


@_cached
def find_p_values(starts, widths, strands, both_strands, most, nulls, scores, work, p_values):
    """Chances of the best alignments (step 4).

    Parameters
    ----------
    starts, widths, strands, nulls, scores
        From `align_queries`.
    both_strands : bool
        Whether these are of both strands.
    most : float
        Highest chance that is asked for.
    work : tuple of numpy.ndarray
        Filled on the way: see `compare`.
    p_values : numpy.ndarray, shape (n, 2 N), float32
        Filled; 1 may stand for chances above ``most``.
    """
    falling, n_scores, highest = nulls
    spans, before, tables, depths = work
    for q in range(len(starts) - 1):
        start, stop = starts[q], starts[q + 1]
        own, chances = scores[q], p_values[q]
        top, lowest = 0, own[0]
        for i in range(start, stop):
            top += highest[i]
        for e in range(len(own)):
            lowest = min(lowest, own[e])
        for limit in (most, np.inf):  # to the end, where wide targets turn out to have the smaller chances
            if null_tables(
                falling[start:stop],
                n_scores[start:stop],
                highest[start:stop],
                widths,
                both_strands,
                top - lowest + 1,
                limit,
                spans,
                before,
                tables,
                depths,
            ):
                break
        entry = 0
        for g in range(len(widths)):
            table = tables[g, : depths[g]]
            for e in range(entry, entry + strands[g]):
                missing = top - own[e]
                chances[e] = table[missing] if missing < len(table) else 1.0
            entry += strands[g]


@_cached
def find_incomplete_p_values(starts, widths, strands, both_strands, min_overlap, nulls, sums, work, chosen, p_values):
    """Alignments of the smallest tail, and their chances among all: incomplete scores (in place of steps 3 and 4).

    Tails are compared as they are reported, in single precision: two that differ by rounding alone
    are a tie. Ties go to the larger overlap, then the smaller k.

    Parameters
    ----------
    starts, widths, strands, both_strands, min_overlap, nulls, sums
        See `align_queries` and `find_p_values`.
    work : tuple of numpy.ndarray
        Filled on the way: see `compare`.
    chosen, p_values : numpy.ndarray, shape (n, 2 N), int32 and float32
        Filled.
    """
    all_falling, all_n_scores, all_highest = nulls
    spans, least = work
    n_sides = 2 if both_strands else 1
    for q in range(len(starts) - 1):
        falling, n_scores = all_falling[starts[q] : starts[q + 1]], all_n_scores[starts[q] : starts[q + 1]]
        highest = all_highest[starts[q] : starts[q + 1]]
        w, depth = len(highest), 1
        for i in range(w):
            depth += n_scores[i] - 1
        start_spans(spans, w, depth)
        tails, longer = spans[0], spans[1]
        for e in range(len(least)):
            least[e], chosen[q, e] = np.inf, 0
        for length in range(1, w + 1):
            for a in range(w - length + 1):
                reach = 0
                for i in range(a, a + length):
                    reach += n_scores[i] - 1
                lengthen(tails[a], falling[a + length - 1], n_scores[a + length - 1], reach, depth, longer[a])
            tails, longer = longer, tails
            place = entry = 0
            for g in range(len(widths)):
                n = widths[g]
                for k in range(w + n - 1):
                    if overlap_of(k, w, n) == length and length >= min(min_overlap, w, n):
                        a, top = max(0, w - 1 - k), PAD
                        for i in range(a, a + length):
                            top += highest[i]
                        for s in range(strands[g]):
                            tail = min(tails[a, top - sums[q, place + s]], 1.0)
                            rounded, so_far = np.float32(tail), np.float32(least[entry + s])
                            # Lengths grow: in a tie an alignment of this length beats all but its equals.
                            so_long = overlap_of(chosen[q, entry + s], w, n)
                            if rounded < so_far or (rounded == so_far and so_long < length):
                                least[entry + s], chosen[q, entry + s] = tail, k
                    place += strands[g]
                entry += strands[g]
        entry = 0
        for g in range(len(widths)):
            n_alignments = n_sides * (w + widths[g] - 1)
            for e in range(entry, entry + strands[g]):
                expected = least[e] * n_alignments
                p_values[q, e] = expected if expected < 1e-3 else 1 - math.pow(1 - least[e], n_alignments)
            entry += strands[g]


@_cached
def fill_null_fractions(ordered, wanted, state, work, fractions):
    """Null fractions of some queries (step 5).

    Parameters
    ----------
    ordered : numpy.ndarray, shape (n_wanted, m), float32
        Sorted p-values of each that is wanted.
    wanted : numpy.ndarray, shape (n,), bool
        For the others random numbers are passed over, as Tomtom draws for them, too.
    state : numpy.ndarray, shape (625,), uint32
        Random number generator as the first of these queries finds it; it is moved on.
    work : tuple of numpy.ndarray
        Filled on the way: see `null_fractions`.
    fractions : numpy.ndarray, shape (n_wanted,), float64
        Filled.
    """
    row = 0
    words, places, reached, counts, estimates, errors = work
    for q in range(len(wanted)):
        if wanted[q]:
            fractions[row] = null_fraction(ordered[row], state, words, places, reached, counts, estimates, errors)
            row += 1
        else:
            move_on(state, 1)


def null_fractions(ordered: np.ndarray, wanted: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Estimate the fraction of null p-values of some queries.

    Parameters
    ----------
    ordered : numpy.ndarray, shape (n_wanted, m), float32
        Sorted p-values of each that is wanted.
    wanted : numpy.ndarray, shape (n,), bool
        Which queries; with none of them, the generator is but moved on.
    state : numpy.ndarray, shape (625,), uint32
        Random number generator; it is moved on as Tomtom does, for all queries.

    Returns
    -------
    numpy.ndarray, shape (n_wanted,), float64
        1 where it is not estimated, as with few p-values.
    """
    n, m = ordered.shape
    fractions = np.ones(n)
    if m > MAX_WITHOUT_BOOTSTRAP:
        work = (
            np.empty(2 * N_DRAWS, np.uint32),
            np.empty(N_DRAWS, np.int64),
            np.empty(m + 1, np.int64),
            np.empty(N_LAMBDAS + 1, np.int64),
            np.empty(N_LAMBDAS),
            np.empty(N_LAMBDAS),
        )
        fill_null_fractions(ordered, wanted, state, work, fractions)
    return fractions


def compare(
    queries: list[np.ndarray], targets: Targets, complete: bool, min_overlap: int, most: float = np.inf
) -> tuple[np.ndarray, np.ndarray]:
    """Compare some queries with all targets.

    Makes all arrays: they would take longer to compile than most steps.

    Parameters
    ----------
    queries : list of numpy.ndarray, each (w, 4), float64
        Pseudocounts included.
    targets, complete, min_overlap
        See `align_queries`.
    most : float, optional
        Highest p-value that is asked for; all by default.

    Returns
    -------
    p_values : numpy.ndarray, shape (n, 2 N), float32
        Of each target strand; 1 may stand for those above `most`.
    chosen : numpy.ndarray, shape (n, 2 N), int32
        Its best alignment.
    """
    starts, width = np.cumsum([0, *map(len, queries)]), max(map(len, queries))
    n, n_columns, n_strands = len(queries), len(targets.columns), len(targets.target)
    n_sums = int(((width + targets.widths - 1) * targets.n_strands).sum())
    depth = 2 * N_BINS * width + 1  # no sum is farther than this below the highest
    counts = np.empty(N_COARSE, np.int64)

    # What is handed from one step to the next.
    nulls = np.empty((starts[-1], PAD)), np.empty(starts[-1], np.int64), np.empty(starts[-1], np.int64)
    sums = np.empty((1 if complete else n, n_sums), np.int32)
    scores, chosen = np.empty((n, n_strands), np.int32), np.empty((n, n_strands), np.int32)
    p_values = np.empty((n, n_strands), np.float32)

    steps, values = np.empty((width, n_columns), np.uint16), np.empty((width, n_columns), np.int16)
    words = np.zeros(n_columns // 8 + 1, np.uint64)  # what lies behind the last column stays unmarked
    work = (
        steps,
        counts,
        words.view(np.uint8),
        words,
        np.empty(n_columns, np.int64),
        np.empty(n_columns),
        np.empty(width),
        values,
        np.empty(width, np.int64),
    )
    widths, strands, both_strands = targets.widths, targets.n_strands, len(targets.target) > targets.n_targets
    together, columns, rough = np.concatenate(queries), targets.columns, targets.rough
    align_queries(
        together, starts, columns, rough, widths, strands, complete, min_overlap, work, nulls, sums, scores, chosen
    )

    spans = np.empty((2, width, PAD + depth))
    if complete:
        tables = np.empty((len(targets.widths) + 1, depth))
        before, depths = np.empty((2, width + 1), np.int64), np.empty(len(targets.widths), np.int64)
        work_of_nulls = spans, before, tables, depths
        find_p_values(starts, widths, strands, both_strands, float(most), nulls, scores, work_of_nulls, p_values)
    else:
        least = np.empty(n_strands)
        find_incomplete_p_values(
            starts, widths, strands, both_strands, min_overlap, nulls, sums, (spans, least), chosen, p_values
        )
    return p_values, chosen


class _Announcement(event.Listener):
    """Says why the first search takes seconds to begin. Code that comes from the cache makes no such event."""

    def on_start(self, event: event.Event) -> None:
        if event.data["dispatcher"] is align_queries:
            say("compiling the comparison of motifs: once, a few seconds")

    def on_end(self, event: event.Event) -> None:
        pass


event.register("numba:compile", _Announcement())

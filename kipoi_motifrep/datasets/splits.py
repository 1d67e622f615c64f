"""Which sequences are held out for validation and test, so that no two splits share a base.

Held out are whole chromosomes (``chr8``), ranges (``chr20:30000000-40000000``)
or a fraction (``0.1``) of blocks of a megabase; a window that reaches into two
splits belongs to none.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.datasets import HELD_OUT_BLOCK, HELD_OUT_TEST, HELD_OUT_VALID
from kipoi_motifrep.datasets.overlaps import merge
from kipoi_motifrep.sequences.genome import bare

TRAIN, VALID, TEST, NONE = 0, 1, 2, -1
WHOLE = 1 << 40  # past every chromosome's end
LARGEST_SEED = (1 << 63) - 1
LARGEST_BLOCK = 10**12
_RANGE = re.compile(r"(\S+?):(\d[\d,]{0,30})-(\d[\d,]{0,30})")
_FRACTION = re.compile(r"\d*\.\d+|\d+\.|[01]e-?\d+")


def check_seed(seed: int) -> None:
    """Check the argument ``seed``.

    Parameters
    ----------
    seed : int
        Of what is drawn.

    Raises
    ------
    InputError
        If it is negative or very large.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise InputError(f"seed is {seed}; it must be from 0 to {LARGEST_SEED}")


@dataclass(frozen=True)
class HeldOut:
    """What one of the two options holds out.

    Attributes
    ----------
    regions : tuple of (str, int, int)
        Chromosome without ``chr``, start, end; those that overlap or touch are one.
    fraction : float
        Of the blocks or sequences outside all regions; 0 where regions are given.
    texts : tuple of str
        As the user wrote it.
    """

    regions: tuple[tuple[str, int, int], ...]
    fraction: float
    texts: tuple[str, ...]


def parse_held_out(texts: str | Sequence[str], option: str) -> HeldOut:
    """Read the argument ``valid`` or ``test``.

    Parameters
    ----------
    texts : str or sequence of str
        Chromosomes and ranges, or one fraction, or ``none``.
    option : str
        Name of the argument, for errors.

    Returns
    -------
    HeldOut
        What to hold out.

    Raises
    ------
    InputError
        If a range has no bases or a fraction is not below 1.

    Examples
    --------
    >>> parse_held_out(["chr8", "chr20:1-500", "chr20:400-900"], "valid").regions[1]
    ('20', 1, 900)
    >>> parse_held_out("0.1", "valid").fraction
    0.1
    """
    texts = (texts,) if isinstance(texts, str) else tuple(map(str, texts))
    if texts in ((), ("none",)):
        return HeldOut((), 0.0, texts)
    if len(texts) == 1 and _FRACTION.fullmatch(texts[0]):
        fraction = float(texts[0])
        if not 0 <= fraction < 1:
            raise InputError(f"{option} is {fraction:g}; a fraction must be below 1")
        return HeldOut((), fraction, texts)
    names: list[str] = []
    ranges = []
    for text in texts:
        found = _RANGE.fullmatch(text)
        if not found and ":" in text:
            raise InputError(f"{option}={text}: write a range as chr20:30000000-40000000")
        start, end = (
            (min(int(number.replace(",", "")), WHOLE) for number in found.groups()[1:]) if found else (0, WHOLE)
        )
        if start >= end:
            raise InputError(f"{option}={text}: the range has no bases")
        name = bare(found[1] if found else text)
        names += [name] if name not in names else []
        ranges.append((names.index(name), start, end))
    merged = np.transpose(merge(*np.array(ranges, np.int64).T)).tolist()
    return HeldOut(tuple((names[number], start, end) for number, start, end in merged), 0.0, texts)


class Splitter:
    """Deal windows to train, validation and test, a chromosome at a time.

    Blocks are dealt in a random order; each goes to the split that is furthest
    below its share of the windows so far.

    Parameters
    ----------
    valid, test : str or sequence of str
        As :func:`parse_held_out` reads them.
    block : int, default 1000000
        Bases of a block, where a fraction is held out.
    seed : int, default 0
        Of the order of blocks.

    Attributes
    ----------
    n_between : int
        Windows so far that belong to no split, as they reach into two.

    Raises
    ------
    InputError
        If the two overlap or leave nothing to train on, or a number makes no sense.

    Examples
    --------
    >>> splitter = Splitter(valid="chr1:1000-2000", test="chr2")
    >>> splitter.assign("chr1", np.array([0, 900, 1500]), np.array([200, 1100, 1700])), splitter.n_between
    (array([ 0, -1,  1], dtype=int8), 1)
    """

    def __init__(
        self,
        valid: str | Sequence[str] = HELD_OUT_VALID,
        test: str | Sequence[str] = HELD_OUT_TEST,
        *,
        block: int = HELD_OUT_BLOCK,
        seed: int = 0,
    ):
        self._held = {VALID: parse_held_out(valid, "valid"), TEST: parse_held_out(test, "test")}
        self._block, self._seed = block, seed
        shares = [self._held[VALID].fraction, self._held[TEST].fraction]
        if sum(shares) >= 1:
            raise InputError(f"valid={shares[0]:g} and test={shares[1]:g} leave nothing to train on")
        self.fractions = np.array([1 - sum(shares), *shares])
        if not 1 <= block <= LARGEST_BLOCK:
            raise InputError(f"block is {block}; it must be from 1 to {LARGEST_BLOCK}")
        check_seed(seed)
        for a in self._held[VALID].regions:
            for b in self._held[TEST].regions:
                if a[0] == b[0] and a[1] < b[2] and b[1] < a[2]:
                    raise InputError(
                        f"valid={' '.join(self._held[VALID].texts)} and test="
                        f"{' '.join(self._held[TEST].texts)} overlap on chromosome {a[0]}"
                    )
        self._counts = np.zeros(3)
        self._seen: set[tuple[int, tuple[str, int, int]]] = set()
        self._chromosomes: list[str] = []
        self.n_between = 0

    @property
    def by_region(self) -> bool:
        """Whether chromosomes or ranges are held out, not only fractions."""
        return any(held.regions for held in self._held.values())

    def assign(
        self, chromosome: str, start: np.ndarray, end: np.ndarray, weight: np.ndarray | None = None
    ) -> np.ndarray:
        """Deal all windows of one chromosome.

        Parameters
        ----------
        chromosome : str
            With or without ``chr``; each is given once.
        start, end : numpy.ndarray of int, shape (n,)
            The windows, from 0, end excluded.
        weight : numpy.ndarray, shape (n,), optional
            How much each counts when blocks are dealt; 1 by default.

        Returns
        -------
        numpy.ndarray of int8, shape (n,)
            ``TRAIN``, ``VALID``, ``TEST`` or ``NONE``.
        """
        # 1. What lies in a region that is held out belongs to its split, what only reaches into one to none. 2. Where
        # fractions are held out, the rest is dealt in blocks.
        chromosome = bare(chromosome)
        self._chromosomes.append(chromosome)
        split = np.zeros(len(start), np.int8)
        rest = np.ones(len(start), bool)
        for number, held in self._held.items():
            for region in held.regions:
                if region[0] == chromosome:
                    inside = (start >= region[1]) & (end <= region[2])
                    overlaps = (start < region[2]) & (end > region[1])
                    split[inside] = number
                    split[overlaps & ~inside] = NONE
                    rest &= ~overlaps
                    if inside.any():
                        self._seen.add((number, region))
        if self.fractions[0] < 1 and rest.any():
            split[rest] = self._deal_blocks(
                chromosome, start[rest], end[rest], None if weight is None else weight[rest]
            )
        self.n_between += int(np.count_nonzero(split == NONE))
        return split

    def _deal_blocks(
        self, chromosome: str, start: np.ndarray, end: np.ndarray, weight: np.ndarray | None
    ) -> np.ndarray:
        if (end - start).max() > self._block:
            raise InputError(f"block is {self._block}, less than a window of {(end - start).max()} bp")
        # 1. Weigh each block by the windows that begin in it. 2. Go through the blocks that any window lies in, in
        # random order, and give each to the split that is furthest below its share of the weight so far. 3. A window
        # belongs to the split of both its ends, or to none; none is longer than a block, so no third is between them.
        first, last = start // self._block, (end - 1) // self._block
        weights = np.bincount(first, weight, minlength=int(last.max()) + 1)
        split_of_block = np.zeros(len(weights), np.int8)
        used = np.union1d(first, last)
        # A number for each block, so that the order does not depend on which blocks have windows.
        rank = np.random.default_rng([self._seed, zlib.crc32(chromosome.encode())]).random(len(weights))
        for block in used[rank[used].argsort()]:
            short = self.fractions * (self._counts.sum() + weights[block]) - self._counts
            split_of_block[block] = short.argmax()
            self._counts[split_of_block[block]] += weights[block]
        return np.where(split_of_block[first] == split_of_block[last], split_of_block[first], NONE)

    def check_all_seen(self) -> None:
        """Refuse regions that held no window.

        Raises
        ------
        InputError
            It names the region, and the chromosomes there are.
        """
        for number, option in ((VALID, "valid"), (TEST, "test")):
            for region in self._held[number].regions:
                if (number, region) not in self._seen:
                    where = f"{region[0]}:{region[1]}-{region[2]}" if region[2] < WHOLE else f"chromosome {region[0]}"
                    there = ", ".join(self._chromosomes[:30])
                    raise InputError(
                        f"{option}={' '.join(self._held[number].texts)}: nothing lies in {where}; there "
                        f"is data on {there or 'no chromosome'}"
                    )


def deal_by_key(keys: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Deal sequences at random, equal ones to the same split.

    Parameters
    ----------
    keys : numpy.ndarray of uint64, shape (n,)
        A random number a sequence, the same for equal sequences.
    fractions : numpy.ndarray, shape (3,)
        Shares of train, validation and test.

    Returns
    -------
    numpy.ndarray of int8, shape (n,)
        ``TRAIN``, ``VALID`` or ``TEST``.

    Examples
    --------
    >>> deal_by_key(np.array([7, 3, 7, 9, 1], np.uint64), np.array([0.6, 0.2, 0.2]))
    array([0, 1, 0, 0, 2], dtype=int8)
    """
    # The first of the sequences in the order of their keys are the test's, the next the validation's. A bound between
    # equal keys moves down to the first of them.
    split = np.zeros(len(keys), np.int8)
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    shares = np.cumsum([fractions[TEST], fractions[VALID]])
    bounds = [
        0,
        *(
            np.searchsorted(ranked, ranked[rank]) if rank < len(keys) else len(keys)
            for rank in np.round(shares * len(keys)).astype(int)
        ),
    ]
    for number, (begin, stop) in zip((TEST, VALID), pairwise(bounds), strict=True):
        split[order[begin:stop]] = number
    return split

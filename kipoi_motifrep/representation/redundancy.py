"""Filters that are one motif: grouped by their similarity among themselves, on either strand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kipoi_motifrep.motifs import Motif
from kipoi_motifrep.motifs.tomtom import tomtom

ALIKE_BELOW = 1e-4
"""P-value of Tomtom, in both directions, up to which two filters are one motif. A p-value, not an
E-value, so that it does not depend on how many filters there are. In the shipped networks it joins
all pairs of filters with the same true match in cnn_25 and 4 in 5 of them in cnn_25_120, and no
filters in cnn_2; ten times higher, it would join two different factors in cnn_25."""


@dataclass(frozen=True)
class Member:
    """A filter in a group.

    Parameters
    ----------
    filter : int
        Its place among the filters.
    offset : int
        Position of its leftmost column, counted from the first member's first column.
    orientation : {"+", "-"}
        ``-`` if it is its reverse complement that lies there.
    """

    filter: int
    offset: int = 0
    orientation: str = "+"


@dataclass(frozen=True)
class Similar:
    """Groups of filters that are alike.

    Parameters
    ----------
    groups : tuple of tuple of Member
        Largest first; members by information, the clearest first. Filters that are like
        no other are groups of one; filters without information are in none.
    """

    groups: tuple[tuple[Member, ...], ...]

    def __len__(self) -> int:
        return len(self.groups)

    def group_of(self, n_filters: int) -> np.ndarray:
        """Place of each filter's group, shape (n_filters,); -1 for none."""
        found = np.full(n_filters, -1)
        for number, group in enumerate(self.groups):
            found[[member.filter for member in group]] = number
        return found


def similar_filters(
    motifs: Sequence[Motif], compared: Sequence[int], threads: int | None = None, *, chains: bool = True
) -> Similar:
    """Group filters by Tomtom among themselves.

    1. Compare every filter with every other, reverse complements included.
    2. Join two whose p-values in both directions are at most `ALIKE_BELOW`. In both: a short filter is like a part of
       a long one by chance more often than the other way round.
    3. A group is everything that is joined by a chain of such pairs. From its clearest filter on, lay the others
       out one by one, each by its best alignment with one that lies already. Without `chains`, a group is a filter and
       those that are joined to itself, the clearest filters first: among thousands of filters, some of which hold
       parts of several motifs, chains lead from any motif to any other.

    Parameters
    ----------
    motifs : sequence of Motif
        Trimmed filters.
    compared : sequence of int
        Which of them have information.
    threads : int, optional
        For Tomtom; by default all that the machine has.
    chains : bool, default True
        Whether a filter may be joined to a group by any of its members.

    Returns
    -------
    Similar
        Groups with their members aligned.
    """
    if not len(compared):
        return Similar(())
    chosen = [motifs[one] for one in compared]
    # E = p x number of targets, so this asks for all pairs with p up to the border.
    hits = tomtom(chosen, chosen, evalue=ALIKE_BELOW * len(chosen), qvalues=False, threads=threads)
    best = {
        (query, target): (p, int(offset), str(strand))
        for query, target, offset, p, strand in zip(
            *(hits[name].tolist() for name in ("query", "target", "offset", "p_value", "orientation")), strict=True
        )
        if query != target
    }
    links = {pair: found for pair, found in best.items() if pair[::-1] in best}
    neighbours: dict[int, list[int]] = {one: [] for one in range(len(chosen))}
    for query, target in links:
        neighbours[target].append(query)
    clearness, widths = [motif.total_information() for motif in chosen], [motif.width for motif in chosen]
    groups: list[list[Member]] = []
    seen: set[int] = set()
    for one in sorted(range(len(chosen)), key=lambda i: (-clearness[i], i)):
        if one not in seen:
            if chains:
                group = _laid_out(one, neighbours, links, widths)
            else:
                joined = (other for other in neighbours[one] if other not in seen)
                group = [Member(one), *(_beside(Member(one), other, links[other, one], widths) for other in joined)]
            seen.update(member.filter for member in group)
            groups.append(sorted(group, key=lambda member: (-clearness[member.filter], member.filter)))
    groups.sort(key=len, reverse=True)
    return Similar(
        tuple(tuple(Member(compared[one.filter], one.offset, one.orientation) for one in group) for group in groups)
    )


def _laid_out(first: int, neighbours: dict[int, list[int]], links: dict, widths: Sequence[int]) -> list[Member]:
    """Place all that is joined to a filter, each by its best alignment with one that lies already."""
    # Prim's algorithm: the closest of all pairs of a placed and a waiting filter is next.
    placed = {first: Member(first)}
    waiting = {(links[query, first][0], query, first) for query in neighbours[first]}
    while waiting:
        nearest = min(waiting)
        waiting.discard(nearest)
        _, query, target = nearest
        if query not in placed:
            placed[query] = _beside(placed[target], query, links[query, target], widths)
            waiting |= {(links[other, query][0], other, query) for other in neighbours[query] if other not in placed}
    return list(placed.values())


def _beside(target: Member, query: int, link: tuple[float, int, str], widths: Sequence[int]) -> Member:
    _, offset, strand = link
    # The alignment is with the target as `strand` shows it; the target may lie the other way round.
    if strand == target.orientation:
        return Member(query, target.offset + offset, "+")
    return Member(query, target.offset + widths[target.filter] - widths[query] - offset, "-")

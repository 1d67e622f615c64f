"""HOMER motif files: a ``>`` header with tabs, then one row of four probabilities a position."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from kipoi_motifrep.motifs.formats.pfm import header_blocks
from kipoi_motifrep.motifs.formats.source import Source
from kipoi_motifrep.motifs.formats.spelling import decimal, plain
from kipoi_motifrep.motifs.motif import Motif

_TARGETS = re.compile(r"\bT:([\d.]+)")
_GUESS = ",BestGuess:"
# HOMER needs a score above which a site is called; known motifs' lie at about 0.6 to 0.8 of the best score.
_THRESHOLD = 0.7
_FLOOR = 0.001  # HOMER's own smallest probability


def parse_homer(source: Source) -> tuple[list[tuple[int, Motif]], None]:
    """Read a HOMER file.

    Parameters
    ----------
    source : Source
        The file.

    Returns
    -------
    motifs : list of (row, Motif)
        With the row of the header. ``nsites`` is HOMER's number of target
        sequences with the motif (``T:``); ``alt_name`` its ``BestGuess:``.
    background : None
        HOMER files state none.
    """
    motifs = []
    for row, header, rows in header_blocks(source):
        fields = [field.strip() for field in header.split("\t")]
        title = fields[1] if len(fields) > 1 and fields[1] else fields[0]
        name, _, guess = title.partition(_GUESS)
        if not name:
            raise source.error("a header without a name", row)
        if not rows:
            raise source.error(f"motif {name} has no rows; is the file cut off?", row)
        matrix = np.array([source.four(line.split(), at) for at, line in rows])
        source.check_rows(matrix, [at for at, _ in rows])
        targets = _TARGETS.search("\t".join(fields[2:]))
        nsites = source.number(targets.group(1).rstrip("."), row) if targets else None
        motifs.append((row, Motif(name=name, pwm=matrix, alt_name=guess, nsites=nsites)))
    return motifs, None


def format_homer(motifs: Iterable[Motif], background: np.ndarray) -> Iterator[str]:
    """Give the lines of a HOMER file.

    The detection threshold is 0.7 of the best log-odds score (natural log); HOMER's
    p-value is not known and written as log p = 0.

    Parameters
    ----------
    motifs : iterable of Motif
        What to write.
    background : numpy.ndarray, shape (4,)
        Letter frequencies for the threshold.

    Yields
    ------
    str
        Lines without line ends.
    """
    for motif in motifs:
        guess = f"{_GUESS}{' '.join(motif.alt_name.split())}" if motif.alt_name.strip() else ""
        best = np.log(np.maximum(motif.pwm, _FLOOR) / background).max(axis=1).sum()
        targets = "" if motif.nsites is None else f"\t0\t0\tT:{plain(motif.nsites)}(0%)"
        yield f">{motif.consensus}\t{' '.join(motif.name.split())}{guess}\t{max(0.0, _THRESHOLD * best):.6f}{targets}"
        for row in motif.pwm:
            yield "\t".join(decimal(p) for p in row)

"""Tomtom's exact statistics of motif similarity, in numpy alone."""

from kipoi_motifrep.motifs.tomtom.comparing import search, tomtom
from kipoi_motifrep.motifs.tomtom.hits import HIT

__all__ = ["HIT", "search", "tomtom"]

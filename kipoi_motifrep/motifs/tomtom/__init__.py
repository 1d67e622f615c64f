"""Tomtom's exact statistics of motif similarity, compiled."""

from kipoi_motifrep.motifs.tomtom.comparing import search, tomtom
from kipoi_motifrep.motifs.tomtom.reporting import HIT

__all__ = ["HIT", "search", "tomtom"]

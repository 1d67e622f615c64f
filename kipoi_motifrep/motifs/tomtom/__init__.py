"""Tomtom's exact statistics of motif similarity, compiled."""

from kipoi_motifrep.motifs.tomtom.comparing import HIT, search, tomtom

__all__ = ["HIT", "search", "tomtom"]

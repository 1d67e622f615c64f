"""Tomtom's exact statistics of motif similarity, in numpy alone."""

from kipoi_motifrep.tomtom.comparing import search, tomtom
from kipoi_motifrep.tomtom.records import HIT

__all__ = ["HIT", "search", "tomtom"]

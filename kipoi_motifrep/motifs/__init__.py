"""Motifs: the Motif type and the files that hold motifs."""

from kipoi_motifrep.motifs.files import MotifFile, read_motifs, write_motifs
from kipoi_motifrep.motifs.motif import (
    TRIM_PAD,
    TRIM_THRESHOLD,
    Motif,
    check_background,
    information_content,
    trim_bounds,
)

__all__ = [
    "TRIM_PAD",
    "TRIM_THRESHOLD",
    "Motif",
    "MotifFile",
    "check_background",
    "information_content",
    "read_motifs",
    "trim_bounds",
    "write_motifs",
]

"""Metrics of a network's first layer: what its filters are, how whole, how surprising, how important."""

from kipoi_motifrep.representation.coverage import DISTRIBUTED, LOCALIST, coverage
from kipoi_motifrep.representation.importance import Importance, measure_importance
from kipoi_motifrep.representation.known_motifs import KnownMotifs, read_known_motifs
from kipoi_motifrep.representation.metrics import Representation, represent
from kipoi_motifrep.representation.redundancy import Similar, similar_filters

read_truth = read_known_motifs  # its public name so far, which stays

__all__ = [
    "DISTRIBUTED",
    "LOCALIST",
    "Importance",
    "KnownMotifs",
    "Representation",
    "Similar",
    "coverage",
    "measure_importance",
    "read_known_motifs",
    "read_truth",
    "represent",
    "similar_filters",
]

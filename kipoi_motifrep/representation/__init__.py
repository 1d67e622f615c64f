"""Figures of a network's first layer: what its filters are, how whole, how surprising, how important."""

from kipoi_motifrep.representation.coverage import DISTRIBUTED, LOCALIST, coverage
from kipoi_motifrep.representation.importance import Importance, measure_importance
from kipoi_motifrep.representation.known_motifs import Truth, read_truth
from kipoi_motifrep.representation.metrics import Representation, represent
from kipoi_motifrep.representation.redundancy import Similar, similar_filters

__all__ = ["DISTRIBUTED", "LOCALIST", "Importance", "Representation", "Similar", "Truth", "coverage",
           "measure_importance", "read_truth", "represent", "similar_filters"]

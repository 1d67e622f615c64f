"""Filters: what each filter of a network's convolution learned, as PWMs."""

from kipoi_motifrep.filters.batches import ArrayBatches, Batch, LoaderBatches
from kipoi_motifrep.filters.extract import extract_filters
from kipoi_motifrep.filters.result import FilterPWMs, weight_pwms
from kipoi_motifrep.filters.selection import Histogram, Maxima, Sites, TopSites
from kipoi_motifrep.filters.streaming import filter_maxima, filter_pwms, fitting_batch_size, site_sums
from kipoi_motifrep.filters.sums import SiteSums

__all__ = [
    "ArrayBatches",
    "Batch",
    "FilterPWMs",
    "Histogram",
    "LoaderBatches",
    "Maxima",
    "SiteSums",
    "Sites",
    "TopSites",
    "extract_filters",
    "filter_maxima",
    "filter_pwms",
    "fitting_batch_size",
    "site_sums",
    "weight_pwms",
]

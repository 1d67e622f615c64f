"""What did the first layer of a genomic CNN learn? PWMs, JASPAR matches, and trained networks.

Kipoi imports every installed plugin on every call, so this module imports
nothing: public names are found on first use (PEP 562).
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

# Public name -> module that holds it.
_PUBLIC = {
    "build_from_bundle": "datasets.deepsea",
    "build_from_peaks": "datasets.peaks",
    "build_from_table": "datasets.table",
    "cli_main": "cli.program",
    "Database": "motifs.jaspar",
    "DatasetDl": "datasets.loader",
    "extract_filters": "filters",
    "filter_pwms": "filters",
    "FilterPWMs": "filters",
    "information_content": "motifs",
    "information_logo": "motifs.logos",
    "InputError": "core.errors",
    "IntervalsDl": "sequences.loaders",
    "Keras3Model": "networks.kipoi_model",
    "match": "motifs.matches",
    "Matches": "motifs.matches",
    "Motif": "motifs",
    "MotifFile": "motifs",
    "open_database": "motifs.jaspar",
    "open_databases": "motifs.jaspar",
    "open_dataset": "datasets.hdf5",
    "Interpretation": "pipeline",
    "interpret": "pipeline",
    "Representation": "representation",
    "read_truth": "representation",
    "represent": "representation",
    "open_network": "networks.loading",
    "probability_logo": "motifs.logos",
    "read_interpretation": "report",
    "read_motifs": "motifs",
    "Report": "report",
    "scan_baseline": "training.baseline",
    "ScanResult": "training.baseline",
    "SequencesDl": "sequences.loaders",
    "signed_logo": "motifs.logos",
    "shipped_model": "zoo.shipped",
    "shipped_names": "zoo.shipped",
    "shipped_weights": "zoo.shipped",
    "trim_bounds": "motifs",
    "weight_pwms": "filters",
    "write_comparison": "report.comparison",
    "write_interpretation": "report",
    "write_motifs": "motifs",
    "write_report": "report.page",
}

# Kipoi's plugin contract: this plugin adds nothing to model.yaml or dataloader.yaml.
ModelParser = None
DataloaderParser = None

__all__ = ["DataloaderParser", "ModelParser", "__version__", *sorted(_PUBLIC)]


def __getattr__(name: str):
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name == f"{__name__}.{name}":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
        raise


def __dir__() -> list[str]:
    return sorted(__all__)

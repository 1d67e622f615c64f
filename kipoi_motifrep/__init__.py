"""What did the first layer of a genomic CNN learn? PWMs, JASPAR matches, and trained networks.

Kipoi imports every installed plugin on every call, so this module imports
nothing: public names are found on first use (PEP 562).
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

# Public name -> module that holds it.
_PUBLIC = {
    "Database": "jaspar",
    "DatasetDl": "dataset_loader",
    "InputError": "errors",
    "IntervalsDl": "sequences.loaders",
    "Keras3Model": "kipoi_model",
    "SequencesDl": "sequences.loaders",
    "open_dataset": "datasets",
    "Motif": "motifs",
    "MotifFile": "motifs",
    "build_from_bundle": "invivo.deepsea",
    "build_from_peaks": "invivo.peaks",
    "build_from_table": "invivo.table",
    "cli_main": "cli",
    "FilterPWMs": "filters",
    "extract_filters": "filters",
    "filter_pwms": "filters",
    "open_network": "networks",
    "weight_pwms": "filters",
    "information_content": "motifs",
    "Matches": "matching",
    "match": "matching",
    "open_database": "jaspar",
    "open_databases": "jaspar",
    "read_motifs": "motifs",
    "trim_bounds": "motifs",
    "write_motifs": "motifs",
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

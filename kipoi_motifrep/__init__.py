"""What did the first layer of a genomic CNN learn? PWMs, JASPAR matches, and trained networks.

Kipoi imports every installed plugin on every call, so this module imports
nothing: public names are found on first use (PEP 562). Type checkers and
editors read the imports below instead; a test holds the two lists together.

Examples
--------
>>> import kipoi_motifrep as km
>>> km.Motif("MAX", [[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]).consensus
'CA'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kipoi_motifrep.cli.program import cli_main as cli_main
    from kipoi_motifrep.core.errors import InputError as InputError
    from kipoi_motifrep.datasets.from_deepsea import build_from_bundle as build_from_bundle
    from kipoi_motifrep.datasets.from_peaks import build_from_peaks as build_from_peaks
    from kipoi_motifrep.datasets.from_table import build_from_table as build_from_table
    from kipoi_motifrep.datasets.hdf5 import open_dataset as open_dataset
    from kipoi_motifrep.datasets.loader import DatasetDl as DatasetDl
    from kipoi_motifrep.filters import FilterPWMs as FilterPWMs
    from kipoi_motifrep.filters import extract_filters as extract_filters
    from kipoi_motifrep.filters import filter_pwms as filter_pwms
    from kipoi_motifrep.filters import weight_pwms as weight_pwms
    from kipoi_motifrep.motifs import Motif as Motif
    from kipoi_motifrep.motifs import MotifFile as MotifFile
    from kipoi_motifrep.motifs import information_content as information_content
    from kipoi_motifrep.motifs import read_motifs as read_motifs
    from kipoi_motifrep.motifs import trim_bounds as trim_bounds
    from kipoi_motifrep.motifs import write_motifs as write_motifs
    from kipoi_motifrep.motifs.jaspar import Database as Database
    from kipoi_motifrep.motifs.jaspar import open_database as open_database
    from kipoi_motifrep.motifs.jaspar import open_databases as open_databases
    from kipoi_motifrep.motifs.logos import information_logo as information_logo
    from kipoi_motifrep.motifs.logos import probability_logo as probability_logo
    from kipoi_motifrep.motifs.logos import signed_logo as signed_logo
    from kipoi_motifrep.motifs.matches import Matches as Matches
    from kipoi_motifrep.motifs.matches import match as match
    from kipoi_motifrep.networks.file_kinds import NetworkFile as NetworkFile
    from kipoi_motifrep.networks.kipoi_model import Keras3Model as Keras3Model
    from kipoi_motifrep.networks.loading import open_network as open_network
    from kipoi_motifrep.pipeline.atlas import atlas as atlas
    from kipoi_motifrep.pipeline.interpretation import Interpretation as Interpretation
    from kipoi_motifrep.pipeline.interpretation import interpret as interpret
    from kipoi_motifrep.pipeline.scan import scan as scan
    from kipoi_motifrep.report import Report as Report
    from kipoi_motifrep.report import read_interpretation as read_interpretation
    from kipoi_motifrep.report import write_interpretation as write_interpretation
    from kipoi_motifrep.report.comparison import write_comparison as write_comparison
    from kipoi_motifrep.report.page import write_report as write_report
    from kipoi_motifrep.representation import Representation as Representation
    from kipoi_motifrep.representation import read_known_motifs as read_known_motifs
    from kipoi_motifrep.representation import read_truth as read_truth
    from kipoi_motifrep.representation import represent as represent
    from kipoi_motifrep.representation.plant import plant as plant
    from kipoi_motifrep.representation.planting import Planted as Planted
    from kipoi_motifrep.sequences.loaders import IntervalsDl as IntervalsDl
    from kipoi_motifrep.sequences.loaders import SequencesDl as SequencesDl
    from kipoi_motifrep.training.baseline import ScanResult as ScanResult
    from kipoi_motifrep.training.baseline import scan_baseline as scan_baseline
    from kipoi_motifrep.training.evaluate import Evaluation as Evaluation
    from kipoi_motifrep.training.evaluate import evaluate as evaluate
    from kipoi_motifrep.zoo.shipped import shipped_model as shipped_model
    from kipoi_motifrep.zoo.shipped import shipped_names as shipped_names
    from kipoi_motifrep.zoo.shipped import shipped_weights as shipped_weights

__version__ = "0.1.0"

# Public name -> module that holds it.
_PUBLIC = {
    "atlas": "pipeline.atlas",
    "build_from_bundle": "datasets.from_deepsea",
    "build_from_peaks": "datasets.from_peaks",
    "build_from_table": "datasets.from_table",
    "cli_main": "cli.program",
    "Database": "motifs.jaspar",
    "DatasetDl": "datasets.loader",
    "extract_filters": "filters",
    "filter_pwms": "filters",
    "FilterPWMs": "filters",
    "information_content": "motifs",
    "information_logo": "motifs.logos",
    "InputError": "core.errors",
    "interpret": "pipeline.interpretation",
    "Interpretation": "pipeline.interpretation",
    "IntervalsDl": "sequences.loaders",
    "Keras3Model": "networks.kipoi_model",
    "match": "motifs.matches",
    "Matches": "motifs.matches",
    "Motif": "motifs",
    "MotifFile": "motifs",
    "NetworkFile": "networks.file_kinds",
    "open_database": "motifs.jaspar",
    "open_databases": "motifs.jaspar",
    "open_dataset": "datasets.hdf5",
    "open_network": "networks.loading",
    "plant": "representation.plant",
    "Planted": "representation.planting",
    "probability_logo": "motifs.logos",
    "read_interpretation": "report",
    "read_known_motifs": "representation",
    "read_motifs": "motifs",
    "read_truth": "representation",
    "Report": "report",
    "represent": "representation",
    "Representation": "representation",
    "scan": "pipeline.scan",
    "scan_baseline": "training.baseline",
    "Evaluation": "training.evaluate",
    "evaluate": "training.evaluate",
    "ScanResult": "training.baseline",
    "SequencesDl": "sequences.loaders",
    "shipped_model": "zoo.shipped",
    "shipped_names": "zoo.shipped",
    "shipped_weights": "zoo.shipped",
    "signed_logo": "motifs.logos",
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

# Hidden from type checkers: to them, a name that is not imported above is a mistake.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
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

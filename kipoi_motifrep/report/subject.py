"""What is interpreted, in words: the model's name and origin, the data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kipoi_motifrep.filters import FilterPWMs
from kipoi_motifrep.filters.extract import Opened
from kipoi_motifrep.filters.output_names import note_of
from kipoi_motifrep.networks.loading import is_file_model, is_here
from kipoi_motifrep.report.schema import Citation, NetworkSummary

TRAINED_NAME = "network"  # of every file that `train` writes; its folder and its note say more


def describe_network(opened: Opened, filters: Sequence[FilterPWMs], name: str | None = None) -> NetworkSummary:
    """Say in words what is interpreted.

    Parameters
    ----------
    opened : Opened
        Model and sequences.
    filters : sequence of FilterPWMs
        What was found, one a bank.
    name : str, optional
        What to call it; by default the name of the Kipoi model, or of its file.

    Returns
    -------
    NetworkSummary
    """
    network, sequences, n = opened.network, opened.sequences, filters[0].n_sequences
    its_name, source, url = _named(opened.source.model, opened.source.source)
    doc = str(getattr(kipoi_info(opened), "doc", None) or "")
    return NetworkSummary(
        name=name or its_name,
        n_filters=sum(map(len, filters)),
        width=max(one.width for one in filters),
        source=source,
        layer=", ".join(one.bank.layer for one in filters),
        axes=str(network.layout),
        sequences=f"{n:,} sequences of {network.length:,} bp from {sequences.describe()}",
        n_sequences=n,
        found=network.describe(),
        description=" ".join(doc.split()),
        url=url,
        length=network.length,
    )


def kipoi_info(opened: Opened) -> object | None:
    """Give what a Kipoi model says of itself: authors, a sentence, how to cite it; None for other models."""
    return None if is_file_model(opened.source.model) else getattr(opened.model, "info", None)


def model_citation(opened: Opened) -> Citation | None:
    """Give how a Kipoi model asks to be cited, if it does."""
    cite = str(getattr(kipoi_info(opened), "cite_as", None) or "")
    return Citation(cite, "the model", cite if cite.startswith("http") else "") if cite else None


def _named(model: object, source: str | None) -> tuple[str, str, str]:
    """Name, origin and page of a model as it was given."""
    if not isinstance(model, (str, os.PathLike)):
        inner = getattr(model, "name", None)
        return inner if isinstance(inner, str) else type(model).__name__, "a model in memory", ""
    path = Path(model)
    if is_file_model(model):
        if path.stem != TRAINED_NAME:
            return path.stem, path.name, ""
        note, folder = note_of(model), path.resolve().parent.name
        architecture = note.get("architecture") or note.get("variant")
        return str(architecture or folder or path.stem), f"{folder}/{path.name}", ""
    if source in (None, "kipoi") and not path.is_absolute() and not is_here(path):
        return str(model), "kipoi.org", f"https://kipoi.org/models/{model}"
    form = "SavedModel" if (path / "saved_model.pb").is_file() else "Kipoi model"
    return path.name, f"{form} {path.parent.name}/{path.name}", ""

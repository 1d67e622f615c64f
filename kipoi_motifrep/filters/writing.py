"""The files of the ``filters`` command: motifs, a table, HDF5, and sites."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import h5py
import numpy as np

from kipoi_motifrep.core.outputs import replacing, write_bytes
from kipoi_motifrep.core.tables import write_table
from kipoi_motifrep.filters.batches import Batch, ids_of, ranges_of
from kipoi_motifrep.filters.evidence import EXAMPLE_FIELDS, Heights, SiteSample
from kipoi_motifrep.filters.result import FilterPWMs, filter_names
from kipoi_motifrep.filters.selection import Sites
from kipoi_motifrep.filters.streaming import bank_windows
from kipoi_motifrep.motifs import information_content, trim_bounds, write_motifs
from kipoi_motifrep.networks.network import Network
from kipoi_motifrep.networks.types import FilterBank, ReceptiveField

FILTER_FILES = ("filters.meme", "filters_trimmed.meme", "filters.tsv", "filters.h5")
SITE_FILES = ("sites.bed", "sites.tsv")
COLUMNS = (
    "filter",
    "layer",
    "index",
    "status",
    "n_sites",
    "maximum",
    "level",
    "n_firing",
    "n_sequences",
    "fraction_firing",
    "width",
    "consensus",
    "information",
    "trimmed_start",
    "trimmed_width",
)
EVIDENCE = {
    "heights": (Heights, ("counts", "power")),
    "sample": (SiteSample, ("places", *EXAMPLE_FIELDS)),
}  # further parts of a FilterPWMs, each a group
ARRAYS = ("pwms", "counts", "n_sites", "n_firing", "maximum", "level")  # of a FilterPWMs, as they are stored


def write_filters(results: Sequence[FilterPWMs], folder: str | os.PathLike) -> None:
    """Write ``filters.meme``, ``filters_trimmed.meme``, ``filters.tsv`` and ``filters.h5``.

    Dead filters keep their place: among the motifs they are uniform, with the
    second name ``dead``. ``kipoi-motifrep match`` reports and skips them; other
    programs would match them by chance.

    Parameters
    ----------
    results : sequence of FilterPWMs
        One a bank.
    folder : str or path-like
        Made when it is missing.
    """
    folder = Path(folder)
    for name, trimmed in (("filters.meme", False), ("filters_trimmed.meme", True)):
        motifs = [motif for result in results for motif in result.motifs(trimmed)]
        write_motifs(motifs, folder / name)
    write_table(folder / "filters.tsv", COLUMNS, (row for result in results for row in _table(result)))
    write_bytes(folder / "filters.h5", _hdf5(results))


def read_filters(folder: str | os.PathLike, network: Network) -> tuple[FilterPWMs, ...]:
    """Read what :func:`write_filters` wrote.

    Parameters
    ----------
    folder : str or path-like
        The folder.
    network : Network
        The same network.

    Returns
    -------
    tuple of FilterPWMs
        One a bank, equal to those written.
    """
    with h5py.File(Path(folder) / "filters.h5", "r") as file:
        return tuple(
            _read_group(file if len(network.banks) == 1 else file[_group_name(bank)], bank) for bank in network.banks
        )


def _hdf5(results: Sequence[FilterPWMs]) -> bytes:
    # Made in memory: on a full disk HDF5 itself fails with pages of internals, or crashes.
    with h5py.File("filters.h5", "w", driver="core", backing_store=False) as file:
        for result in results:
            _write_group(file if len(results) == 1 else file.create_group(_group_name(result.bank)), result)
        file.flush()
        return file.id.get_file_image()


def _group_name(bank: FilterBank) -> str:
    # A slash would make groups within groups.
    return bank.layer.replace("/", ".")


def _read_group(group: h5py.Group, bank: FilterBank) -> FilterPWMs:
    window = ReceptiveField(*(int(group.attrs[f"window_{name}"]) for name in ("start", "width", "step")))
    arrays = {name: group[name][:] for name in ARRAYS}
    parts = {
        part: kind(**{name: _column(group[part][name]) for name in fields})
        for part, (kind, fields) in EVIDENCE.items()
        if part in group
    }
    return FilterPWMs(
        bank,
        tuple(group["names"].asstr()[:]),
        n_sequences=int(group.attrs["n_sequences"]),
        window=window,
        **arrays,
        **parts,
    )


def _column(stored: h5py.Dataset) -> np.ndarray:
    return stored.asstr()[:] if h5py.check_string_dtype(stored.dtype) and stored.dtype.hasobject else stored[:]


def _table(result: FilterPWMs) -> Iterator[tuple[object, ...]]:
    for i, (whole, trimmed) in enumerate(zip(result.motifs(), result.motifs(trimmed=True), strict=True)):
        start, _ = trim_bounds(whole.pwm)
        yield (
            whole.name,
            result.bank.layer,
            i,
            result.status[i],
            result.n_sites[i],
            f"{result.maximum[i]:.6g}",
            f"{result.level[i]:.6g}",
            result.n_firing[i],
            result.n_sequences,
            f"{result.fraction_firing[i]:.6g}",
            result.width,
            whole.consensus,
            f"{information_content(whole.pwm).sum():.4f}",
            start,
            trimmed.width,
        )


def _write_group(group: h5py.Group, result: FilterPWMs) -> None:
    # Weights and their PWMs are there for other programs; reading back takes them from the network.
    for name in (*ARRAYS, "fraction_firing", "kernels", "weight_pwms"):
        if getattr(result, name) is not None:
            group.create_dataset(name, data=getattr(result, name))
    for part, (_, fields) in EVIDENCE.items():
        for name in fields if getattr(result, part) is not None else ():
            array = getattr(getattr(result, part), name)
            kind = h5py.string_dtype() if array.dtype.hasobject else None
            group.create_dataset(f"{part}/{name}", data=array, dtype=kind)
    for name in ("names", "status"):
        group.create_dataset(name, data=np.array(getattr(result, name), object), dtype=h5py.string_dtype())
    group.attrs.update(
        layer=result.bank.layer,
        n_sequences=result.n_sequences,
        description=result.bank.describe(),
        window_start=result.window.start,
        window_width=result.window.width,
        window_step=result.window.step,
    )


class SiteLines:
    """Sites as they are found, as lines of BED where the sequences have coordinates, else of a table.

    Parameters
    ----------
    file : text file
        Where they go.
    bed : bool
        Which of the two.
    network : Network
        The network.
    window : int, optional
        Width of the windows; the receptive field by default.
    """

    HEADER = "sequence\tstart\tend\tfilter\tactivation\tstrand\n"

    def __init__(self, file: TextIO, bed: bool, network: Network, window: int | None = None):
        self.bed, self._file = bed, file
        self._windows, self._length = bank_windows(network, window), network.length
        self._names = [np.array(one, object) for one in filter_names(network.banks)]

    @classmethod
    @contextmanager
    def to(cls, path: Path, network: Network, window: int | None = None) -> Iterator[SiteLines]:
        """Write a file; it gets its name when the block ends well.

        Parameters
        ----------
        path : pathlib.Path
            The file; its name ends in what :meth:`suffix` says.
        network, window
            As for the class.

        Yields
        ------
        SiteLines
            To be called with sites, in the order of the sequences.
        """
        with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            bed = path.suffix == ".bed"
            file.write("" if bed else cls.HEADER)
            yield cls(file, bed, network, window)

    @staticmethod
    def suffix(batch: Batch, length: int) -> str:
        """Choose the format by what a batch knows of its sequences.

        Parameters
        ----------
        batch : Batch
            The first.
        length : int
            Sequence length in bases.

        Returns
        -------
        str
            ``.bed``, or ``.tsv`` without coordinates (or with intervals of another length).
        """
        ranges = ranges_of(batch.metadata)
        if ranges is None or (np.asarray(ranges.end, int) - np.asarray(ranges.start, int) != length).any():
            return ".tsv"
        return ".bed"

    def __call__(self, bank: int, batch: Batch, sites: Sites, before: int) -> None:
        """Write the sites of one batch.

        Parameters
        ----------
        bank : int
            Index of the bank.
        batch : Batch
            Their sequences.
        sites : Sites
            In this batch.
        before : int
            Sequences before this batch.
        """
        window, names = self._windows[bank], self._names[bank][sites.filter]
        starts = window.start + window.step * sites.position
        ends = starts + window.width
        if self.bed:
            ranges = ranges_of(batch.metadata)
            labels, firsts = np.asarray(ranges.chr)[sites.sequence], np.asarray(ranges.start, int)[sites.sequence]
            minus = np.asarray(ranges.strand)[sites.sequence] == "-"
            left = np.where(minus, firsts + self._length - ends, firsts + starts)
            # Windows may begin before the chromosome, which BED cannot say.
            starts, ends, strands = np.maximum(left, 0), left + window.width, np.where(minus, "-", "+")
        else:
            ids = ids_of(batch.metadata)
            labels = sites.sequence + before if ids is None else ids[sites.sequence]
            strands = np.full(len(sites), "+")
        self._file.writelines(
            f"{label}\t{start}\t{end}\t{name}\t{value:.6g}\t{strand}\n"
            for label, start, end, name, value, strand in zip(
                labels, starts, ends, names, sites.value, strands, strict=True
            )
            if end > start
        )

    def add(self, lines: str) -> None:
        """Write lines that were made elsewhere.

        Parameters
        ----------
        lines : str
            Of the sequences that come next.
        """
        self._file.write(lines)

"""Kipoi dataloaders: intervals of a genome, and sequences from a FASTA file.

Arguments are documented where Kipoi's users look for them, in the Kipoi
descriptions (``descriptions/*.yaml``, to which ``dataloaders/`` links);
their names are those of kipoiseq's loaders.
"""

from __future__ import annotations

import logging
import operator
from copy import deepcopy
from pathlib import Path
from typing import SupportsInt

import numpy as np
from kipoi.data import BatchDataset
from kipoi.metadata import GenomicRanges
from kipoi.specs import DataLoaderDescription, MetadataStruct, MetadataType
from kipoi_utils.external.torch.data import DataLoader

from kipoi_motifrep.core.errors import InputError, show_plainly_in_kipoi
from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.sequences.alphabet import arrange, one_hot, one_hot_table, reverse_complement
from kipoi_motifrep.sequences.fasta import read_fasta, resize
from kipoi_motifrep.sequences.genome import Genome
from kipoi_motifrep.sequences.intervals import WIDEST, Intervals, check_resizing
from kipoi_motifrep.sequences.problems import Problems
from kipoi_motifrep.sequences.spool import Spool, TextSpool

# Below Kipoi's own: of other loggers, its commands show nothing.
logger = logging.getLogger("kipoi.kipoi_motifrep")

DESCRIPTIONS = Path(__file__).parent / "descriptions"
KIPOI_BATCH_SIZE = 32
SPOOL_BATCH = 1 << 22  # bytes of sequence gathered before they go to the temporary file

show_plainly_in_kipoi()  # before a loader is made: Kipoi does not look whether all arguments are there


def described(name: str):
    """Give a loader class its Kipoi description, so that it is a loader without a folder, too.

    Parameters
    ----------
    name : str
        File in ``descriptions``, without its suffix.

    Returns
    -------
    function
        A class decorator.
    """
    description = DataLoaderDescription.load(str(DESCRIPTIONS / f"{name}.yaml"))
    for argument in description.args.values():
        # Relative to a dataloader's folder, of which there is none here.
        if isinstance(argument.example, str):
            argument.example = str(DESCRIPTIONS.parent / argument.example.replace("example_files", "examples"))
    return lambda loader: loader._add_description_factory(description)


class _Batches:
    """The batches of a loader, in order, by position."""

    def __init__(self, loader: OneHotBatches, batch_size: int):
        self._loader, self._size = loader, batch_size

    def __len__(self) -> int:
        return -(-self._loader.n // self._size)

    def __getitem__(self, i: int) -> dict[str, object]:
        if not 0 <= i < len(self):
            raise IndexError(i)
        return self._loader.batch(i * self._size, min((i + 1) * self._size, self._loader.n))


class OneHotBatches(BatchDataset):
    """Base of our loaders: codes in, one-hot batches in the asked-for layout out.

    Subclasses say how many sequences there are (``n``) and give the codes and
    the rest of a batch (``_rows``).

    Parameters
    ----------
    length : int
        Bases of every sequence.
    alphabet_axis, dummy_axis : int
        Layout, see :func:`kipoi_motifrep.sequences.alphabet.arrange`.
    alphabet : str
        Order of the four columns.
    dtype : str or dtype, optional
        float32 by default.
    outside : str
        "average" gives 0.25 in all columns beyond a sequence's end, "zeros" 0.
    """

    def __init__(
        self,
        length: int,
        alphabet_axis: int | None,
        dummy_axis: int | None,
        alphabet: str,
        dtype: str | np.dtype | None,
        outside: str,
    ):
        self._axes: dict[str, int | None] = {"alphabet_axis": alphabet_axis, "dummy_axis": dummy_axis}
        self._table = one_hot_table(_number_type(dtype), alphabet=alphabet, outside=0.25 if outside == "average" else 0)
        self.length = length
        self._describe(n_axes=arrange(np.zeros((1, 1, 4)), **self._axes).ndim - 1)

    def _describe(self, n_axes: int) -> None:
        """Let the class's schema show the layout asked for; Kipoi checks batches against it."""
        schema = deepcopy(self.output_schema)
        axis, dummy = self._axes["alphabet_axis"], self._axes["dummy_axis"]
        schema.inputs.shape = tuple(4 if i == axis else 1 if i == dummy else None for i in range(n_axes))
        type(self).output_schema = schema

    def _rows(self, start: int, stop: int) -> tuple[np.ndarray, dict[str, object]]:
        raise NotImplementedError

    def batch(self, start: int, stop: int) -> dict[str, object]:
        """Make one batch.

        Parameters
        ----------
        start, stop : int
            Sequences, within :attr:`n`.

        Returns
        -------
        dict
            ``inputs``, ``metadata``, and ``targets`` where there are any.
        """
        codes, rest = self._rows(start, stop)
        return {"inputs": arrange(one_hot(codes, self._table), **self._axes), **rest}

    def __len__(self) -> int:
        return len(_Batches(self, KIPOI_BATCH_SIZE))

    def __getitem__(self, i: int) -> dict[str, object]:
        """Give batch `i` of Kipoi's default size."""
        return _Batches(self, KIPOI_BATCH_SIZE)[i]

    def _batch_iterable(
        self, batch_size: int = KIPOI_BATCH_SIZE, num_workers: int = 0, shuffle: bool = False, **kwargs
    ):
        if shuffle:
            raise InputError("this loader gives sequences in their order; shuffle=True is for Dataset loaders")
        size = number(batch_size, "batch_size")
        if size is None or size < 1:
            raise InputError(f"batch_size is {batch_size}; it must be at least 1")
        batches = _Batches(self, size)
        if not num_workers:
            return batches
        return DataLoader(batches, batch_size=1, collate_fn=operator.itemgetter(0), num_workers=num_workers)

    def batch_iter(self, batch_size: int = KIPOI_BATCH_SIZE, num_workers: int = 0, **kwargs):
        """Go through all batches.

        Parameters
        ----------
        batch_size : int, default 32
            Sequences a batch.
        num_workers : int, default 0
            Worker processes.

        Returns
        -------
        iterator of dict
            ``inputs`` and ``metadata``, and ``targets`` where there are any.
        """
        return iter(self._batch_iterable(batch_size=batch_size, num_workers=num_workers, **kwargs))


def _number_type(dtype: str | np.dtype | None) -> np.dtype:
    try:
        found = np.dtype(dtype or np.float32)
    except TypeError:
        found = None
    if found is None or found.kind not in "fiu":
        raise InputError(f"dtype is {dtype!r}; it must be a numpy type such as float32")
    return found


def flag(value: object, argument: str) -> bool:
    """Read a boolean as it arrives from ``--dataloader_args key=value``.

    Parameters
    ----------
    value : object
        A boolean, or its text.
    argument : str
        Its name, for the error.

    Returns
    -------
    bool
        Whether it says true.

    Raises
    ------
    InputError
        If it says neither true nor false.

    Examples
    --------
    >>> flag("True", "use_strand"), flag(None, "use_strand")
    (True, False)
    """
    for says, texts in ((True, ("1", "true", "yes")), (False, ("0", "false", "no", "none"))):
        if str(value).strip().lower() in texts:
            return says
    raise InputError(f"{argument} is {value!r}; it must be True or False")


def number(value: object, argument: str) -> int | None:
    """Read a whole number as it arrives from ``--dataloader_args key=value``.

    Parameters
    ----------
    value : object
        A number, its text, or None.
    argument : str
        Its name, for the error.

    Returns
    -------
    int or None
        The number.

    Raises
    ------
    InputError
        If it is none.

    Examples
    --------
    >>> number("200", "auto_resize_len"), number("None", "auto_resize_len")
    (200, None)
    """
    if value is None or value == "None":
        return None
    try:
        whole = int(value) if isinstance(value, str | SupportsInt) else None
    except ValueError:
        whole = None
    if whole is None or (whole != value and not isinstance(value, str)):
        raise InputError(f"{argument} is {value!r}; it must be a whole number")
    return whole


@described("intervals")
class IntervalsDl(OneHotBatches):
    """BED + genome FASTA to one-hot; arguments in ``descriptions/intervals.yaml``.

    Examples
    --------
    >>> loader = IntervalsDl.init_example()
    >>> batch = loader.batch(0, 2)
    >>> batch["inputs"].shape, batch["metadata"]["ranges"].chr.tolist()
    ((2, 200, 4), ['chr20', 'chr20'])
    """

    def __init__(
        self,
        intervals_file,
        fasta_file,
        auto_resize_len=None,
        use_strand=False,
        outside="average",
        alphabet_axis=1,
        dummy_axis=None,
        alphabet=BASES,
        dtype=None,
        centre=None,
    ):
        genome = Genome(fasta_file)
        self._intervals = Intervals(
            intervals_file,
            genome,
            length=number(auto_resize_len, "auto_resize_len"),
            use_strand=flag(use_strand, "use_strand"),
            outside=outside,
            centre=None if centre == "None" else centre,
        )
        self._intervals.problems.raise_first()  # before the first batch: no half-written predictions
        if self._intervals.n_padded:
            logger.warning(
                "%s: %d of %d intervals reach beyond their chromosome; the bases there are %s",
                intervals_file,
                self._intervals.n_padded,
                len(self._intervals),
                "0.25 each" if outside == "average" else "all zero",
            )
        self.n = len(self._intervals)
        super().__init__(
            self._intervals.width,
            number(alphabet_axis, "alphabet_axis"),
            number(dummy_axis, "dummy_axis"),
            alphabet,
            dtype,
            outside,
        )

    def _rows(self, start, stop):
        batch = self._intervals.read(start, stop)
        codes = self._intervals.fetch(batch)
        # On codes: a quarter of the bytes that one-hot rows have.
        if batch.reverse.any():
            codes[batch.reverse] = reverse_complement(codes[batch.reverse])
        ranges = GenomicRanges(batch.chromosome, batch.start, batch.end, batch.name, batch.strand)
        return codes, {"metadata": {"ranges": ranges}}


@described("sequences")
class SequencesDl(OneHotBatches):
    """FASTA of sequences to one-hot; arguments in ``descriptions/sequences.yaml``.

    Examples
    --------
    >>> SequencesDl.init_example().batch(0, 3)["inputs"].shape
    (3, 200, 4)
    """

    def __init__(
        self,
        fasta_file,
        auto_resize_len=None,
        outside="average",
        alphabet_axis=1,
        dummy_axis=None,
        alphabet=BASES,
        dtype=None,
    ):
        length = number(auto_resize_len, "auto_resize_len")
        check_resizing(length, outside)
        self._names, self._places = TextSpool(), TextSpool()
        self._codes = self._read(fasta_file, length, outside)
        self.n = len(self._codes)
        super().__init__(
            self._codes.read(0, 1).shape[1],
            number(alphabet_axis, "alphabet_axis"),
            number(dummy_axis, "dummy_axis"),
            alphabet,
            dtype,
            outside,
        )
        metadata = type(self).output_schema.metadata  # that of the last loader made
        metadata.pop("ranges", None)
        if self._placed:
            metadata["ranges"] = MetadataStruct("Where it lies, by its header", MetadataType.GENOMIC_RANGES)

    def _read(self, path, length, outside) -> Spool:
        problems, waiting, counted_from = Problems(path, listed=False), [], set()
        spool, width, width_row = Spool(np.uint8), 0, 0
        for record in read_fasta(path):
            codes = record.codes
            if length is None and len(codes) > WIDEST:
                raise InputError(
                    f"sequence {record.name!r} is {len(codes)} bp long; it can be at most {WIDEST}, or "
                    "give auto_resize_len",
                    path=path,
                    row=record.row,
                )
            if length is not None:
                if outside == "refuse" and len(codes) < length:
                    problems.add(
                        record.row,
                        f"sequence {record.name!r} is {len(codes)} bp, shorter than {length}; "
                        "allow padding with outside='average'",
                    )
                codes = resize(codes, length)
            # Kept as codes, a byte a base, in a temporary file: standard input can be read but once.
            if not width_row:
                width, width_row = len(codes), record.row
                spool = Spool(np.uint8, (width,))
            if len(codes) != width:
                problems.add(
                    record.row,
                    f"sequence {record.name!r} is {len(codes)} bp, and that of row {width_row} is {width}",
                    uneven=width,
                )
                continue
            region = record.region()
            counted_from.add(None if region is None else region[2])
            waiting.append((codes, record.name, _place(region, len(record.codes), width)))
            if len(waiting) * width >= SPOOL_BATCH:
                self._flush(spool, waiting)
        problems.raise_first()
        self._flush(spool, waiting)
        # Of all sequences or of none; and a file that counts from 0 here and from 1 there is not understood.
        self._placed = counted_from in ({0}, {1})
        return spool

    def _flush(self, spool: Spool, waiting: list[tuple[np.ndarray, str, str]]) -> None:
        if waiting:
            codes, names, places = zip(*waiting, strict=True)
            spool.append(np.stack(codes))
            self._names.append(names)
            self._places.append(places)
        waiting.clear()

    def _rows(self, start, stop):
        names = self._names.read(start, stop)
        metadata = {"id": names}
        if self._placed:
            chromosome, first, strand = np.array([place.split("\t") for place in self._places.read(start, stop)]).T
            first = first.astype(np.int64)
            metadata["ranges"] = GenomicRanges(chromosome, first, first + self.length, names, strand)
        return self._codes.read(start, stop), {"metadata": metadata}


def _place(region: tuple[str, int, int, str] | None, length: int, resized: int) -> str:
    """Say where a sequence lies when it has been resized about its centre: chromosome, start, strand."""
    if region is None:
        return ""
    chromosome, start, _, strand = region
    before = length // 2 - resized // 2
    return f"{chromosome}\t{start + (length - resized - before if strand == '-' else before)}\t{strand}"

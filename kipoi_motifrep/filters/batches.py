"""Where sequences come from: batches that can be gone through more than once, and whether they are as before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from kipoi_motifrep.core.errors import InputError, flattened
from kipoi_motifrep.networks.types import Inputs


@dataclass(frozen=True, eq=False)
class Batch:
    """Sequences that go through the network together.

    Parameters
    ----------
    inputs : numpy.ndarray, list or dict of them
        The model's inputs, or the DNA alone.
    metadata : mapping
        ``ranges`` (Kipoi's GenomicRanges) or ``id``, where known.
    targets : object
        Labels as the loader gives them, where it does.
    """

    inputs: Inputs
    metadata: Mapping
    targets: object = None


class ArrayBatches:
    """Sequences in memory.

    Parameters
    ----------
    inputs : numpy.ndarray, list or dict of them, shape (n, ...)
        The model's inputs, or the DNA alone; (n, L, 4) is fine for any network.
    batch_size : int
        Sequences a batch.
    """

    def __init__(self, inputs: Inputs, batch_size: int):
        self.inputs, self.batch_size = inputs, batch_size
        self.n = len(arrays_of(inputs)[0])
        if not self.n:
            raise InputError("there are no sequences")

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, self.n, self.batch_size):
            yield Batch(over_arrays(lambda one, rows=slice(start, start + self.batch_size): one[rows], self.inputs), {})


class LoaderBatches:
    """Sequences of a Kipoi dataloader.

    Parameters
    ----------
    loader : kipoi.data.BaseDataLoader
        It must give the same sequences in the same order every time.
    batch_size : int
        Sequences a batch.
    columns : sequence of int, optional
        New order of the last axis of the inputs, for networks with another
        order of the bases than the loader.
    remake : callable, optional
        Makes the loader anew for each pass, where it can be gone through only once.

    Raises
    ------
    InputError
        While it is gone through: if the loader fails, or gives another number of sequences than before.
    """

    def __init__(
        self, loader, batch_size: int, columns: Sequence[int] | None = None, remake: Callable[[], object] | None = None
    ):
        self.loader, self.batch_size, self._columns, self._remake = loader, batch_size, columns, remake
        self._n: int | None = None

    def __len__(self) -> int:
        if not isinstance(getattr(self.loader, "n", None), int):
            raise TypeError("this loader does not say how many sequences it has")
        return -(-self.loader.n // self.batch_size)

    @property
    def n(self) -> int | None:
        """Number of sequences; None of a loader that gives none by its place."""
        if hasattr(self.loader, "batch"):  # ours
            return self.loader.n
        from kipoi.data import Dataset

        return len(self.loader) if isinstance(self.loader, Dataset) else None

    def between(self, first: int, stop: int) -> Iterator[Batch]:
        """Go through some of the batches, of a loader that gives sequences by their place.

        Parameters
        ----------
        first, stop : int
            Batches, within their number.

        Yields
        ------
        Batch
            As when all are gone through.
        """
        assert self.n is not None
        rows = range(first * self.batch_size, min(stop * self.batch_size, self.n))
        if not hasattr(self.loader, "batch"):
            yield from map(self._checked, self._loaded(sampler=rows))
            return
        for start in rows[:: self.batch_size]:
            yield self._checked(self.loader.batch(start, min(start + self.batch_size, rows.stop)))

    def _checked(self, batch: object) -> Batch:
        if not isinstance(batch, Mapping) or "inputs" not in batch:
            keys = ", ".join(map(str, batch)) if isinstance(batch, Mapping) else type(batch).__name__
            raise InputError(
                f"the dataloader gives no 'inputs' (it gives: {keys}); a Kipoi dataloader gives a dict with them"
            )
        inputs = batch["inputs"]
        return Batch(
            inputs if self._columns is None else inputs[..., self._columns],
            batch.get("metadata") or {},
            batch.get("targets"),
        )

    def __iter__(self) -> Iterator[Batch]:
        n = 0
        for batch in map(self._checked, self._loaded()):
            n += len(arrays_of(batch.inputs)[0])
            yield batch
        # A loader that is used up gives less the second time: thresholds and sums would be of other sequences.
        if self._n not in (None, n):
            raise InputError(
                f"the dataloader gave {self._n} sequences at first and {n} when gone through again; it "
                "must give the same ones every time"
            )
        self._n = n

    def _loaded(self, **options: object) -> Iterator[object]:
        loader: Any = self.loader if self._remake is None else self._remake()
        try:
            yield from loader.batch_iter(batch_size=self.batch_size, **options)
        except (InputError, MemoryError, OSError):
            raise
        except Exception as error:  # of a stranger's loader
            reason = f"{type(error).__name__}: {flattened(error)}"
            raise InputError(f"the dataloader fails ({reason}); check its arguments and files") from error


class DigestedBatches:
    """Batches that are digested while they are gone through for the first time.

    Parameters
    ----------
    batches : LoaderBatches
        The sequences.
    """

    def __init__(self, batches: LoaderBatches):
        self._batches, self._digest = batches, ""

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        # A hash for each array: batches of another size would mix the arrays' bytes in another order.
        hashers: dict[str, Any] = {}
        for batch in self._batches:
            if not self._digest:
                for name, array in (*_arrays("inputs", batch.inputs), *_arrays("targets", batch.targets)):
                    hasher = hashers.setdefault(name, hashlib.blake2b(f"{array.dtype}{array.shape[1:]}".encode()))
                    # The bytes of objects, such as texts, are addresses.
                    hasher.update(
                        repr(array.tolist()).encode()
                        if array.dtype.hasobject
                        else np.ascontiguousarray(array).tobytes()
                    )
            yield batch
        self._digest = (
            self._digest
            or hashlib.sha256(
                "".join(f"{name}{hashers[name].hexdigest()}" for name in sorted(hashers)).encode()
            ).hexdigest()
        )

    def digest(self) -> str:
        """Digest of all inputs and labels; it does not depend on the size of the batches."""
        if not self._digest:
            for _ in self:
                pass
        return self._digest


def first_batch(batches: Iterable[Batch]) -> Batch:
    """Look at the first batch.

    Parameters
    ----------
    batches : iterable of Batch
        Left as they are.

    Returns
    -------
    Batch
        The first.

    Raises
    ------
    InputError
        If there is none.
    """
    for batch in batches:
        if len(arrays_of(batch.inputs)[0]):
            return batch
    raise InputError("there are no sequences")


def ranges_of(metadata: Mapping) -> Any:
    """Give Kipoi's GenomicRanges of a batch (a dict as well as an object), or None.

    Parameters
    ----------
    metadata : mapping
        Of the batch.

    Returns
    -------
    object or None
        With ``chr``, ``start``, ``end`` and ``strand``.
    """
    ranges = metadata.get("ranges") if isinstance(metadata, Mapping) else None
    if isinstance(ranges, Mapping) and {"chr", "start", "end"} <= set(ranges):
        strand = ranges.get("strand", np.full(len(ranges["start"]), "*"))
        return SimpleNamespace(chr=ranges["chr"], start=ranges["start"], end=ranges["end"], strand=strand)
    return ranges if hasattr(ranges, "chr") else None


def ids_of(metadata: Mapping) -> np.ndarray | None:
    """Give the names of a batch's sequences, or None.

    Parameters
    ----------
    metadata : mapping
        Of the batch.

    Returns
    -------
    numpy.ndarray or None, shape (n,)

    Examples
    --------
    >>> ids_of({"id": ["peak1", "peak2"]}).tolist()
    ['peak1', 'peak2']
    """
    # Kipoi names no key for names of sequences; these are the ones that loaders use.
    for key in ("id", "ids", "name", "names"):
        if isinstance(metadata, Mapping) and metadata.get(key) is not None:
            return np.asarray(metadata[key])
    return None


def arrays_of(inputs: Inputs) -> list[np.ndarray]:
    """List a model's inputs, whatever their structure; each has the sequences on its first axis.

    Examples
    --------
    >>> [one.shape for one in arrays_of({"dna": np.zeros((5, 9, 4)), "tissue": np.zeros((5, 2))})]
    [(5, 9, 4), (5, 2)]
    """
    if isinstance(inputs, Mapping):
        return [np.asarray(one) for one in inputs.values()]
    return [np.asarray(one) for one in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]


def over_arrays(function: Callable[..., np.ndarray], *inputs: Any) -> Inputs:
    """Apply a function to a model's inputs array by array, whatever their structure; or to those of several batches.

    Parameters
    ----------
    function : callable
        From one array of each of the inputs to an array.
    *inputs : numpy.ndarray, list or dict of them
        All of one structure.

    Returns
    -------
    numpy.ndarray, list or dict of them
        Of the same structure.

    Examples
    --------
    >>> over_arrays(lambda one: one[1:3], [np.arange(4), np.arange(4) + 10])
    [array([1, 2]), array([11, 12])]
    """
    if isinstance(inputs[0], Mapping):
        return {name: function(*(np.asarray(one[name]) for one in inputs)) for name in inputs[0]}
    if isinstance(inputs[0], (list, tuple)):
        return [function(*map(np.asarray, arrays)) for arrays in zip(*inputs, strict=True)]
    return function(*map(np.asarray, inputs))


def _arrays(name: str, structure) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(structure, Mapping):
        for key in sorted(structure, key=str):
            yield from _arrays(f"{name}/{key}", structure[key])
    elif isinstance(structure, (list, tuple)):
        for place, one in enumerate(structure):
            yield from _arrays(f"{name}/{place}", one)
    elif structure is not None:
        yield name, np.asarray(structure)

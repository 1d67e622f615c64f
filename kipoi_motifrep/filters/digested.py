"""Whether sequences are the same as before: batches with a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np

from kipoi_motifrep.filters.batches import Batch, LoaderBatches


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
        hashers: dict[str, object] = {}
        for batch in self._batches:
            if not self._digest:
                for name, array in (*_arrays("inputs", batch.inputs), *_arrays("targets", batch.targets)):
                    hasher = hashers.setdefault(name, hashlib.blake2b(f"{array.dtype}{array.shape[1:]}".encode()))
                    hasher.update(repr(array.tolist()).encode() if array.dtype.hasobject
                                  else np.ascontiguousarray(array).tobytes())
            yield batch
        self._digest = self._digest or hashlib.sha256("".join(
            f"{name}{hashers[name].hexdigest()}" for name in sorted(hashers)).encode()).hexdigest()

    def digest(self) -> str:
        """Digest of all inputs and labels; it does not depend on the size of the batches."""
        if not self._digest:
            for _ in self:
                pass
        return self._digest


def _arrays(name: str, structure) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(structure, Mapping):
        for key in sorted(structure, key=str):
            yield from _arrays(f"{name}/{key}", structure[key])
    elif isinstance(structure, (list, tuple)):
        for place, one in enumerate(structure):
            yield from _arrays(f"{name}/{place}", one)
    elif structure is not None:
        yield name, np.asarray(structure)

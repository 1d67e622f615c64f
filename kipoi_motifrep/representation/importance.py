"""What each filter does to the network's predictions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from kipoi_motifrep.core.accuracy import MASKED
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.progress import progress
from kipoi_motifrep.core.tables import read_table, write_table
from kipoi_motifrep.core.workers import Workers, in_order, opened_once
from kipoi_motifrep.filters.batches import ArrayBatches, Batch, arrays_of, first_batch, over_arrays
from kipoi_motifrep.filters.sharing import SharedInputs
from kipoi_motifrep.networks.ablation import Ablation
from kipoi_motifrep.networks.types import Inputs

MOST_SEQUENCES = 20_000  # for means and correlations
MOST_BYTES = 256 << 20  # of their inputs, which are kept in memory
FORWARD_PASSES = 30_000  # filters x sequences with a filter replaced, so that time stays bounded
FEWEST_SEQUENCES = 100  # however many filters there are
BATCH_VALUES = 2 << 20  # numbers of one batch, 8 MiB: more leave the processor cache, and each pass copies them
BATCH_ACTIVATIONS = 16 << 20  # of one batch, 64 MiB, where the network is run on from fewer numbers than these
LARGEST_BATCH = 1024
OUTPUT_CORRELATION = 0.3  # of a filter with an output that it is for
OUTPUT_SHARE = 0.5  # of the filter's largest correlation
OUTPUT_CHANGE = 0.01  # standard deviations of an output's predictions


@dataclass(frozen=True, eq=False)
class Importance:
    """Effects of the filters on the outputs, and how they go together.

    Parameters
    ----------
    outputs : tuple of str
        Names of the network's outputs.
    change : numpy.ndarray, shape (n_filters, n_outputs)
        Mean absolute change of an output when all activations of a filter are set to
        their mean over the data, in the output's unit.
    signed_change : numpy.ndarray, shape (n_filters, n_outputs)
        Mean of the same change with its sign: below 0, the filter's sites raise the output.
    spread : numpy.ndarray, shape (n_outputs,)
        Standard deviation of each output's predictions.
    correlation : numpy.ndarray, shape (n_filters, n_outputs)
        Pearson correlation of a filter's largest activation in a sequence with the
        output's prediction; NaN where one of the two is constant.
    labels : tuple of str
        Names of the data's labels, as many as outputs; empty if there are none.
    label_correlation : numpy.ndarray, shape (n_filters, n_outputs), optional
        The same with each label, over the sequences where it is known.
    mean_activation : numpy.ndarray, shape (n_filters,)
        What the activations were set to.
    n_sequences, n_replaced : int
        Sequences behind means and correlations, and behind changes.
    """

    outputs: tuple[str, ...]
    change: np.ndarray
    signed_change: np.ndarray
    spread: np.ndarray
    correlation: np.ndarray
    labels: tuple[str, ...]
    label_correlation: np.ndarray | None
    mean_activation: np.ndarray
    n_sequences: int
    n_replaced: int

    def __repr__(self) -> str:
        filters, outputs = self.change.shape
        return f"<Importance of {filters} filters for {outputs} outputs, over {self.n_replaced:,} sequences>"

    @property
    def effect(self) -> np.ndarray:
        """How much each filter raises each output, shape (n_filters, n_outputs): above 0, its sites do."""
        return 0.0 - self.signed_change  # not -x, which makes a zero negative

    def outputs_for(self) -> tuple[tuple[str, ...], ...]:
        """Choose the outputs that each filter is for, the most correlated first.

        Three conditions: the filter's largest activation in a sequence correlates with
        the output's prediction by 0.3 or more; that is at least half of its highest
        correlation with any output; and setting the filter to its mean changes the output
        by 0.01 or more of the standard deviation of its predictions. (In a localist network
        redundant filters each change little, but correlate. In a distributed one, filters
        change many outputs and correlate with none: they are for none alone.)
        """
        together = np.nan_to_num(self.correlation, nan=-1.0)
        relative = np.divide(self.change, self.spread, out=np.zeros_like(self.change), where=self.spread > 0)
        chosen = (
            (together >= OUTPUT_CORRELATION)
            & (together >= OUTPUT_SHARE * together.max(axis=1, keepdims=True))
            & (relative >= OUTPUT_CHANGE)
        )
        return tuple(
            tuple(self.outputs[i] for i in np.argsort(-row, kind="stable") if passes[i])
            for row, passes in zip(together, chosen, strict=True)
        )


def measure_importance(
    ablation: Ablation,
    batches: Iterable[Batch],
    n_sequences: int,
    outputs: Sequence[str],
    labels: Sequence[str] = (),
    workers: Workers | None = None,
    shared: SharedInputs | None = None,
) -> Importance:
    """Measure what each filter does to the outputs.

    1. Take at most 20,000 sequences (and 256 MiB of them), evenly spaced over the data.
    2. Run all of them: predictions, each filter's largest activation in a sequence, and its mean activation.
       Correlate the largest activations with the predictions, and with the labels where they are known.
    3. Take at most 30,000 / n_filters of them (but at least 100), again evenly spaced. For each filter, set all its
       activations to its mean, and run the rest of the network: the change of each output is what the sites did.

    Parameters
    ----------
    ablation : Ablation
        The network.
    batches : iterable of Batch
        The data; targets are the labels (1, 0, or -1 where not known).
    n_sequences : int
        How many there are.
    outputs : sequence of str
        Names of the outputs.
    labels : sequence of str
        Names of the labels, one an output; without, labels are not looked at.
    workers, shared : optional
        Who sets the filters to their means, and what they need to open the network; without, this process does.

    Returns
    -------
    Importance
        Independent of the batches' size, up to rounding.

    Raises
    ------
    InputError
        If names are not as many as outputs, or there are no sequences.
    """
    if len(outputs) != ablation.n_outputs:
        raise InputError(f"{len(outputs)} names for {ablation.n_outputs} outputs")
    if labels and len(labels) != len(outputs):
        raise InputError(f"{len(labels)} labels for {len(outputs)} outputs")
    each = sum(array[:1].nbytes for array in arrays_of(first_batch(batches).inputs))
    n = min(n_sequences, MOST_SEQUENCES, max(1, MOST_BYTES // max(1, each)))
    inputs, targets = gather(batches, spaced(n_sequences, n))
    table = None if targets is None else targets.reshape(len(targets), -1)
    known = table if table is not None and 0 < len(labels) == table.shape[1] else None
    size = sum(bank.n_positions * bank.n_filters for bank in ablation.network.banks)
    largest = max(1, min(LARGEST_BATCH, BATCH_VALUES // size))
    maxima, predictions, mean = _pass(ablation, ArrayBatches(inputs, _even(n, largest)))
    # Time goes with filters x sequences, so fewer sequences where there are many filters.
    chosen = spaced(n, max(FEWEST_SEQUENCES, FORWARD_PASSES // ablation.n_filters))
    # A pass of few sequences is spent on what surrounds the computing.
    most = max(1, min(LARGEST_BATCH, BATCH_ACTIVATIONS // size, BATCH_VALUES // ablation.size))
    some = ArrayBatches(over_arrays(lambda array: array[chosen], inputs), _even(len(chosen), most))
    change, signed = _changes(ablation, some, mean, workers, shared)
    return Importance(
        tuple(outputs),
        change,
        signed,
        predictions.std(axis=0),
        correlations(maxima, predictions),
        tuple(labels) if known is not None else (),
        None if known is None else correlations(maxima, known, known != MASKED),
        mean,
        n,
        len(chosen),
    )


COLUMNS = (
    "filter",
    "output",
    "change",
    "signed_change",
    "correlation",
    "label",
    "label_correlation",
    "mean_activation",
    "sd_of_output",
)


def write_importance(found: Importance, names: Sequence[str], path: str | os.PathLike) -> None:
    """Write one row a filter and output.

    Parameters
    ----------
    found : Importance
        What to write.
    names : sequence of str
        Of the filters.
    path : str or path-like
        The table.
    """
    rows = []
    for i, name in enumerate(names):
        for j, output in enumerate(found.outputs):
            together = "" if found.label_correlation is None else f"{found.label_correlation[i, j]:.9g}"
            numbers = (found.change[i, j], found.signed_change[i, j], found.correlation[i, j])
            rows.append(
                (
                    name,
                    output,
                    *(f"{one:.9g}" for one in numbers),
                    found.labels[j] if found.labels else "",
                    together,
                    f"{found.mean_activation[i]:.9g}",
                    f"{found.spread[j]:.9g}",
                )
            )
    write_table(path, COLUMNS, rows)


def read_importance(
    path: str | os.PathLike, outputs: Sequence[str], labels: Sequence[str], about: Mapping[str, int]
) -> Importance:
    """Read what `write_importance` wrote.

    Parameters
    ----------
    path : str or path-like
        The table.
    outputs, labels : sequence of str
        As when it was written.
    about : mapping
        ``n_sequences`` and ``n_replaced``.

    Returns
    -------
    Importance
        With nine significant digits.
    """
    rows = read_table(path)

    def numbers(name: str) -> np.ndarray:
        return np.array([row[name] for row in rows], float).reshape(-1, len(outputs))

    known = rows[0]["label_correlation"] != ""
    return Importance(
        tuple(outputs),
        numbers("change"),
        numbers("signed_change"),
        numbers("sd_of_output")[0],
        numbers("correlation"),
        tuple(labels) if known else (),
        numbers("label_correlation") if known else None,
        numbers("mean_activation")[:, 0],
        about["n_sequences"],
        about["n_replaced"],
    )


def _even(n: int, largest: int) -> int:
    """Size of batches that are as equal as can be: smaller ones are filled up."""
    return -(-n // -(-n // largest))


def spaced(n: int, most: int) -> np.ndarray:
    """Choose at most `most` of n rows, evenly spaced.

    Examples
    --------
    >>> spaced(10, 4)
    array([0, 2, 5, 7])
    """
    most = min(n, most)
    return np.arange(most) * n // max(most, 1)


def gather(batches: Iterable[Batch], rows: np.ndarray) -> tuple[Inputs, np.ndarray | None]:
    """Put chosen rows of batches into memory.

    Parameters
    ----------
    batches : iterable of Batch
        The data.
    rows : numpy.ndarray, int
        Which, in order.

    Returns
    -------
    inputs : numpy.ndarray, list or dict of them
        As the batches have them.
    targets : numpy.ndarray, shape (rows, ...), or None
        Where the batches have an array of them.

    Raises
    ------
    InputError
        If there are no sequences.
    """
    parts: list[Inputs] = []
    targets: list[np.ndarray] = []
    start = 0
    for one in batches:
        size = len(arrays_of(one.inputs)[0])
        inside = rows[(rows >= start) & (rows < start + size)] - start
        if len(inside):
            parts.append(over_arrays(lambda array, rows=inside: array[rows], one.inputs))
            if isinstance(one.targets, np.ndarray):
                targets.append(one.targets[inside])
        start += size
        if len(rows) and start > rows[-1]:  # the rest of the data is not wanted
            break
    if not parts:
        raise InputError("there are no sequences")
    whole = over_arrays(lambda *arrays: np.concatenate(arrays), *parts)
    return whole, np.concatenate(targets) if len(targets) == len(parts) else None


def correlations(values: np.ndarray, others: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """Compute Pearson correlations of columns with columns.

    Parameters
    ----------
    values : numpy.ndarray, shape (n, F)
        One side.
    others : numpy.ndarray, shape (n, T)
        The other.
    known : numpy.ndarray of bool, shape (n, T), optional
        Entries of `others` to use.

    Returns
    -------
    numpy.ndarray, shape (F, T)
        NaN where a side is constant.

    Examples
    --------
    >>> correlations(np.array([[1.0], [2.0], [3.0]]), np.array([[2.0, 5.0], [4.0, 5.0], [6.0, 5.0]]))
    array([[ 1., nan]])
    """
    values, others = np.asarray(values, float), np.asarray(others, float)
    # Labels are not known of every sequence: each column has its own rows.
    if known is not None and not known.all():
        columns = [
            correlations(values[known[:, j]], others[known[:, j], j : j + 1])
            if known[:, j].any()
            else np.full((values.shape[1], 1), np.nan)
            for j in range(others.shape[1])
        ]
        return np.concatenate(columns, axis=1)
    one, two = values - values.mean(axis=0), others - others.mean(axis=0)
    size = np.sqrt((one**2).sum(axis=0))[:, None] * np.sqrt((two**2).sum(axis=0))
    constant = (np.ptp(values, axis=0) == 0)[:, None] | (np.ptp(others, axis=0) == 0)
    return np.divide(one.T @ two, size, out=np.full(size.shape, np.nan), where=~constant & (size > 0)).clip(-1, 1)


def _pass(ablation: Ablation, batches: ArrayBatches) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run all sequences once: largest activations, predictions, mean activation."""
    maxima, predictions, sums = [], [], []
    for batch in progress(batches, "predictions", unit="batch"):
        ablation.begin(batch.inputs)
        maxima.append(ablation.maxima())
        predictions.append(ablation.predictions())
        sums.append(ablation.sums())
    total, number = np.sum(sums, axis=0)
    return np.concatenate(maxima), np.concatenate(predictions).astype(np.float64), total / number


def _changes(
    ablation: Ablation, batches: ArrayBatches, mean: np.ndarray, workers: Workers | None, shared: SharedInputs | None
) -> tuple[np.ndarray, np.ndarray]:
    """Set each filter to its mean: mean size of the outputs' changes, and mean change."""
    items = [(batch.inputs, mean, batches.batch_size) for batch in batches]
    parts = (
        map(partial(_batch_changes, ablation), items)
        if workers is None or shared is None
        else in_order(workers.results(partial(_changed_there, shared), items))
    )
    change = signed = np.zeros((ablation.n_filters, ablation.n_outputs))
    for part in progress(parts, "importance", total=len(items), unit="batch"):
        change, signed = change + part[0], signed + part[1]
    return change / batches.n, signed / batches.n


def _batch_changes(ablation: Ablation, item: tuple[Inputs, np.ndarray, int]) -> tuple[np.ndarray, np.ndarray]:
    """Add up the changes of a batch, and their sizes."""
    inputs, mean, size = item
    change = np.zeros((ablation.n_filters, ablation.n_outputs))
    signed = np.zeros_like(change)
    ablation.begin(inputs, size)
    before = ablation.predictions().astype(np.float64)
    for one in range(ablation.n_filters):
        difference = ablation.replaced(one, mean) - before
        change[one] = np.abs(difference).sum(axis=0)
        signed[one] = difference.sum(axis=0)
    return change, signed


def _changed_there(shared: SharedInputs, item: tuple[Inputs, np.ndarray, int]) -> tuple[np.ndarray, np.ndarray]:
    return _batch_changes(opened_once(_ablation_there, shared), item)


def _ablation_there(shared: SharedInputs) -> Ablation:
    return Ablation(shared.open()[0])

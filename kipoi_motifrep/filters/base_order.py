"""The order of the bases that a network was trained with, told from evidence: ``--alphabet auto``.

A network in another order than it is given answers to the wrong letters, and nothing that is measured on it shows that.
Two things do:

1. Labels: in the right order, predictions agree with them.
2. Known motifs: in the right order, filters look like some. Filters are computed on random sequences, which are alike
   in all orders, so that another order is no more than another order of a PWM's columns.

Both give a score for each of the 24 orders, which is a mean over sequences or filters. How sure the best one is, is
how often it is the best of resampled sequences or filters. An order and its complement (ACGT and TGCA) give mirror
images of each motif, not reverse complements, and both are compared with both strands of the known ones: only motifs
that read the same from either end, such as runs of one base, fit both. So the two are told apart by the others, or not
at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice, permutations

import numpy as np

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.core.statuses import DEAD
from kipoi_motifrep.core.steps import Steps
from kipoi_motifrep.filters.batches import ArrayBatches, Batch
from kipoi_motifrep.filters.streaming import PWMRule, fitting_batch_size, network_pwms
from kipoi_motifrep.motifs.jaspar import LATEST_RELEASE, load
from kipoi_motifrep.motifs.motif import Motif
from kipoi_motifrep.motifs.tomtom import tomtom
from kipoi_motifrep.networks.model_digest import model_digest
from kipoi_motifrep.networks.network import Network

ORDERS = tuple(map("".join, permutations(BASES)))
COLUMNS = [[BASES.index(base) for base in order] for order in ORDERS]
ORDER_STEP = "order of the bases"
CLEAR = 0.95  # of the resamples, in which an order must be the best
RESAMPLES = 400
ROUNDING = 1e-6
LABELLED = 500  # sequences to predict
RANDOM_BASES = 400_000  # of random sequences
FEWEST, MOST = 5, 64  # filters to go by
EVALUE = 0.1  # of what is called a match
WORST_EVALUE, BEST_EVALUE = 10.0, 1e-6  # beyond which one filter counts no more


def tell_order(network: Network, batches: Iterable[Batch] | None = None) -> tuple[str, str]:
    """Tell the order of the bases.

    Parameters
    ----------
    network : Network
        Opened with the order ACGT.
    batches : iterable of Batch, optional
        Sequences in the order ACGT, with their labels if there are any.

    Returns
    -------
    order : str
        The order.
    evidence : str
        Why, and how sure that is.

    Raises
    ------
    InputError
        If the evidence is not clear.

    Examples
    --------
    >>> from torch import nn
    >>> from kipoi_motifrep import open_network
    >>> tell_order(open_network(nn.Sequential(nn.Conv1d(4, 3, 5), nn.ReLU()), length=20))
    Traceback (most recent call last):
    kipoi_motifrep.core.errors.InputError: the order of the bases cannot be told (of filters that are active, there \
are 3, and 5 are needed); give it by alphabet=ORDER: ACGT is the usual one
    """
    unclear = []
    for evidence in (_by_labels, _by_motifs):  # labels say more, where there are any
        found = evidence(network, batches)
        if isinstance(found, str):
            unclear.append(found)
        elif found is not None:
            following, best = np.argsort(found.scores)[-2:].tolist()
            # More than rounding ahead of all others: mirror images may be as good, and are no proof.
            ahead = found.resampled[:, best] > np.delete(found.resampled, best, axis=1).max(axis=1) + ROUNDING
            order, sure = ORDERS[best], float(ahead.mean())
            said = f"{found.said(best, following)}; {order} is the best of {sure:.0%} of {RESAMPLES} resamples"
            if sure >= CLEAR:
                return order, f"the order of the bases, {order}, is told by {said}"
            unclear.append(said)
    raise InputError(
        f"the order of the bases cannot be told ({'; '.join(unclear)}); "
        "give it by alphabet=ORDER: ACGT is the usual one"
    )


def recorded_order(steps: Steps, network: Network, batches: Iterable[Batch] | None = None) -> tuple[str, str]:
    """Tell the order of the bases, or read what a run before this one told from the same evidence.

    Parameters
    ----------
    steps : Steps
        Where it is recorded.
    network, batches
        As for `tell_order`.

    Returns
    -------
    order, evidence : str
        As `tell_order` gives them.

    Raises
    ------
    InputError
        If the evidence is not clear.
    """
    key = {
        "model": model_digest(network.source),
        "banks": network.describe(),
        "database": LATEST_RELEASE,
        "data": [hashlib.sha256(one.tobytes()).hexdigest() for one in _labelled(network, batches) or ()],
    }
    found = steps.step(
        ORDER_STEP,
        key,
        [],
        read=lambda about: (about["order"], about["evidence"]),
        make=lambda: tell_order(network, batches),
        write=lambda _: None,
        about=lambda made: dict(zip(("order", "evidence"), made, strict=True)),
        said=ORDER_STEP,
    )
    assert found is not None
    return found


@dataclass(frozen=True, eq=False)
class _Evidence:
    """Scores of the orders, (24,) and (resamples, 24), and what they are, said of the best two of them."""

    scores: np.ndarray
    resampled: np.ndarray
    said: Callable[[int, int], str]


def _labelled(network: Network, batches: Iterable[Batch] | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Take the sequences, (n, L, 4), whose labels are looked at, and these; None where there are none."""
    inputs, labels = [], []
    n = 0
    for batch in batches or ():
        if not isinstance(batch.targets, np.ndarray):
            return None
        inputs.append(network.layout.to_one_hot(network.dna(batch.inputs)))
        labels.append(batch.targets.reshape(len(batch.targets), -1))
        n += len(labels[-1])
        if n >= LABELLED:
            break
    return (np.concatenate(inputs)[:LABELLED], np.concatenate(labels)[:LABELLED].astype(float)) if n else None


def _by_labels(network: Network, batches: Iterable[Batch] | None) -> _Evidence | None:
    """Correlate predictions with labels in each order; None where there are none that belong to the outputs."""
    found = _labelled(network, batches)
    if found is None:
        return None
    one_hot, known = found
    predicted, size = [], fitting_batch_size(network)
    for columns in COLUMNS:
        outputs = []
        for start in range(0, len(one_hot), size):
            part = network.arrays(network.layout.from_one_hot(one_hot[start : start + size, :, columns]))
            outputs.append(np.concatenate([one.reshape(len(one), -1) for one in network.source.predict(part)], axis=1))
        predicted.append(np.concatenate(outputs))
    if predicted[0].shape != known.shape:
        return None
    # Correlations of resampled sequences are those with weights: how often each was drawn.
    weights = np.concatenate([np.ones((1, len(known))), _drawn(len(known))])
    scores, *resampled = _correlations(np.array(predicted, float), known, weights)

    def said(best: int, following: int) -> str:
        return (
            f"the labels of {len(one_hot)} sequences: predictions correlate with them by {scores[best]:.2f}, in "
            f"{ORDERS[following]}, the next best, by {scores[following]:.2f}"
        )

    return _Evidence(scores, np.array(resampled), said)


def _correlations(predicted: np.ndarray, known: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over the outputs of weighted correlations, shape (weights, orders); outputs that do not vary count 0."""
    weights = weights / weights.sum(axis=1, keepdims=True)
    known = np.nan_to_num(known)
    mean = np.einsum("rn,nt->rt", weights, known)
    spread = np.einsum("rn,nt->rt", weights, known**2) - mean**2
    result = np.empty((len(weights), len(predicted)))
    for order, one in enumerate(predicted):
        own = np.einsum("rn,nt->rt", weights, one)
        own_spread = np.einsum("rn,nt->rt", weights, one**2) - own**2
        together = np.einsum("rn,nt->rt", weights, one * known) - own * mean
        size = np.sqrt(np.maximum(spread * own_spread, 0))
        result[:, order] = np.divide(together, size, out=np.zeros_like(size), where=size > 1e-12).mean(axis=1)
    return result


def _by_motifs(network: Network, _: object) -> _Evidence | str:
    """Match the filters in each order with JASPAR; text where there are too few filters."""
    random = np.random.default_rng(0)
    n = max(2, RANDOM_BASES // network.length)
    sequences = np.eye(4, dtype=np.float32)[random.integers(0, 4, (n, network.length))]
    batches = ArrayBatches(network.layout.from_one_hot(sequences), fitting_batch_size(network))
    found = network_pwms(network, batches, PWMRule())
    motifs = [
        motif
        for bank in found
        for motif, status in zip(bank.motifs(trimmed=True), bank.status, strict=True)
        if status != DEAD and motif.width > 1
    ]
    chosen = list(islice(motifs, 0, None, -(-len(motifs) // MOST) or 1))
    if len(chosen) < FEWEST:
        return f"of filters that are active, there are {len(chosen)}, and {FEWEST} are needed"
    database = load(LATEST_RELEASE, "CORE", None)
    # A column of the network is another base in each order: what the network calls A is order[0].
    relabelled = [
        Motif(motif.name, motif.pwm[:, np.argsort(columns)], nsites=motif.nsites)
        for columns in COLUMNS
        for motif in chosen
    ]
    hits = tomtom(relabelled, database, evalue=WORST_EVALUE, qvalues=False)
    best_evalue = np.full(len(relabelled), WORST_EVALUE)
    np.minimum.at(best_evalue, hits["query"], hits["e_value"])
    values = best_evalue.reshape(len(ORDERS), -1)
    matched = (values <= EVALUE).sum(axis=1)
    strength = -np.log10(np.maximum(values, BEST_EVALUE))

    def said(best: int, following: int) -> str:
        return (
            f"matches with {database.release}: {matched[best]} of {len(chosen)} filters have one, in "
            f"{ORDERS[following]}, the next best, {matched[following]}"
        )

    return _Evidence(strength.mean(axis=1), _drawn(len(chosen)) @ strength.T / len(chosen), said)


def _drawn(n: int) -> np.ndarray:
    """How often each of n is drawn in each resample, shape (resamples, n)."""
    return np.random.default_rng(1).multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(float)

"""Sequences to plant motifs in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from kipoi_motifrep.filters.batches import Batch
from kipoi_motifrep.networks.network import Network, named_inputs
from kipoi_motifrep.representation.importance import gather, spaced
from kipoi_motifrep.sequences.shuffling import dinucleotide_shuffle


@dataclass(frozen=True, eq=False)
class Backgrounds:
    """Sequences to plant in.

    Parameters
    ----------
    codes : numpy.ndarray of uint8, shape (n, L)
        0 to 3 for A, C, G, T; 4 for no base.
    description : str
        What they are, in words.
    others : mapping of str to numpy.ndarray, shape (n, ...), optional
        The network's other inputs, by name: those of the sequence that each background comes from.
    """

    codes: np.ndarray
    description: str
    others: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """How many."""
        return len(self.codes)


def shuffled_backgrounds(
    network: Network, batches: Iterable[Batch], n_sequences: int, n: int, seed: int = 0
) -> Backgrounds:
    """Make backgrounds of the user's sequences, evenly spaced over them, their dinucleotides kept.

    Parameters
    ----------
    network : Network
        The network.
    batches : iterable of Batch
        The sequences.
    n_sequences : int
        How many there are.
    n : int
        How many are wanted; where there are fewer sequences, each is shuffled several times.
    seed : int, default 0
        Of the shuffles.

    Returns
    -------
    Backgrounds
        With the network's other inputs, where the batches have them.
    """
    backgrounds = given_backgrounds(network, batches, n_sequences, n, "")
    rows = np.arange(n) % backgrounds.n
    codes = dinucleotide_shuffle(backgrounds.codes[rows], np.random.default_rng([seed, 0]))
    return Backgrounds(
        codes,
        f"{n} sequences: {min(n, backgrounds.n)} of the data, shuffled with their dinucleotides kept",
        {name: one[rows] for name, one in backgrounds.others.items()},
    )


def given_backgrounds(
    network: Network, batches: Iterable[Batch], n_sequences: int, n: int, description: str
) -> Backgrounds:
    """Take at most `n` sequences as they are, evenly spaced; see `shuffled_backgrounds`.

    Parameters
    ----------
    network, batches, n_sequences, n
        As for `shuffled_backgrounds`.
    description : str
        What they are, in words.

    Returns
    -------
    Backgrounds
    """
    inputs, _ = gather(batches, spaced(n_sequences, n))
    named = named_inputs(inputs, list(network.input_shapes), network.input_name)
    others = {name: np.asarray(one) for name, one in named.items() if name != network.input_name}
    return Backgrounds(network.codes(inputs), description, others)

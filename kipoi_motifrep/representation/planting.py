"""Motifs planted in background sequences: what each does to every output of a network.

Global importance analysis (Koo, Majdandzic, Ploenzke, Anand & Paul 2021, PLOS Comput Biol 17:e1008925), motif by motif:

1. Take background sequences, and the network's outputs for them, before the sigmoid or softmax.
2. Write a motif's site into every one of them, and run the network again. The mean difference is what the motif does
   when it is there; since each planted sequence is compared with its own background, what else is in the background
   cancels. Its standard error says how much another draw of backgrounds would give.
3. So for sites drawn from the PWM and for the consensus, at the centre and anywhere, on both strands, once and more.
4. Two motifs together, along their distance: the difference with both, less the differences with either alone, is
   their interaction; 0 where they act independently of each other.

Sites and places are drawn once and used for all motifs, so that a motif's result does not depend on which others are
planted with it, nor on the size of the batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from kipoi_motifrep.core.ahead import ahead
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.progress import counted, progress
from kipoi_motifrep.core.workers import Workers, in_order, opened_once
from kipoi_motifrep.filters.sharing import SharedNetwork
from kipoi_motifrep.filters.streaming import fitting_batch_size
from kipoi_motifrep.motifs import Motif
from kipoi_motifrep.motifs.logos import information_logo
from kipoi_motifrep.motifs.notebook import axes_of, data_frame, html_table
from kipoi_motifrep.networks.logits import Logits
from kipoi_motifrep.representation.backgrounds import Backgrounds

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

COLUMNS = ("motif", "form", "place", "orientation", "copies", "output", "unit", "change", "error")
SAMPLED, CONSENSUS = "sampled", "consensus"
CENTRE, ANYWHERE = "centre", "anywhere"
FORMS, PLACES = (SAMPLED, CONSENSUS), (CENTRE, ANYWHERE)
MOST_COPIES = 4
# Bases from centre to centre of two motifs, on either side: closer where they are near, since there they may touch.
DISTANCES = (8, 12, 16, 20, 25, 32, 40, 60, 80, 120, 200)
FEWEST_BACKGROUNDS, MOST_BACKGROUNDS = 8, 64
TELLING = 1e-4  # p-value (t-test) of an interaction that is told: thousands of places and outputs are looked at
_KEPT = 255  # code of a position of a site where the background's base stays


@dataclass(frozen=True)
class Way:
    """One way of planting a motif.

    Parameters
    ----------
    form : {"sampled", "consensus"}
        A site drawn from the PWM for each background; or the most probable base of each position, and the background's
        own where the IUPAC consensus is N.
    place : {"centre", "anywhere"}
        At the centre of the sequence, or at a place drawn for each background.
    orientation : {"+", "-"}
        As the motif reads, or its reverse complement.
    copies : int
        How many, without overlap.
    """

    form: str
    place: str
    orientation: str
    copies: int = 1


WAYS = (
    *(Way(form, CENTRE, orientation) for form in FORMS for orientation in "+-"),
    *(Way(SAMPLED, ANYWHERE, orientation) for orientation in "+-"),
    *(Way(SAMPLED, ANYWHERE, "+", copies) for copies in range(2, MOST_COPIES + 1)),
)
"""All ways, the plainest first."""


@dataclass(frozen=True, eq=False)
class Interaction:
    """Two motifs planted together, along their distance.

    Parameters
    ----------
    first, second : str
        Names of the motifs: the first at the centre, forward; the second beside it.
    orientation : {"+", "-"}
        Of the second.
    distances : numpy.ndarray of int, shape (D,)
        Bases from the first's centre to the second's; below 0, the second lies before the first.
    interaction, error : numpy.ndarray, shape (D, n_outputs)
        Mean change with both less those with each alone, and its standard error.
    """

    first: str
    second: str
    orientation: str
    distances: np.ndarray
    interaction: np.ndarray
    error: np.ndarray

    def __repr__(self) -> str:
        return (
            f"<Interaction of {self.first} and {self.second} ({self.orientation}) at {len(self.distances)} distances>"
        )

    def plot(self, output: int = 0, ax: Axes | None = None) -> Axes:
        """Draw the interaction along the distance, with its standard errors.

        Parameters
        ----------
        output : int, default 0
            On which output.
        ax : matplotlib.axes.Axes, optional
            New ones by default.

        Returns
        -------
        matplotlib.axes.Axes
        """
        axes = axes_of(ax)
        for side in (self.distances < 0, self.distances > 0):  # no line across the first motif
            axes.errorbar(self.distances[side], self.interaction[side, output], self.error[side, output], color="C0")
        axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        axes.set(
            xlabel=f"bases from {self.first} to {self.second} ({self.orientation})", ylabel="together less either alone"
        )
        return axes


@dataclass(frozen=True, eq=False)
class Planted:
    """What planted motifs do to a network's outputs.

    Parameters
    ----------
    motifs : tuple of Motif
        What was planted.
    outputs : tuple of str
        Names of the network's outputs.
    units : tuple of str
        What the changes of each output are in; see `Logits`.
    n_backgrounds : int
        Sequences that each motif was planted in.
    backgrounds : str
        What they are, in words.
    baseline : numpy.ndarray, shape (n_outputs,)
        Mean of each output over the backgrounds.
    change, error : numpy.ndarray, shape (n_motifs, n_ways, n_outputs)
        Mean change of each output, and its standard error, for each of `WAYS`; NaN where so many copies do not fit.
    interactions : tuple of Interaction
        Of the strongest motifs, in pairs.

    Examples
    --------
    A network that counts AC:

    >>> import keras
    >>> from keras.layers import Conv1D, Dense, Flatten
    >>> from kipoi_motifrep import open_network
    >>> network = keras.Sequential([keras.Input((20, 4)), Conv1D(1, 2, activation="relu"), Flatten(), Dense(1)])
    >>> weights = np.eye(4)[[0, 1]].reshape(2, 4, 1), [-1], np.ones((19, 1)), [0]
    >>> network.set_weights([np.array(one) for one in weights])
    >>> backgrounds = Backgrounds(np.full((5, 20), 3, np.uint8), "T alone")
    >>> logits = Logits(open_network(network))
    >>> found = plant_motifs(logits, [Motif("AC", np.eye(4)[[0, 1]])], backgrounds, ["count"])
    >>> found.change[0, :, 0].round(3).tolist()
    [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 2.0, 3.0, 4.0]
    """

    motifs: tuple[Motif, ...]
    outputs: tuple[str, ...]
    units: tuple[str, ...]
    n_backgrounds: int
    backgrounds: str
    baseline: np.ndarray
    change: np.ndarray
    error: np.ndarray
    interactions: tuple[Interaction, ...] = ()

    @classmethod
    def nothing(cls, outputs: Sequence[str], units: Sequence[str]) -> Planted:
        """Give the result of planting no motif."""
        none = np.zeros((0, len(WAYS), len(outputs)))
        return cls((), tuple(outputs), tuple(units), 0, "no sequences", np.zeros(len(outputs)), none, none)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the motifs."""
        return tuple(motif.name for motif in self.motifs)

    def __repr__(self) -> str:
        motifs, outputs = counted(len(self.motifs), "motif"), counted(len(self.outputs), "output")
        return f"<Planted: {motifs} in {self.backgrounds}; {outputs}>"

    def _repr_html_(self) -> str:
        rows = []
        for motif, (forward, backward), errors in zip(self.motifs, self.change[:, :2], self.error, strict=True):
            j = int(np.abs(forward).argmax())
            numbers = f"{forward[j]:+.2f} ± {errors[0, j]:.2f}", f"{backward[j]:+.2f} ± {errors[1, j]:.2f}"
            rows.append((motif.name, information_logo(motif), self.outputs[j], *numbers, self.units[j]))
        header = ("motif", "logo", "output that changes most", "forward", "reversed", "unit")
        return html_table(repr(self)[1:-1], header, rows)

    def to_frame(self) -> pandas.DataFrame:
        """Give the table as a DataFrame: a row for each motif, way and output, columns as in ``planted.tsv``.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        return data_frame(COLUMNS, self.table())

    def plot(self, motif: str, ax: Axes | None = None) -> Axes:
        """Draw what one motif does to every output, on both strands, with standard errors.

        Parameters
        ----------
        motif : str
            Its name.
        ax : matplotlib.axes.Axes, optional
            New ones by default.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        InputError
            If no motif has this name.
        """
        if motif not in self.names:
            raise InputError(f"no motif {motif!r} was planted; there are {', '.join(self.names[:10])}")
        axes, one, places = axes_of(ax), self.names.index(motif), np.arange(len(self.outputs))
        for j, (label, shift) in enumerate((("forward", -0.15), ("reversed", 0.15))):
            axes.errorbar(self.change[one, j], places + shift, xerr=self.error[one, j], fmt="o", label=label)
        axes.axvline(0, color="0.7", linewidth=0.8, zorder=0)
        axes.set_yticks(places, self.outputs)
        axes.invert_yaxis()
        axes.set(xlabel=f"change of the {', '.join(dict.fromkeys(self.units))}", title=motif)
        axes.legend()
        return axes

    def table(self) -> list[tuple]:
        """Rows of ``planted.tsv``: one for each motif, way and output, where the way fits."""
        return [
            (motif, way.form, way.place, way.orientation, way.copies, output, unit, _digits(change), _digits(error))
            for motif, changes, errors in zip(self.names, self.change, self.error, strict=True)
            for way, of_way, its_errors in zip(WAYS, changes, errors, strict=True)
            for output, unit, change, error in zip(self.outputs, self.units, of_way, its_errors, strict=True)
            if not np.isnan(change)
        ]

    def pair_table(self) -> list[tuple]:
        """Rows of ``planted_pairs.tsv``: one for each pair, distance and output."""
        return [
            (one.first, one.second, one.orientation, int(distance), output, unit, _digits(value), _digits(error))
            for one in self.interactions
            for distance, values, errors in zip(one.distances, one.interaction, one.error, strict=True)
            for output, unit, value, error in zip(self.outputs, self.units, values, errors, strict=True)
        ]

    def partner(self, name: str) -> tuple[Interaction, int] | None:
        """Find the other motif that one interacts with most.

        Parameters
        ----------
        name : str
            A motif.

        Returns
        -------
        interaction : Interaction
            With that motif first; of one where it is second, seen from there.
        output : int
            On which they interact most.
            None where no interaction is telling: p of 1e-4 by Student's t-test over the backgrounds.
        """
        own = [one for one in self.interactions if name in (one.first, one.second)]
        if not own:  # few motifs are planted in pairs
            return None
        from scipy.stats import t

        best, largest = None, 0.0
        errors = t.isf(TELLING / 2, max(1, self.n_backgrounds - 1))  # four with 64 backgrounds, eight with 8
        for one in own:
            if one.second == name and one.orientation == "+":
                one = Interaction(
                    one.second, one.first, "+", -one.distances[::-1], one.interaction[::-1], one.error[::-1]
                )
            size = np.where(np.abs(one.interaction) >= errors * one.error, np.abs(one.interaction), 0.0)
            if one.first == name and size.max(initial=0) > largest:
                largest, best = float(size.max()), (one, int(size.max(axis=0).argmax()))
        return best


def plant_motifs(
    logits: Logits,
    motifs: Sequence[Motif],
    backgrounds: Backgrounds,
    outputs: Sequence[str],
    *,
    partners: int = 0,
    distances: Sequence[int] = DISTANCES,
    seed: int = 0,
    batch_size: int | None = None,
    workers: Workers | None = None,
    shared: SharedNetwork | None = None,
) -> Planted:
    """Plant motifs in every way, and the strongest ones in pairs.

    Parameters
    ----------
    logits : Logits
        The network.
    motifs : sequence of Motif
        What to plant; names are unique.
    backgrounds : Backgrounds
        In what.
    outputs : sequence of str
        Names of the outputs.
    partners : int, default 0
        How many of the strongest motifs are planted in pairs, too.
    distances : sequence of int
        Bases between the centres of two, on either side, where they fit.
    seed : int, default 0
        Of sites and places.
    batch_size : int, optional
        Sequences a batch; chosen by the size of the feature map by default. It does not change the result.
    workers, shared : optional
        Who runs the network, and what they need to open it; without, this process does.

    Returns
    -------
    Planted

    Raises
    ------
    InputError
        If there are no motifs or backgrounds, names are not as many as outputs, or a motif is wider than the sequences.
    """
    length = backgrounds.codes.shape[1]
    if not motifs or not backgrounds.n:
        raise InputError("there are no motifs to plant" if not motifs else "there are no sequences to plant motifs in")
    if len(outputs) != logits.n_outputs:
        raise InputError(f"{len(outputs)} names for {logits.n_outputs} outputs")
    if wide := [motif for motif in motifs if motif.width > length]:
        raise InputError(
            f"motif {wide[0].name} is {wide[0].width} bases wide, more than the sequences, which have {length}; "
            "trim it, or leave it out"
        )
    draws = _Draws(backgrounds, max(motif.width for motif in motifs), seed)
    run = _Run(logits, backgrounds, batch_size or fitting_batch_size(logits.network), workers, shared)
    base = next(run([backgrounds.codes]))
    change = np.full((len(motifs), len(WAYS), len(outputs)), np.nan)
    error = change.copy()
    todo = [
        (i, j, way)
        for i, motif in enumerate(motifs)
        for j, way in enumerate(WAYS)
        if way.copies * motif.width <= length
    ]
    planted = (draws.planted(motifs[i], way) for i, _, way in todo)
    watched = progress(zip(todo, run(planted), strict=True), "planting", total=len(todo), unit="way")
    for (i, j, _), values in watched:
        change[i, j], error[i, j] = _mean_and_error(values - base)
    chosen = strongest(change[:, :2], partners)
    return Planted(
        tuple(motifs),
        tuple(outputs),
        logits.units,
        backgrounds.n,
        backgrounds.description,
        base.mean(axis=0),
        change,
        error,
        tuple(_interactions(run, draws, [motifs[i] for i in chosen], base, distances)) if len(chosen) > 1 else (),
    )


def n_backgrounds(
    n_motifs: int, length: int, sequences: int, partners: int = 0, distances: Sequence[int] = DISTANCES
) -> int:
    """Choose the number of backgrounds such that a number of sequences goes through the network.

    64 where that allows it, and never fewer than 8. The standard error goes with one over the square root: of an
    effect whose size varies between backgrounds by half of itself, it is a sixteenth of the effect with 64, and below
    a fifth with 8; so either tells effects apart that matter, and the error is given with each.

    Parameters
    ----------
    n_motifs : int
        How many are planted.
    length : int
        Of the sequences, in bases.
    sequences : int
        How many may go through the network.
    partners, distances
        As for `plant_motifs`.

    Returns
    -------
    int

    Examples
    --------
    >>> n_backgrounds(10, 200, 20_000), n_backgrounds(300, 200, 20_000)
    (64, 8)
    """
    k = min(partners, n_motifs)
    pairs = 2 * 2 * sum(one < length / 2 for one in distances) * (max(0, k - 1) + k * (k - 1) // 2)
    blocks = max(1, n_motifs * len(WAYS) + pairs)
    return int(np.clip(sequences // blocks, FEWEST_BACKGROUNDS, MOST_BACKGROUNDS))


def strongest(change: np.ndarray, n: int) -> list[int]:
    """Choose the strongest motifs: first the strongest of each output, so that they are not all of one kind.

    Parameters
    ----------
    change : numpy.ndarray, shape (n_motifs, n_ways, n_outputs)
        Their effects.
    n : int
        How many to choose.

    Returns
    -------
    list of int
        At most `n`, in the order of the motifs.

    Examples
    --------
    >>> strongest(np.array([[[5.0, 0.1]], [[4.0, 0.2]], [[0.3, 1.0]]]), 2)
    [0, 2]
    """
    size = np.nan_to_num(np.abs(change)).max(axis=1)
    best, largest = size.argmax(axis=0), size.max(axis=0)
    of_outputs = [int(best[output]) for output in np.argsort(-largest, kind="stable")]
    anyhow = np.argsort(-size.max(axis=1), kind="stable").tolist()
    return sorted(islice(dict.fromkeys([*of_outputs, *anyhow]), n))


class _Draws:
    """Sites and places for every background, the same for all motifs."""

    def __init__(self, backgrounds: Backgrounds, widest: int, seed: int):
        self.codes, (n, self.length) = backgrounds.codes, backgrounds.codes.shape
        # A stream of its own for each: how many numbers one needs does not change the others.
        streams = [np.random.default_rng([seed, 1, number]) for number in range(MOST_COPIES + 1)]
        self._sites = [stream.random((widest, n)) for stream in streams[1:]]
        self._places, self._order = streams[0].random((2, MOST_COPIES, n))

    def site(self, motif: Motif, form: str, copy: int = 0) -> np.ndarray:
        """Codes of a site for every background, shape (n, width)."""
        if form == CONSENSUS:
            codes = motif.pwm.argmax(axis=1).astype(np.uint8)
            codes[[letter == "N" for letter in motif.consensus]] = _KEPT
            return np.tile(codes, (len(self.codes), 1))
        below = motif.pwm.cumsum(axis=1) / motif.pwm.sum(axis=1, keepdims=True)
        return (self._sites[copy][: motif.width, :, None] >= below[:, None, :3]).sum(axis=2).T.astype(np.uint8)

    def starts(self, width: int) -> np.ndarray:
        """Places without overlap, in random order, shape (n, copies); as many copies as fit, at most four."""
        copies = min(MOST_COPIES, self.length // width)
        free = self.length - copies * width
        before = np.sort(np.floor(self._places[:copies] * (free + 1)).astype(int), axis=0)
        starts = before + width * np.arange(copies)[:, None]
        return np.take_along_axis(starts, np.argsort(self._order[:copies], axis=0), axis=0).T

    def centred(self, width: int, distance: int = 0) -> int:
        """Start of a motif whose centre is so far from that of the sequence."""
        return self.length // 2 + distance - width // 2

    def planted(self, motif: Motif, way: Way) -> np.ndarray:
        """Plant a motif in all backgrounds, shape (n, L)."""
        codes = self.codes.copy()
        anywhere = self.starts(motif.width) if way.place == ANYWHERE else None
        for copy in range(way.copies):
            start = self.centred(motif.width) if anywhere is None else anywhere[:, copy]
            put(codes, self.site(motif, way.form, copy), start, way.orientation)
        return codes


def put(codes: np.ndarray, sites: np.ndarray, start: int | np.ndarray, orientation: str = "+") -> None:
    """Write a site into each sequence, in place.

    Parameters
    ----------
    codes : numpy.ndarray of uint8, shape (n, L)
        The sequences.
    sites : numpy.ndarray of uint8, shape (n, width)
        What to write; where it is no base, the sequence's own stays.
    start : int or numpy.ndarray of int, shape (n,)
        Where to.
    orientation : {"+", "-"}
        As they are, or their reverse complements.

    Examples
    --------
    >>> codes = np.zeros((1, 6), np.uint8)
    >>> put(codes, np.array([[1, 3, 3]], np.uint8), 2, "-")
    >>> codes
    array([[0, 0, 0, 0, 2, 0]], dtype=uint8)
    """
    if orientation == "-":
        sites = np.where(sites < 4, 3 - sites, sites)[:, ::-1]
    rows = np.arange(len(codes))[:, None]
    columns = np.reshape(start, (-1, 1)) + np.arange(sites.shape[1])
    codes[rows, columns] = np.where(sites < 4, sites, codes[rows, columns])


class _Run:
    """Runs blocks of sequences, each a planted copy of all backgrounds, as many together as a batch holds."""

    def __init__(
        self,
        logits: Logits,
        backgrounds: Backgrounds,
        batch_size: int,
        workers: Workers | None,
        shared: SharedNetwork | None,
    ):
        self._logits, self._backgrounds, self._size = logits, backgrounds, batch_size
        self._workers, self._shared = workers, shared

    def __call__(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Give the outputs of one block after the other, shape (n, n_outputs)."""
        n, waiting = self._backgrounds.n, iter(blocks)
        groups = iter(lambda: list(islice(waiting, max(1, self._size // n))), [])
        joined, settings = map(np.concatenate, groups), (self._backgrounds.others, n, self._size)
        results = (
            ahead(partial(_outputs, self._logits, *settings), joined)
            if self._workers is None or self._shared is None
            else in_order(self._workers.results(partial(_outputs_there, self._shared, *settings), list(joined)))
        )
        for found in results:
            yield from found.reshape(-1, n, found.shape[1])


def _outputs(
    logits: Logits, others: Mapping[str, np.ndarray], n: int, batch_size: int, codes: np.ndarray
) -> np.ndarray:
    """Run planted copies of all n backgrounds, batch by batch: shape (len(codes), n_outputs)."""
    network, parts = logits.network, []
    for start in range(0, len(codes), batch_size):
        rows = np.arange(start, min(start + batch_size, len(codes)))
        inputs = {name: one[rows % n] for name, one in others.items()}
        parts.append(logits({network.input_name: network.layout.encode(codes[rows]), **inputs}))
    return np.concatenate(parts)


def _outputs_there(shared: SharedNetwork, *given: Any) -> np.ndarray:
    return _outputs(opened_once(_logits_there, shared), *given)


def _logits_there(shared: SharedNetwork) -> Logits:
    return Logits(shared.open())


def _digits(value: float) -> float:
    """Round to six significant digits, as a table holds them."""
    return float(f"{value:.6g}")


def _mean_and_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the backgrounds, and its standard error; NaN with one background."""
    n = len(values)
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(values.shape[1], np.nan)


def _interactions(
    run: _Run, draws: _Draws, motifs: Sequence[Motif], base: np.ndarray, distances: Sequence[int]
) -> Iterator[Interaction]:
    """Plant every two motifs together: the first at the centre, the second at all distances."""
    alone = list(run(draws.planted(motif, WAYS[0]) for motif in motifs))
    signed = sorted({sign * abs(one) for one in distances for sign in (-1, 1)})
    # The second alone is the same beside whichever first: each place of it is run once, followed by all pairs there.
    todo: list[tuple[int | None, int, str, int]] = []
    for second in range(1, len(motifs)):
        for orientation in "+-":
            for distance in signed:
                start = draws.centred(motifs[second].width, distance)
                if start < 0 or start + motifs[second].width > draws.length:
                    continue
                beside: list[int | None] = []
                for one in range(second):
                    own = draws.centred(motifs[one].width)
                    if start >= own + motifs[one].width or start + motifs[second].width <= own:
                        beside.append(one)
                if beside:
                    todo += [(first, second, orientation, distance) for first in [None, *beside]]

    def planted() -> Iterator[np.ndarray]:
        for first, second, orientation, distance in todo:
            codes = draws.codes.copy() if first is None else draws.planted(motifs[first], WAYS[0])
            site = draws.site(motifs[second], SAMPLED, 1)  # drawn for itself, not as the first's
            put(codes, site, draws.centred(motifs[second].width, distance), orientation)
            yield codes

    found: dict[tuple[int, int, str], list[tuple[int, np.ndarray, np.ndarray]]] = {}
    its_own = base
    watched = progress(zip(todo, run(planted()), strict=True), "pairs", total=len(todo), unit="place")
    for (first, second, orientation, distance), values in watched:
        if first is None:
            its_own = values
        else:
            mean, error = _mean_and_error(values - alone[first] - its_own + base)
            found.setdefault((first, second, orientation), []).append((distance, mean, error))
    for (one, other, strand), rows in sorted(found.items()):
        along, means, errors = zip(*rows, strict=True)
        yield Interaction(
            motifs[one].name, motifs[other].name, strand, np.array(along), np.array(means), np.array(errors)
        )

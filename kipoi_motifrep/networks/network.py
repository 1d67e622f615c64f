"""A network whose filters can be looked at: found once, then run batch by batch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from kipoi_motifrep.core.errors import InputError, first_line
from kipoi_motifrep.core.letters import BASES
from kipoi_motifrep.networks.activations import Chain, find_activations
from kipoi_motifrep.networks.layout import FLAT, MOST_CHANNELS, Layout, bases_among, first_channel, layouts
from kipoi_motifrep.networks.measuring import FeatureMap, Lay, Reading, one_hot, read_deeper, read_first
from kipoi_motifrep.networks.source import PROBE, ForwardPass, OtherWay, Source, Unreadable
from kipoi_motifrep.networks.types import FilterBank, Inputs

USUAL = "4L L4 41L 14L L14 1L4 L41 4L1"  # axes to try where nothing says them, the likeliest first
# Reasons of the trials that got furthest.
FURTHEST: tuple[str | tuple[str, ...], ...] = ("it cannot take sequences of ", ("layer ", "its forward pass "))
SHOWN = 3  # reasons, of the likeliest trials
# What a framework says where another choice, or another network, is needed.
SAID = {
    "[Ee]mbedding|indices|do not take one-hot": "it takes the numbers of bases or words; one that takes one-hot "
    "sequences is needed",
    "required positional argument": "it takes several inputs: give all of them, by sequences=[...] in Python, or a "
    "Kipoi model with its loader",
    r"to have \d+ channels, but got 4 ": "if it takes signals beside the bases, say which four channels are these by "
    "dna_channels=A:B, like 0:4",
}
DEFAULT_LENGTH = 1000  # bases, where neither the model nor the data say


@dataclass(frozen=True, eq=False)
class Use:
    """One use of a bank's convolution, and where its activations are.

    Parameters
    ----------
    bank : int
        Which bank.
    place : int
        Tap of the convolution.
    chain : Chain
        The way to its activations.
    """

    bank: int
    place: int
    chain: Chain


@dataclass(frozen=True, eq=False)
class Network:
    """Filter banks of a network and the way to their activations.

    Parameters
    ----------
    framework : str
        ``Keras`` or ``PyTorch``.
    banks : tuple of FilterBank
        The first convolutions that read the DNA (several when they are
        parallel), or the one that was asked for.
    layout : Layout
        Axis order and alphabet of the DNA input.
    length : int
        Sequence length in bases that this was worked out for.
    input_name : str
        Name of the DNA input; its place as text for PyTorch.
    input_shapes : mapping of str to tuple
        Shape of one sample of every input, in order.
    source : Source
        The network as its framework has it.
    forward : ForwardPass
        Its recorded forward pass.
    uses : tuple of Use
        Of all banks' convolutions; the first of each bank gives its activations.
    """

    framework: str
    banks: tuple[FilterBank, ...]
    layout: Layout
    length: int
    input_name: str
    input_shapes: Mapping[str, tuple[int, ...]]
    source: Source = field(repr=False)
    forward: ForwardPass = field(repr=False)
    uses: tuple[Use, ...] = field(repr=False)

    def describe(self) -> str:
        """Say what was found, a line a bank.

        Returns
        -------
        str
            See :meth:`FilterBank.describe`.
        """
        others = [name for name in self.input_shapes if name != self.input_name]
        where = f"input {self.input_name}, " if others else ""
        return "\n".join(f"{self.framework}: {where}{bank.describe()}" for bank in self.banks)

    def dna(self, inputs: Inputs) -> np.ndarray:
        """Take the DNA out of a batch of the model's inputs.

        Parameters
        ----------
        inputs : numpy.ndarray, list or dict of them
            As a Kipoi dataloader gives them.

        Returns
        -------
        numpy.ndarray, shape (n, *layout.shape(length))
            Brought into the network's axis order where the loader's differs.
        """
        return self._dna_in(self._named(inputs))

    def codes(self, inputs: Inputs) -> np.ndarray:
        """Read the base codes of a batch.

        Parameters
        ----------
        inputs : numpy.ndarray, list or dict of them
            As for :meth:`activations`.

        Returns
        -------
        numpy.ndarray, shape (n, length), uint8
            0 to 3 for A, C, G, T; 4 for no base.
        """
        return self.layout.decode(self.dna(inputs))

    def activations(self, inputs: Inputs) -> list[np.ndarray]:
        """Feature maps after the non-linearity.

        Parameters
        ----------
        inputs : numpy.ndarray, list or dict of them
            A batch of the model's inputs. The DNA alone is enough: other
            inputs do not reach a bank that reads DNA only.

        Returns
        -------
        list of numpy.ndarray, shape (n, n_positions, n_filters), float32
            One a bank.
        """
        # The first use of a convolution is on the forward strand.
        first = [next(use for use in self.uses if use.bank == bank) for bank in range(len(self.banks))]
        return self._activations(self.arrays(inputs), first)

    def _activations(self, arrays: dict[str, np.ndarray], uses: Sequence[Use]) -> list[np.ndarray]:
        n = len(next(iter(arrays.values())))
        if n == 1:  # as when the network was recorded: squeeze() would take a lone sequence's axis away
            twice = {name: np.repeat(one, PROBE, axis=0) for name, one in arrays.items()}
            return [one[:1] for one in self._activations(twice, uses)]
        try:
            reached = zip(uses, self.reach(arrays, uses), strict=True)
            return [use.chain.arrangement.arranged(one, n).astype(np.float32, copy=False) for use, one in reached]
        except OtherWay as reason:
            raise InputError(
                "the network's forward pass does not take the same way for all sequences, so activations of "
                f"{n} cannot be told apart; a smaller batch size may help, else a network that does is needed"
            ) from reason

    def reach(self, arrays: dict[str, np.ndarray], uses: Sequence[Use]) -> list[np.ndarray]:
        """Run the network as far as some activations, poolings on the way left out.

        Parameters
        ----------
        arrays : dict of str to numpy.ndarray
            From `arrays`.
        uses : sequence of Use
            Whose.

        Returns
        -------
        list of numpy.ndarray
            As the network lays them out.
        """
        given: dict[int, np.ndarray] = {}
        # One pooling after the other: what comes before a later one may rest on an earlier one.
        for pooling, before in dict.fromkeys(one for use in uses for one in use.chain.skipped):
            (given[pooling],) = self.forward.run(arrays, [before], given)
        return self.forward.run(arrays, [use.chain.place for use in uses], given)

    def arrays(self, inputs: Inputs) -> dict[str, np.ndarray]:
        """Bring a batch into the form that the network takes.

        Parameters
        ----------
        inputs : numpy.ndarray, list or dict of them
            As for :meth:`activations`.

        Returns
        -------
        dict of str to numpy.ndarray
            All inputs by name, in order; zeros for those that are not given.
            The DNA is float32, others are of the type that the model declares,
            if it does.
        """
        named = self._named(inputs)
        dna = self._dna_in(named).astype(np.float32, copy=False)
        arrays, types = {}, self.source.input_types()
        for name, shape in self.input_shapes.items():
            given = np.asarray(named[name]) if name in named else np.zeros((len(dna), *shape), np.float32)
            arrays[name] = dna if name == self.input_name else given.astype(types.get(name, given.dtype), copy=False)
        return arrays

    def not_given(self, inputs: Inputs) -> list[str]:
        """Name the network's inputs that a batch lacks; `arrays` fills them with zeros.

        Parameters
        ----------
        inputs : numpy.ndarray, list or dict of them
            As for :meth:`activations`.

        Returns
        -------
        list of str
            Their names, in the network's order.
        """
        named = self._named(inputs)
        lacking = [name for name in self.input_shapes if name not in named]
        if self.layout.channels > 4 and np.shape(named[self.input_name])[1:] != self.layout.shape(self.length):
            lacking.append(f"the signals beside the DNA in {self.input_name}")
        return lacking

    def _named(self, inputs: Inputs) -> dict[str, np.ndarray]:
        return named_inputs(inputs, list(self.input_shapes), self.input_name)

    def _dna_in(self, named: Mapping[str, np.ndarray]) -> np.ndarray:
        if self.input_name not in named:
            raise InputError(f"a batch has no input {self.input_name!r} (it has {', '.join(map(str, named))})")
        array = np.asarray(named[self.input_name])
        shape = self.layout.shape(self.length)
        if array.shape[1:] == shape:
            return array
        for other in layouts(array.shape[1:], self.layout.alphabet):
            if other.length(array.shape[1:]) == self.length:
                return self.layout.from_one_hot(other.to_one_hot(array))
        raise InputError(f"a batch's DNA has shape {array.shape[1:]} a sequence, but the network reads {shape}")


def find_network(
    source,
    *,
    length: int | None = None,
    layer: str | None = None,
    axes: str | None = None,
    alphabet: str | None = None,
    activation: str | None = None,
    dna_channels: str | None = None,
    example: Inputs | None = None,
    shapes: Mapping | None = None,
) -> Network:
    """Find the convolutions that read DNA.

    Parameters
    ----------
    source : KerasSource or TorchSource
        The network.
    length : int, optional
        Sequence length in bases, where the model leaves it open.
    layer : str, optional
        Name of any convolution; the first ones that the DNA meets by default.
    axes : str, optional
        Axis order of the DNA input, like ``"4,1,L"``; found by trial by default.
    alphabet : str, optional
        Order of the bases along the axis of size 4; ACGT, said to be assumed, by default.
    activation : str, optional
        Layer or operation that is the non-linearity; found by default.
    dna_channels : str, optional
        Which four of more channels are the bases, like ``"0:4"``; by default those that are one-hot in `example`.
    example : numpy.ndarray, list or dict, optional
        A batch of inputs, from which shapes are read where the model is silent.
    shapes : mapping, optional
        Input shapes of a Kipoi schema, for the same use.

    Returns
    -------
    Network
        Ready to give activations.

    Raises
    ------
    InputError
        If no convolution reads DNA, with the reason.
    """
    first, assumed = first_channel(dna_channels), alphabet is None
    if first is None and example is not None and not any(4 in shape for shape in _shapes(example).values()):
        told = (bases_among(np.asarray(one)) for one in by_name(example).values())
        first = next((one for one in told if one is not None), None)
    alphabet = alphabet or BASES
    layout = Layout.parse(axes, alphabet) if axes else None
    # What the network says of its inputs goes before what a loader gives, and that before what a schema says.
    known = source.input_shapes() or _shapes(example) or dict(shapes or {})
    types, reasons = source.input_types(), []
    no_such_layer = ""
    for inputs, dna, candidate in _candidates(known, layout, length, alphabet, first, bool(source.input_shapes())):
        candidate = replace(candidate, assumed=assumed)
        given = {} if example is None else named_inputs(example, list(inputs), dna)
        size = candidate.length(inputs[dna]) or length or _length_of(given.get(dna), candidate) or DEFAULT_LENGTH
        concrete = {
            name: candidate.shape(size) if name == dna else _concrete(shape, size, given.get(name))
            for name, shape in inputs.items()
        }

        others = {
            name: np.asarray(given[name])[:1] if name in given else np.zeros((1, *shape), types.get(name, "float32"))
            for name, shape in concrete.items()
        }
        others = {name: one.astype(types.get(name, one.dtype), copy=False) for name, one in others.items()}
        lay = partial(_lay, layout=candidate, dna=dna, others=others)
        failure: Exception | None = None
        forward: ForwardPass | None = None
        try:
            forward = source.trace(lay(one_hot(0, PROBE, size)))
            failure = forward.failure
            banks, uses = _find(forward, list(inputs).index(dna), layer, activation, candidate, lay, size)
        except NoSuchLayer as reason:
            no_such_layer = max(no_such_layer, str(reason), key=len)  # the trial that got furthest names most layers
            continue
        except OtherWay as reason:
            reasons.append(f"its forward pass does not take the same way for all sequences ({reason})")
            continue
        except Unreadable as reason:
            early = forward is not None and failure is not None and not _convolutions(forward, list(inputs).index(dna))
            reasons.append(first_line(failure) if early and failure else str(reason))
            continue
        # Layers behind the convolution may take another length than the one tried, but not than the one asked for.
        if failure is not None and length is not None:
            reasons.append(f"it cannot take sequences of {size} bp ({first_line(failure)})")
            continue
        if source.left_out:
            banks = tuple(replace(bank, notes=(*bank.notes, source.left_out)) for bank in banks)
        return Network(source.framework, banks, candidate, size, dna, concrete, source, forward, uses)
    raise InputError(no_such_layer or _refusal(known, reasons, axes))


def _lay(sequences: np.ndarray, layout: Layout, dna: str, others: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Bring sequences into a network's layout; other inputs are the same for all."""
    laid = {name: np.repeat(one, len(sequences), axis=0) for name, one in others.items() if name != dna}
    own = layout.from_one_hot(sequences[:, :, [BASES.index(base) for base in layout.alphabet]])
    return {name: own if name == dna else laid[name] for name in others}


class NoSuchLayer(Unreadable):
    """The layer asked for is not among the convolutions of a trial."""


def _convolutions(forward: ForwardPass, dna: int) -> list[int]:
    """List the convolutions that the DNA reaches, in the order they run."""
    reached: set[int] = set()
    root = [number for number, tap in enumerate(forward.taps) if not tap.inputs][dna]
    for number, tap in enumerate(forward.taps):
        if number == root or reached & set(tap.inputs):
            reached.add(number)
    return [number for number in sorted(reached) if forward.taps[number].convolution is not None]


def _before(forward: ForwardPass, place: int, convolutions: Sequence[int]) -> list[int]:
    """List the convolutions that lie before another one."""
    back = {place}
    for number in range(place, -1, -1):
        if number in back:
            back.update(forward.taps[number].inputs)
    return [one for one in convolutions if one in back and one != place]


def _find(
    forward: ForwardPass, dna: int, layer: str | None, activation: str | None, layout: Layout, lay: Lay, length: int
) -> tuple[tuple[FilterBank, ...], tuple[Use, ...]]:
    """Measure the first convolutions, or the one asked for; each once, though it may be used several times."""
    convolutions = _convolutions(forward, dna)
    chosen = [one for one in convolutions if not _before(forward, one, convolutions)]
    if layer is not None:
        named = _named(forward, convolutions, layer)
        chosen = [one for one in chosen if one in named] or named[:1]
    if not chosen:
        raise Unreadable("no convolution uses this input")
    found, reasons = [], []
    for place in chosen:
        try:
            feature_map = FeatureMap(forward, place, lay, length)
            before = _before(forward, place, convolutions)
            readings = (
                [read_deeper(feature_map, before)]
                if before
                else [read_first(feature_map, copy, layout) for copy in range(feature_map.copies)]
            )
            chains = find_activations(feature_map, activation)[: len(readings)]  # of a deeper one, the first row's
            found += [(place, reading, chain) for reading, chain in zip(readings, chains, strict=True)]
        except Unreadable as reason:
            reasons.append(f"layer {forward.taps[place].name}: {reason}")
    if not found:
        raise Unreadable("; ".join(dict.fromkeys(reasons)))
    return _distinct(forward, found, layout, length)


def _named(forward: ForwardPass, convolutions: Sequence[int], layer: str) -> list[int]:
    names = {one: forward.taps[one].name for one in convolutions}
    named = [one for one in convolutions if names[one] == layer]
    named = named or [one for one in convolutions if names[one].replace(".", "/").split("/")[-1] == layer]
    if named and len({names[one] for one in named}) == 1:
        return named
    problem = "names several convolutions" if named else "is no convolution that the DNA reaches"
    raise NoSuchLayer(
        f"layer {layer!r} {problem}; the convolutions are: {', '.join(dict.fromkeys(names.values())) or 'none'}"
    )


def _distinct(
    forward: ForwardPass, found: list[tuple[int, Reading, Chain]], layout: Layout, length: int
) -> tuple[tuple[FilterBank, ...], tuple[Use, ...]]:
    """Take each convolution once (both strands, siamese branches), its forward use first; names are made unique."""
    # One convolution is one layer with the same weights; the reverse strand comes last.
    groups: dict[tuple, list[tuple[int, Reading, Chain]]] = {}
    for one in sorted(found, key=lambda one: one[1].field.step < 0):
        key = (forward.taps[one[0]].name, *(values.tobytes() for values in forward.weights(one[0])))
        groups.setdefault(key, []).append(one)
    banks: list[FilterBank] = []
    uses: list[Use] = []
    names: dict[str, int] = {}
    for (name, *_), group in groups.items():
        _, reading, chain = group[0]
        names[name] = names.get(name, 0) + 1
        notes = []
        if reading.strand:
            notes.append(f"it reads the {reading.strand}; kernels and PWMs are given on the forward strand")
        notes += [
            f"{forward.taps[pooling].name} between convolution and non-linearity is left out"
            for pooling, _ in chain.skipped
        ]
        if len(group) > 1:
            how = (
                "to both strands" if any(one.field.step < 0 for _, one, _ in group) else "to several inputs or windows"
            )
            notes.append(f"applied {len(group)} times, {how}; first forward use taken")
        banks.append(
            FilterBank(
                name if names[name] == 1 else f"{name}_{names[name]}",
                len(chain.arrangement.order),
                reading.n_positions,
                reading.field,
                layout,
                reading.kernels,
                chain.name,
                _geometry(reading, length),
                tuple(notes),
            )
        )
        uses += [Use(len(banks) - 1, one, way) for one, _, way in group]
    return tuple(banks), tuple(uses)


def _geometry(reading: Reading, length: int) -> str:
    """Say a convolution's geometry along the sequence in words."""
    field = reading.field
    starts = [field.start, field.start + field.step * (reading.n_positions - 1)]
    left, right = max(0, -min(starts)), max(0, max(starts) + field.width - length)
    kernel = "" if reading.kernels is None else f"kernel {(field.width - 1) // reading.holes + 1}, "
    return (
        f"{kernel}padding {left} on the left and {right} on the right, stride {abs(field.step)}, "
        f"dilation {reading.holes}"
    )


def _candidates(
    known: Mapping, layout: Layout | None, length: int | None, alphabet: str, first: int | None, binding: bool
) -> Iterator[tuple[Mapping, str, Layout]]:
    """Ways to read the inputs: shapes of all, the name of the DNA input, its layout.

    Shapes of a Keras model are binding, those of a Kipoi schema can be overruled by a layout.
    """
    for name, shape in known.items():
        for candidate in layouts(shape, alphabet, first):
            if layout is None or candidate.axes == layout.axes:
                yield known, name, candidate
        for candidate in [layout] if layout and first is None else []:  # where the shape is open
            if candidate.fits(shape) and candidate not in layouts(shape, alphabet):
                yield known, name, candidate
    if len(known) > 1:
        return
    name = next(iter(known), "0")
    if layout and not binding:
        yield {name: layout.shape(length or DEFAULT_LENGTH)}, name, layout
    if known and known[name] and None not in known[name]:
        return  # the model said exactly what it takes
    trials = [Layout(tuple(axes), alphabet) for axes in USUAL.split()] + [Layout(axes, alphabet) for axes in FLAT]
    if first is not None:  # a network that does not say how many channels it takes
        among = [one.axes for one in trials if one.axes not in FLAT and layout in (None, one)]
        trials = [Layout(axes, alphabet, first, n) for n in range(first + 4, first + 10) for axes in among]
    for candidate in [layout] if layout and first is None else trials:
        shape = candidate.shape(length or DEFAULT_LENGTH)
        if not known or candidate.fits(known[name]):
            yield {name: shape}, name, candidate


def by_name(inputs: object) -> dict[str, Any]:
    """Name a model's inputs, or what is said of each of them, by their names, else by their places.

    Parameters
    ----------
    inputs : dict, list, or what there is of a lone one; None for nothing
        As a Kipoi dataloader gives them, or its schema describes them.

    Returns
    -------
    dict
        In order.

    Examples
    --------
    >>> by_name(["dna", "signal"]), by_name("dna")
    ({'0': 'dna', '1': 'signal'}, {'0': 'dna'})
    """
    if isinstance(inputs, Mapping):
        return {str(name): values for name, values in inputs.items()}
    several = inputs if isinstance(inputs, (list, tuple)) else [] if inputs is None else [inputs]
    return {str(place): values for place, values in enumerate(several)}


def _shapes(example: Inputs | None) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(values)[1:] for name, values in by_name(example).items()}


def _length_of(dna: np.ndarray | None, layout: Layout) -> int | None:
    """Read the number of bases off a batch, whatever the order of its axes."""
    shape = () if dna is None else np.shape(dna)[1:]
    return next((one.length(shape) for one in [layout, *layouts(shape)] if shape and one.fits(shape)), None)


def _concrete(shape: tuple[int | None, ...], length: int, given: np.ndarray | None) -> tuple[int, ...]:
    """Shape of an input that is not the DNA; open axes are as in the batch given, or as long as the sequence."""
    sizes = np.shape(given)[1:] if given is not None and np.ndim(given) == 1 + len(shape) else (length,) * len(shape)
    return tuple(other if size is None else size for size, other in zip(shape, sizes, strict=True))


def named_inputs(inputs: Inputs, names: list[str], dna: str) -> dict[str, np.ndarray]:
    """Give a batch's inputs by name.

    Parameters
    ----------
    inputs : numpy.ndarray, list or dict of them
        As a Kipoi dataloader gives them; a lone array is the DNA.
    names : list of str
        Names of the model's inputs, in order.
    dna : str
        Name of the DNA input.

    Returns
    -------
    dict of str to numpy.ndarray
        Inputs by name.

    Raises
    ------
    InputError
        If their number is not that of the model's inputs.
    """
    if isinstance(inputs, Mapping):
        if len(inputs) == len(names) == 1:
            return {names[0]: next(iter(inputs.values()))}
        return {str(name): values for name, values in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        if len(inputs) != len(names):
            raise InputError(f"a batch has {len(inputs)} inputs; the model has {len(names)} ({', '.join(names)})")
        return dict(zip(names, inputs, strict=True))
    return {dna: np.asarray(inputs)}


def _refusal(known: Mapping, reasons: list[str], axes: str | None) -> str:
    shapes = ", ".join(f"{name} {tuple(shape)}" for name, shape in known.items())
    # Trials of axes that got as far as a convolution say more than those that failed before.
    nearest = next(filter(None, ([one for one in reasons if one.startswith(begin)] for begin in FURTHEST)), [])
    if reasons:
        said, how = list(dict.fromkeys(nearest or reasons)), " in a way that is understood" if nearest else ""
        cures = [cure for words, cure in SAID.items() if re.search(words, " ".join(said))]
        cure = (cures or ["if one does, name it by layer=NAME and its input by axes=AXES"])[0]
        return f"no convolution of this model reads DNA{how}: {'; '.join(said[:SHOWN])}; {cure}"
    if known and axes:
        return f"axes {axes!r} fit no input of this model ({shapes}); leave axes out to have them found"
    if any(4 in shape for shape in known.values()):
        return (
            f"no input of this model is one sequence: {shapes} has more axes than bases and positions; a network over "
            "single one-hot sequences is needed, such as a part of this one that is applied to each"
        )
    if known:
        beside = any(4 < size <= MOST_CHANNELS for shape in known.values() for size in shape if size is not None)
        cure = (
            "or its axis order by axes=AXES"
            if not beside
            else "or, where there are signals beside the bases, dna_channels=A:B with the four that are, like 0:4"
        )
        return (
            f"no input of this model is DNA: no axis of size 4 in {shapes}; a network over one-hot sequences is "
            f"needed, {cure}"
        )
    return "no convolution of this model reads DNA"

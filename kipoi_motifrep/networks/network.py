"""A network whose filters can be looked at: found once, then run batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from kipoi_motifrep.core.errors import InputError, first_line
from kipoi_motifrep.networks.graph import PROBE, Graph, Step, Unreadable
from kipoi_motifrep.networks.layout import Layout, layouts
from kipoi_motifrep.networks.reading import Found, deeper_bank, numbered, read_bank
from kipoi_motifrep.networks.types import FilterBank, Inputs

DEFAULT_LENGTH = 1000  # bases, where neither the model nor the data say


@dataclass(frozen=True, eq=False)
class Parts:
    """What a network was worked out from: the framework's side, the graph, and the banks' places in it."""

    source: object
    graph: Graph
    found: tuple[Found, ...]


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
    parts : Parts
        For :mod:`kipoi_motifrep.networks.ablation`.
    """

    framework: str
    banks: tuple[FilterBank, ...]
    layout: Layout
    length: int
    input_name: str
    input_shapes: Mapping[str, tuple[int, ...]]
    _run: Callable = field(repr=False)
    _arrange: tuple[Callable, ...] = field(repr=False)
    _types: Mapping[str, str] = field(default_factory=dict, repr=False)
    parts: Parts | None = field(default=None, repr=False)

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
        return [arrange(values) for arrange, values in zip(self._arrange, self._run(self.arrays(inputs)), strict=True)]

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
        arrays = {}
        for name, shape in self.input_shapes.items():
            given = np.asarray(named[name]) if name in named else np.zeros((len(dna), *shape), np.float32)
            arrays[name] = dna if name == self.input_name else \
                given.astype(self._types.get(name, given.dtype), copy=False)
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
        return [name for name in self.input_shapes if name not in named]

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


def find_network(source, *, length: int | None = None, layer: str | None = None, axes: str | None = None,
                 alphabet: str = "ACGT", example: Inputs | None = None, shapes: Mapping | None = None) -> Network:
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
    alphabet : str, default "ACGT"
        Order of the bases along the axis of size 4.
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
    layout = Layout.parse(axes, alphabet) if axes else None
    known = source.input_shapes() or _shapes(example) or dict(shapes or {})
    reasons: list[str] = []
    no_such_layer = ""
    for inputs, dna, candidate in _candidates(known, layout, length, alphabet, bool(source.input_shapes())):
        given = {} if example is None else named_inputs(example, list(inputs), dna)
        size = candidate.length(inputs[dna]) or length or _length_of(given.get(dna), candidate) or DEFAULT_LENGTH
        concrete = {name: candidate.shape(size) if name == dna else _concrete(shape, size, given.get(name))
                    for name, shape in inputs.items()}
        graph = failure = None
        try:
            graph = source.trace(concrete, dna, numbered(candidate, size), _others(given, concrete, dna))
            failure = graph.failure
            found = _find(graph, layer, candidate, size)
        except NoSuchLayer as reason:
            no_such_layer = max(no_such_layer, str(reason), key=len)  # the trial that got furthest names most layers
            continue
        except Unreadable as reason:
            reasons.append(str(reason) if failure is None or graph.convolutions else first_line(failure))
            continue
        if failure is not None and length is not None:
            reasons.append(f"it cannot take sequences of {size} bp ({first_line(failure)})")
            continue
        run = source.runner(graph, [(one.step, one.chain) for one in found], list(concrete))
        return Network(source.framework, tuple(one.bank for one in found), candidate, size, dna, concrete, run,
                       tuple(_arranger(one, graph.shapes[one.step.outputs[0]][1:]) for one in found),
                       source.input_types(), Parts(source, graph, tuple(found)))
    raise InputError(no_such_layer or _refusal(known, reasons, axes))


class NoSuchLayer(Unreadable):
    """The layer asked for is not among the convolutions of a trial."""


def _find(graph: Graph, layer: str | None, layout: Layout, length: int) -> list[Found]:
    first = graph.first_convolutions
    if layer is not None:
        step = _step_of(graph, layer)
        if step not in first:
            try:
                return [deeper_bank(graph, step, layout)]
            except Unreadable as reason:
                raise Unreadable(f"layer {step.name}: {reason}") from reason
        first = [one for one in first if one.name == step.name]
    if not first:
        raise Unreadable("no convolution uses this input")
    found, reasons = [], []
    for step in first:
        try:
            found.append(read_bank(graph, step, layout, length))
        except Unreadable as reason:
            reasons.append(f"layer {step.name}: {reason}")
    if not found:
        raise Unreadable("; ".join(dict.fromkeys(reasons)))
    return _distinct(found)


def _step_of(graph: Graph, layer: str) -> Step:
    named = [step for step in graph.convolutions if step.name == layer]
    named = named or [step for step in graph.convolutions if step.name.replace(".", "/").split("/")[-1] == layer]
    if named and len({step.name for step in named}) == 1:
        return named[0]
    names = ", ".join(dict.fromkeys(step.name for step in graph.convolutions)) or "none"
    problem = "names several convolutions" if named else "is no convolution that the DNA reaches"
    raise NoSuchLayer(f"layer {layer!r} {problem}; the convolutions are: {names}")


def _distinct(found: list[Found]) -> list[Found]:
    """Take each convolution once (both strands, siamese branches), its forward use first; names are made unique."""
    groups: list[list[Found]] = []
    for one in sorted(found, key=lambda one: one.bank.field.step < 0):
        for group in groups:
            if group[0].bank.layer == one.bank.layer and np.array_equal(group[0].weights, one.weights):
                group.append(one)
                break
        else:
            groups.append([one])
    kept, names = [], {}
    for group in groups:
        first, bank = group[0], group[0].bank
        names[bank.layer] = names.get(bank.layer, 0) + 1
        if names[bank.layer] > 1:
            bank = replace(bank, layer=f"{bank.layer}_{names[bank.layer]}")
        if len(group) > 1:
            backwards = any(one.bank.field.step < 0 for one in group)
            how = "to both strands" if backwards else "to several inputs or windows"
            bank = replace(bank, notes=(*bank.notes, f"applied {len(group)} times, {how}; first forward use taken"))
        kept.append(replace(first, bank=bank, others=tuple(group[1:])))
    return kept


def _candidates(known: Mapping, layout: Layout | None, length: int | None,
                alphabet: str, binding: bool) -> Iterator[tuple[Mapping, str, Layout]]:
    """Ways to read the inputs: shapes of all, the name of the DNA input, its layout.

    Shapes of a Keras model are binding, those of a Kipoi schema can be overruled by a layout.
    """
    for name, shape in known.items():
        for candidate in [layout] if layout else layouts(shape, alphabet):
            if candidate.fits(shape):
                yield known, name, candidate
    if len(known) > 1:
        return
    name = next(iter(known), "0")
    if layout and not binding:
        yield {name: layout.shape(length or DEFAULT_LENGTH)}, name, layout
    if known and known[name] and None not in known[name]:
        return  # the model said exactly what it takes
    usual = (("4", "L"), ("L", "4"), ("4", "1", "L"), ("1", "4", "L"), ("L", "1", "4"), ("1", "L", "4"),
             ("L", "4", "1"), ("4", "L", "1"), ("L4",), ("4L",))
    for candidate in [layout] if layout else [Layout(axes, alphabet) for axes in usual]:
        shape = candidate.shape(length or DEFAULT_LENGTH)
        if not known or candidate.fits(known[name]):
            yield {name: shape}, name, candidate


def _shapes(example: Inputs | None) -> dict[str, tuple[int, ...]]:
    if example is None:
        return {}
    if isinstance(example, Mapping):
        return {str(name): np.shape(values)[1:] for name, values in example.items()}
    if isinstance(example, (list, tuple)):
        return {str(place): np.shape(values)[1:] for place, values in enumerate(example)}
    return {"0": np.shape(example)[1:]}


def _length_of(dna: np.ndarray | None, layout: Layout) -> int | None:
    """Read the number of bases off a batch, whatever the order of its axes."""
    shape = np.shape(dna)[1:]
    return next((one.length(shape) for one in [layout, *layouts(shape)] if shape and one.fits(shape)), None)


def _concrete(shape: tuple[int | None, ...], length: int, given: np.ndarray | None) -> tuple[int, ...]:
    """Shape of an input that is not the DNA; open axes are as in the batch given, or as long as the sequence."""
    sizes = np.shape(given)[1:] if np.ndim(given) == 1 + len(shape) else (length,) * len(shape)
    return tuple(other if size is None else size for size, other in zip(shape, sizes, strict=True))


def _others(given: Mapping, shapes: Mapping[str, tuple[int, ...]], dna: str) -> dict[str, np.ndarray]:
    """Two samples of every input but the DNA: from a batch, or zeros."""
    others = {}
    for name, shape in shapes.items():
        if name != dna:
            values = np.asarray(given[name]) if name in given else np.zeros((1, *shape), np.float32)
            others[name] = np.repeat(values[:1], PROBE, axis=0)
    return others


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
    """
    if isinstance(inputs, Mapping):
        if len(inputs) == len(names) == 1:
            return {names[0]: next(iter(inputs.values()))}
        return {str(name): values for name, values in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        if len(inputs) != len(names):
            raise InputError(f"a batch has {len(inputs)} inputs; the model has {len(names)} ({', '.join(names)})")
        return dict(zip(names, inputs, strict=True))
    return {dna: inputs}


def _arranger(found: Found, shape: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """Bring activations of a bank, a row a sequence, into (n, n_positions, n_filters)."""
    bank, origin = found.bank, found.chain.origin
    places = np.unravel_index(origin.ravel(), shape)
    order = np.empty((bank.n_positions, bank.n_filters), np.int64)
    order[np.searchsorted(found.positions, places[found.axis]), places[found.channels]] = np.arange(origin.size)
    if np.array_equal(order.ravel(), np.arange(order.size)):
        return lambda values: values.reshape(len(values), *order.shape)
    if np.array_equal(order.T.ravel(), np.arange(order.size)):
        return lambda values: values.reshape(len(values), *order.T.shape).transpose(0, 2, 1)
    return lambda values: values[:, order]


def _refusal(known: Mapping, reasons: list[str], axes: str | None) -> str:
    shapes = ", ".join(f"{name} {tuple(shape)}" for name, shape in known.items())
    # Trials of axes that got as far as a convolution say more than those that failed before.
    nearest = [reason for reason in reasons if reason.startswith("layer ")]
    if reasons:
        how = " in a way that is understood" if nearest else ""
        return (f"no convolution of this model reads DNA{how}: {'; '.join(dict.fromkeys(nearest or reasons))}; "
                "if one does, name it with --layer and its input with --axes")
    if known and axes:
        return f"axes {axes!r} fit no input of this model ({shapes}); leave --axes out to have them found"
    if known:
        return (f"no input of this model is DNA: no axis of size 4 in {shapes}; "
                "a network over one-hot sequences is needed, or its axis order with --axes")
    return "no convolution of this model reads DNA"

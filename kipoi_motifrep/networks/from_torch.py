"""PyTorch networks as a :class:`Graph`: what they do is recorded while they run.

A recorder sees every ``torch`` call of the forward pass, whether a module or a
functional call made it, so any control flow is fine. No code but the module's
own forward pass runs.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from kipoi_motifrep.core.errors import InputError, flattened
from kipoi_motifrep.networks.graph import Convolution, Graph, OtherWay, Step, Window, ungrouped

CONVOLUTIONS = {"conv1d": 1, "conv2d": 2}
ASSIGNMENT = "__setitem__"  # x[...] = y
POOLINGS = {"max_pool1d": 1, "max_pool2d": 2, "avg_pool1d": 1, "avg_pool2d": 2}


class TorchSource:
    """A PyTorch module, ready to be run under a recorder.

    Parameters
    ----------
    module : torch.nn.Module
        The network; it is put into evaluation mode while it runs here. Of one
        in half precision a float32 copy runs, for sums and ties as elsewhere.
    """

    framework = "PyTorch"

    def __init__(self, module: torch.nn.Module):
        module = getattr(module, "_orig_mod", module)  # what torch.compile was given: the compiler cannot be followed
        self.module = _in_single_precision(module)

    def input_types(self) -> dict[str, str]:
        """Say nothing: a module does not know its inputs.

        Returns
        -------
        dict
            Empty.
        """
        return {}

    def input_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Say nothing: a module does not know its inputs.

        Returns
        -------
        dict
            Empty.
        """
        return {}

    def trace(self, shapes: dict[str, tuple[int, ...]], dna: str, probe: np.ndarray, others: dict) -> Graph:
        """Run the network once on a probe.

        Parameters
        ----------
        shapes : dict
            Shape of one sample of every input, in order.
        dna : str
            Which input is the DNA.
        probe : numpy.ndarray, shape (2, *shapes[dna])
            Its values.
        others : dict
            Values of the other inputs, two samples each.

        Returns
        -------
        Graph
            Every torch call that uses an input is one step. ``failure`` is the
            exception that ended the run, or None.
        """
        inputs = {name: torch.as_tensor(np.asarray(probe if name == dna else others[name])) for name in shapes}
        inputs = {name: self.placed(tensor) for name, tensor in inputs.items()}
        recorder = _Recorder(list(inputs.values()))
        failure, outputs = None, ()
        with self.running(), _module_names(self.module) as recorder.modules, torch.no_grad():
            try:
                with recorder:
                    outputs = recorder.numbers_of(self.forward(inputs))
            except Exception as error:  # a stranger's forward pass can fail in any way
                failure = error
        return Graph(recorder.steps, {number: value.shape for number, value in recorder.values.items()},
                     list(shapes).index(dna), recorder.values, to_numpy, failure, outputs=outputs)

    def runner(self, graph: Graph, chains: Sequence, names: Sequence[str]) -> Callable:
        """Run the network only as far as some activations.

        Parameters
        ----------
        graph : Graph
            From :meth:`trace`.
        chains : sequence of (Step, Chain)
            Convolutions and the ways to their activations.
        names : sequence of str
            Names of the inputs, in order.

        Returns
        -------
        callable
            From a dict of input arrays to a list of feature maps, numpy float32.
        """
        last = [graph.producers[chain.output] for _, chain in chains]
        skipped = {step for _, chain in chains for step in chain.skipped}

        def run(inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            n = len(next(iter(inputs.values())))
            if n == 1:  # two are as in the probe: squeeze() would take a lone sequence's axis away
                return [rows[:1] for rows in run({name: np.repeat(one, 2, axis=0) for name, one in inputs.items()})]
            try:
                caught = self._caught(graph, last, skipped, {name: inputs[name] for name in names})
                return [chain.rows(to_numpy(caught[step]), n).astype(np.float32, copy=False)
                        for step, (_, chain) in zip(last, chains, strict=True)]
            except OtherWay as reason:
                if n <= 2:
                    raise InputError("the network's forward pass does not take the same way for all sequences, so its "
                                     "activations cannot be told apart; a network that does is needed") from reason
                # It may take large batches apart itself.
                halves = [run({name: one[rows] for name, one in inputs.items()})
                          for rows in (slice(n // 2), slice(n // 2, n))]
                return [np.concatenate(parts) for parts in zip(*halves, strict=True)]

        return run

    def _caught(self, graph: Graph, last: Sequence[Step], skipped: set[Step],
                inputs: dict[str, np.ndarray]) -> dict[Step, torch.Tensor]:
        """Run as far as the results of some steps."""
        tensors = {name: self.placed(torch.as_tensor(np.ascontiguousarray(one))) for name, one in inputs.items()}
        catcher = _Catcher(graph.steps, tensors.values(), set(last), skipped)
        with self.running(), torch.no_grad():
            try:
                with catcher:
                    self.forward(tensors)
            except _Reached:
                return catcher.caught
            except OtherWay:
                raise
            except Exception as error:  # a stranger's forward pass can fail in any way
                n = len(next(iter(inputs.values())))
                raise InputError(f"the network's forward pass fails on a batch of {n} sequences, though not on the "
                                 f"{len(graph.values[graph.dna])} that it was tried on ({type(error).__name__}: "
                                 f"{flattened(error)}); a smaller batch size may help") from error
        raise OtherWay("it ends before the activations")

    def forward(self, inputs: dict[str, torch.Tensor]) -> object:
        """Call the module: with several named inputs by their names, else in order."""
        if all(isinstance(name, str) and not name.isdigit() for name in inputs) and len(inputs) > 1:
            return self.module(**inputs)
        return self.module(*inputs.values())

    def placed(self, tensor: torch.Tensor) -> torch.Tensor:
        """Bring numbers to the device and type of the module's parameters; indices stay what they are."""
        like = next(self.module.parameters(), None)
        if like is None or (not tensor.is_floating_point() and tensor.dtype not in (torch.int8, torch.uint8)):
            return tensor
        return tensor.to(device=like.device, dtype=like.dtype)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep the module in evaluation mode within the block."""
        # In training mode batch norm would use the batch and dropout would drop.
        training = [module for module in self.module.modules() if module.training]
        self.module.eval()
        try:
            yield
        finally:
            for module in training:
                module.training = True


class _Reached(Exception):
    """All activations that were wanted are there."""


class Follower(TorchFunctionMode):
    """Goes along with a forward pass, knowing which step of the recorded one every call is.

    As for the recorder, only calls count that use a value made from the inputs.

    Parameters
    ----------
    steps : sequence of Step
        Of the recorded run.
    inputs : iterable of torch.Tensor
        Inputs of this run.
    watched : set of Step
        Steps that `at` is asked for; after the last of them, none are followed.
    """

    def __init__(self, steps: Sequence[Step], inputs: Iterable[torch.Tensor], watched: set[Step]):
        super().__init__()
        self.watched = watched
        self._steps = iter(steps[:1 + max(place for place, step in enumerate(steps) if step in watched)])
        self._next = next(self._steps)
        self._flowing: dict[int, weakref.ref] = {}
        self._flow(inputs)

    def at(self, step: Step, function: Callable, args: tuple, kwargs: dict):
        """Call the function of a watched step, or do something else in its place."""
        raise NotImplementedError

    def flowing(self, structure: object) -> Iterator[torch.Tensor]:
        """Find the tensors made from the inputs in a call's arguments."""
        for tensor in tensors_in(structure):
            if id(tensor) in self._flowing and self._flowing[id(tensor)]() is tensor:
                yield tensor

    def _flow(self, tensors: Iterable[torch.Tensor]) -> None:
        self._flowing.update((id(tensor), weakref.ref(tensor)) for tensor in tensors)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if self._next is None or next(self.flowing((args, kwargs)), None) is None:
            return function(*args, **kwargs)
        expected = _label(function) == self._next.label
        if expected and self._next in self.watched:
            result = self.at(self._next, function, args, kwargs)
        else:
            result = function(*args, **kwargs)
        outputs = outputs_of(function, args, result)
        if outputs:
            if not expected:
                raise OtherWay(f"{_label(function)} runs in the place of {self._next.label}")
            self._flow(outputs)
            self._next = next(self._steps, None)
        return result


class _Catcher(Follower):
    """Catches the results of some steps, then stops; other steps hand on what they are given."""

    def __init__(self, steps: Sequence[Step], inputs: Iterable[torch.Tensor], wanted: set[Step], skipped: set[Step]):
        super().__init__(steps, inputs, wanted | skipped)
        self.wanted, self.skipped, self.caught = wanted, skipped, {}

    def at(self, step: Step, function: Callable, args: tuple, kwargs: dict):
        if step in self.skipped:
            given = next(self.flowing((args, kwargs)))
            return given if len(step.outputs) == 1 else (given, None)
        result = function(*args, **kwargs)
        self.caught[step] = outputs_of(function, args, result)[0]
        if len(self.caught) == len(self.wanted):
            raise _Reached
        self.caught[step] = self.caught[step].clone()  # later calls may work in place
        return result


class _Recorder(TorchFunctionMode):
    """Records every call that uses a value made from the inputs."""

    def __init__(self, inputs: Sequence[torch.Tensor]):
        super().__init__()
        self.steps: list[Step] = []
        self.values: dict[int, np.ndarray] = {}
        self.modules: list[str] = []
        self._numbers: dict[int, int] = {}
        self._alive: list[torch.Tensor] = []  # so that no identity is used twice
        for tensor in inputs:
            self._number(tensor)

    def _number(self, tensor: torch.Tensor) -> int:
        number = len(self.values)
        self._numbers[id(tensor)] = number  # a tensor changed in place gets a new number
        self._alive.append(tensor)
        self.values[number] = to_numpy(tensor.clone())
        return number

    def numbers_of(self, structure) -> tuple[int, ...]:
        """Numbers of the recorded values among some tensors."""
        return tuple(self._numbers[id(tensor)] for tensor in tensors_in(structure) if id(tensor) in self._numbers)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        flowing = [tensor for tensor in tensors_in((args, kwargs)) if id(tensor) in self._numbers]
        inputs = tuple(self._numbers[id(tensor)] for tensor in flowing)
        shapes = [tuple(tensor.shape) for tensor in flowing]
        label, replayed, target = _label(function), function, args[:1]
        if inputs and label == ASSIGNMENT:
            replayed = _assigned
            target = target if id(args[0]) in self._numbers else (args[0].clone(),)  # as it was before
        result = function(*args, **kwargs)
        outputs = outputs_of(function, args, result)
        if not inputs or not outputs:
            return result
        template = _numbered(((*target, *args[1:]), kwargs), self._numbers)
        convolution, pooling = _geometry(label, args, kwargs, shapes[0])
        name = self.modules[-1] if self.modules else ""
        numbers = tuple(self._number(tensor) for tensor in outputs)
        self.steps.append(Step(name or label, label, inputs, numbers, _replayer(replayed, template, inputs),
                               convolution, pooling))
        return result


def _label(function: Callable) -> str:
    return getattr(function, "__name__", "call")


def outputs_of(function: Callable, args: tuple, result: object) -> list[torch.Tensor]:
    """Find the tensors that a call made; an assignment to elements makes its target anew."""
    return [args[0]] if _label(function) == ASSIGNMENT else list(tensors_in(result))


def _assigned(target: torch.Tensor, index: object, value: object) -> torch.Tensor:
    target = target.clone()
    target[index] = value
    return target


class _Flow(int):
    """Number of a value, in the place of the tensor in a recorded call."""


def _replayer(function, template, inputs: tuple[int, ...]) -> Callable:
    def call(values: Sequence) -> list[torch.Tensor]:
        like = next((one for one in tensors_in(template) if one.is_floating_point()), None)
        tensors = [value if isinstance(value, torch.Tensor) else _like(value, like) for value in values]
        args, kwargs = _filled(template, dict(zip(inputs, tensors, strict=True)))
        with torch.no_grad():
            return list(tensors_in(function(*args, **kwargs)))

    return call


def _like(value: np.ndarray, like: torch.Tensor | None) -> torch.Tensor:
    tensor = torch.from_numpy(np.array(value))  # a copy: the call may work in place
    if like is not None and tensor.is_floating_point():
        tensor = tensor.to(like.device, like.dtype)
    return tensor


def _geometry(label: str, args: tuple, kwargs: dict,
              shape: tuple[int, ...]) -> tuple[Convolution | None, Window | None]:
    if label in CONVOLUTIONS:
        return _convolution(CONVOLUTIONS[label], shape, *args, **kwargs), None
    base = label.removesuffix("_with_indices")
    if base in POOLINGS:
        return None, _pooling(POOLINGS[base], *args, **kwargs)
    return None, None


def _convolution(n: int, shape, input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Convolution:
    kernel, stride, dilation = tuple(weight.shape[2:]), _tuple(stride, n), _tuple(dilation, n)
    axes = tuple(range(1, n + 1))
    if padding == "same":
        left = tuple((size - 1) * hole // 2 for size, hole in zip(kernel, dilation, strict=True))
    else:
        left = (0,) * n if padding == "valid" else _tuple(padding, n)
    weights, channels = weight.detach(), shape[1]
    return Convolution(
        Window(axes, kernel, stride, dilation, left, str(padding)), 0, groups,
        lambda: ungrouped(np.moveaxis(to_numpy(weights), (0, 1), (-1, -2)), channels))


def _pooling(n: int, input, kernel_size, stride=None, padding=0, *rest, **kwargs) -> Window:
    dilation = kwargs.get("dilation", 1)
    if rest and not isinstance(rest[0], bool):  # max pooling's dilation; average pooling has a switch there
        dilation = rest[0]
    kernel = _tuple(kernel_size, n)
    stride = _tuple(stride, n) if stride not in (None, [], ()) else kernel
    return Window(tuple(range(1, n + 1)), kernel, stride, _tuple(dilation, n), _tuple(padding, n), str(padding))


def _tuple(value, n: int) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * n
    value = tuple(int(one) for one in value)
    return value * n if len(value) == 1 else value


def tensors_in(structure: object) -> Iterator[torch.Tensor]:
    """Find the tensors in nested tuples, lists and dicts, in order."""
    if isinstance(structure, torch.Tensor):
        yield structure
    elif isinstance(structure, dict):
        for one in structure.values():
            yield from tensors_in(one)
    elif isinstance(structure, (list, tuple)):
        for one in structure:
            yield from tensors_in(one)


def _mapped(structure, change: Callable):
    if isinstance(structure, dict):
        return {key: _mapped(one, change) for key, one in structure.items()}
    if isinstance(structure, (list, tuple)) and not isinstance(structure, torch.Size):
        return type(structure)(_mapped(one, change) for one in structure)
    return change(structure)


def _numbered(structure, numbers: dict[int, int]):
    return _mapped(structure, lambda one: _Flow(numbers[id(one)])
                   if isinstance(one, torch.Tensor) and id(one) in numbers else one)


def _filled(structure, values: dict[int, torch.Tensor]):
    return _mapped(structure, lambda one: values[int(one)] if isinstance(one, _Flow) else one)


@contextmanager
def _module_names(module: torch.nn.Module):
    """Keep a list of the names of the modules that are running, innermost last."""
    running: list[str] = []
    handles = []

    def leave(*_) -> None:  # what a hook returns would replace the module's output
        running.pop()

    for name, inner in module.named_modules():
        handles.append(inner.register_forward_pre_hook(lambda *_, name=name: running.append(name)))
        handles.append(inner.register_forward_hook(leave, always_call=True))
    try:
        yield running
    finally:
        for handle in handles:
            handle.remove()


def to_numpy(tensor: torch.Tensor | np.ndarray) -> np.ndarray:
    """Give a tensor's numbers, from whatever device; NumPy has no bfloat16, they become float32."""
    if not isinstance(tensor, torch.Tensor):
        return np.asarray(tensor)
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _in_single_precision(module: torch.nn.Module) -> torch.nn.Module:
    if all(one.dtype not in (torch.float16, torch.bfloat16) for one in module.parameters()):
        return module
    try:
        return copy.deepcopy(module).float()
    except Exception as error:  # hooks and handles of any kind may be inside
        raise InputError(f"the network is in half precision and cannot be copied ({flattened(error)}); "
                         "give it in single precision, as module.float() makes it") from error

"""PyTorch modules: the operations that the dispatcher sees while the forward pass runs are the taps.

A recorder below Python and TorchScript sees every operation, whether a module, a functional call or a script makes it,
so any control flow is fine. No code but the module's own forward pass runs.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from kipoi_motifrep.core.errors import InputError, first_line, flattened
from kipoi_motifrep.networks.source import PROBE, Convolution, OtherWay, Tap, Unreadable

LONG = 20_000  # positions from which on a recording only works out shapes


class TorchSource:
    """A PyTorch module.

    Parameters
    ----------
    module : torch.nn.Module
        The network; it is put into evaluation mode while it runs here. Of one
        in half precision a float32 copy runs, for sums and ties as elsewhere.
    """

    framework = "PyTorch"
    left_out = ""

    def __init__(self, module: torch.nn.Module):
        module = getattr(module, "_orig_mod", module)  # what torch.compile was given: the compiler cannot be followed
        if any(one.dtype in (torch.float16, torch.bfloat16) for one in module.parameters()):
            try:
                module = copy.deepcopy(module).float()
            except Exception as error:  # hooks and handles of any kind may be inside
                raise InputError(
                    f"the network is in half precision and cannot be copied ({flattened(error)}); "
                    "give it in single precision, as module.float() makes it"
                ) from error
        self.module = module

    def input_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Shapes of the inputs of a Keras model that runs on PyTorch; other modules do not know theirs.

        Returns
        -------
        dict
            Place, as text, to shape without the batch axis; mostly empty.
        """
        inputs = getattr(self.module, "inputs", None)
        known = isinstance(inputs, list) and all(hasattr(one, "shape") for one in inputs)
        return {str(place): tuple(one.shape[1:]) for place, one in enumerate(inputs)} if known and inputs else {}

    def input_types(self) -> dict[str, str]:
        """Say nothing: a module does not know its inputs.

        Returns
        -------
        dict
            Empty.
        """
        return {}

    def trace(self, inputs: Mapping[str, np.ndarray]) -> TorchPass:
        """Run the network once.

        Parameters
        ----------
        inputs : mapping of str to numpy.ndarray
            A batch.

        Returns
        -------
        TorchPass
            Every tensor that is made from an input is a tap.
        """
        if max(size for one in inputs.values() for size in one.shape) > LONG:
            recorded = TorchPass(self, inputs, FakeTensorMode(allow_non_fake_inputs=True))
            if recorded.failure is None:  # else the way depends on numbers
                return recorded
        return TorchPass(self, inputs, nullcontext())

    def predict(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Run the network as it is.

        Parameters
        ----------
        inputs : mapping of str to numpy.ndarray
            A batch of all inputs, in order.

        Returns
        -------
        list of numpy.ndarray
            Its outputs.
        """
        with self.running():
            return [_to_numpy(one) for one in _tensors(self.forward(self.placed(inputs)))]

    def channel_axis(self, n_axes: int) -> int:
        """Axis of an output that tells its columns apart: the one behind that of the sequences."""
        return 1

    def untrained(self, seed: int) -> torch.nn.Module:
        """Copy the module, and reset every part with parameters by its own ``reset_parameters()``.

        Raises
        ------
        Unreadable
            If a part has none; the message names it.
        """
        try:
            fresh = copy.deepcopy(self.module)
        except Exception as error:  # hooks and handles of any kind may be inside
            raise Unreadable(f"its PyTorch module cannot be copied ({first_line(error)[:200]})") from error
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for name, module in fresh.named_modules():
                names = ("reset_parameters", "_reset_parameters")
                reset = next(filter(callable, (getattr(module, one, None) for one in names)), None)
                own = dict(module.named_parameters(recurse=False))
                if reset is not None:
                    reset()
                elif own:
                    raise Unreadable(
                        f"its module {name or type(module).__name__} ({type(module).__name__}) has no "
                        f"reset_parameters() for {', '.join(own)}"
                    )
        return fresh

    def contents(self) -> tuple[str, list[np.ndarray]]:
        """Give the module as it prints itself with the names of its weights, and these."""
        state = self.module.state_dict()
        arrays = [value.detach().cpu().numpy() for value in state.values() if hasattr(value, "detach")]
        return f"{self.module}\n{list(state)}", arrays

    def forward(self, inputs: Mapping[str, torch.Tensor]) -> object:
        """Call the module: with several named inputs by their names, else in order."""
        if all(isinstance(name, str) and not name.isdigit() for name in inputs) and len(inputs) > 1:
            return self.module(**inputs)
        return self.module(*inputs.values())

    def placed(self, inputs: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
        """Bring numbers to the device and type of the module's parameters; indices stay what they are."""
        like = next(self.module.parameters(), None)
        tensors = {name: torch.as_tensor(np.ascontiguousarray(one)) for name, one in inputs.items()}
        if like is None:
            return tensors
        whole = (torch.int16, torch.int32, torch.int64, torch.bool)  # one-hot sequences may be int8
        return {
            name: one.to(like.device, one.dtype if one.dtype in whole else like.dtype) for name, one in tensors.items()
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep the module in evaluation mode, and without gradients, within the block."""
        # In training mode batch norm would use the batch and dropout would drop.
        training = [module for module in self.module.modules() if module.training]
        self.module.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            for module in training:
                module.training = True

    @contextmanager
    def watched(self, stack: list[tuple[str, int, bool]]) -> Iterator[None]:
        """Keep the modules that are running in a list, innermost last: name, number of the call, whether a leaf."""
        handles, number = [], 0

        def enter(name: str, leaf: bool) -> None:
            nonlocal number
            number += 1
            stack.append((name, number, leaf))

        def leave(*_) -> None:  # what a hook returns would replace the module's output
            stack.pop()

        for name, inner in self.module.named_modules():
            if not isinstance(inner, torch.jit.ScriptModule):  # scripts call no hooks of Python
                leaf = next(inner.children(), None) is None and bool(name)
                handles.append(inner.register_forward_pre_hook(lambda *_, name=name, leaf=leaf: enter(name, leaf)))
                handles.append(inner.register_forward_hook(leave, always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


class TorchPass:
    """See ``ForwardPass`` in :mod:`kipoi_motifrep.networks.source`.

    Parameters
    ----------
    source : TorchSource
        The network.
    inputs : mapping of str to numpy.ndarray
        The batch to record.
    setting : context manager
        In which it runs.
    """

    def __init__(self, source: TorchSource, inputs: Mapping[str, np.ndarray], setting: Any):
        self._source = source
        self.failure: Exception | None = None
        self.outputs: Sequence[int] = ()
        names = {one.data_ptr(): name.rpartition(".")[0] for name, one in source.module.named_parameters()}
        of_keras: Any = getattr(source.module, "_flatten_layers", list)
        for layer in of_keras():
            names.update((one.value.data_ptr(), layer.name) for one in layer.weights)
        stack: list[tuple[str, int, bool]] = []
        with source.running(), source.watched(stack), setting as fake:
            tensors = source.placed(inputs)
            if fake is not None:
                tensors = {name: fake.from_tensor(one) for name, one in tensors.items()}
            recorder = _Recorder(tensors, stack, names)
            try:
                with recorder:
                    result = source.forward(tensors)
                self.outputs = [recorder.numbers[one] for one in _tensors(result) if one in recorder.numbers]
            except Exception as error:  # a stranger's forward pass can fail in any way
                self.failure = error
        self.taps, self._weights, self._strides = recorder.taps, recorder.weights, recorder.strides

    def run(
        self,
        inputs: Mapping[str, np.ndarray],
        wanted: Sequence[int],
        given: Mapping[int, np.ndarray] | None = None,
        fresh: Collection[int] = (),
    ) -> list[np.ndarray]:
        """Run the network as far as some taps; see ``ForwardPass``.

        Raises
        ------
        InputError
            If the network cannot be run.
        OtherWay
            If it takes another way than when it was traced.
        """
        with self._source.running():
            tensors = self._source.placed(inputs)
            placed = self._source.placed({str(place): one for place, one in (given or {}).items()})
            held = {int(place): self._laid_out(int(place), one) for place, one in placed.items()}
            # A part of an input may take its place.
            tensors = {name: held.get(number, one) for number, (name, one) in enumerate(tensors.items())}
            follower = _Follower(tensors, self.taps, wanted, held, fresh)
            try:
                if not follower.complete:  # as it is where inputs alone are wanted: the first layer may be the longest
                    with follower:
                        self._source.forward(tensors)
            except Exception as error:  # a stranger's forward pass can fail in any way; scripts hide ours in theirs
                if not follower.complete:
                    if follower.stopped is not None:
                        raise OtherWay(follower.stopped) from error
                    n = len(next(iter(inputs.values())))
                    raise InputError(
                        f"the network's forward pass fails on a batch of {n} sequences, though not on "
                        f"the {PROBE} that it was tried on ({type(error).__name__}: {flattened(error)}); "
                        "a smaller batch size may help"
                    ) from error
        if not follower.complete:
            raise OtherWay("it ends before the values wanted")
        return [_to_numpy(follower.caught[one]) for one in wanted]

    def _laid_out(self, place: int, tensor: torch.Tensor) -> torch.Tensor:
        """Put a tensor's numbers into memory in the order of the one that was recorded.

        What is a view of one order is a copy of another: other operations would follow.
        """
        order = sorted(range(tensor.ndim), key=lambda axis: -self._strides[place][axis])
        return tensor.permute(order).contiguous().permute([order.index(axis) for axis in range(tensor.ndim)])

    def weights(self, place: int) -> list[np.ndarray]:
        """Give the kernel of a convolution.

        Parameters
        ----------
        place : int
            Its tap.

        Returns
        -------
        list of numpy.ndarray
            One.
        """
        return [_to_numpy(self._weights[place])]


class _Stop(Exception):
    """All values that were wanted are there, or cannot be."""


class _Numbered(TorchDispatchMode):
    """Knows which tap each tensor is that is made from the inputs; others are not looked at."""

    def __init__(self, inputs: Mapping[str, torch.Tensor]):
        super().__init__()
        self.numbers = WeakIdKeyDictionary()  # so that no tensor lives longer, and no identity is used twice
        for number, tensor in enumerate(inputs.values()):
            self.numbers[tensor] = number

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        used = [self.numbers[one] for one in _tensors((args, kwargs)) if one in self.numbers]
        if not used or not any("Tensor" in str(one.type) for one in function._schema.returns):
            return function(*args, **kwargs)
        label = function.overloadpacket.__name__.strip("_").removeprefix("native_").removesuffix("_with_indices")
        return self.at(function, label, tuple(used), args, kwargs)

    def at(self, function: Any, label: str, used: tuple[int, ...], args: tuple, kwargs: dict) -> Any:
        """Do what is to be done with an operation on such tensors."""
        raise NotImplementedError


class _Recorder(_Numbered):
    """Lists the taps of a forward pass."""

    def __init__(
        self, inputs: Mapping[str, torch.Tensor], stack: Sequence[tuple[str, int, bool]], names: Mapping[int, str]
    ):
        super().__init__(inputs)
        self.stack, self.names = stack, names
        self.taps = [Tap(name, "input", "input", (), tuple(one.shape)) for name, one in inputs.items()]
        self.weights: dict[int, torch.Tensor] = {}
        self.strides = [one.stride() for one in inputs.values()]

    def at(self, function: Any, label: str, used: tuple[int, ...], args: tuple, kwargs: dict) -> Any:
        result = function(*args, **kwargs)
        for tensor in _tensors(result):
            place = self.numbers[tensor] = len(self.taps)  # one that is changed in place gets a new number
            name, call, leaf = self.stack[-1] if self.stack else ("", 0, False)
            convolution = label == "convolution" and not args[6]  # which says: transposed
            if convolution:
                self.weights[place] = args[1]
                name = name or self.names.get(args[1].data_ptr(), "")
            self.strides.append(tensor.stride())
            of = Convolution(1, used[0]) if convolution else None
            self.taps.append(Tap(name or label, label, label, used, tuple(tensor.shape), call if leaf else None, of))
        return result


class _Follower(_Numbered):
    """Goes along with a forward pass like the recorded one; catches what is wanted, and hands out what is given."""

    def __init__(
        self,
        inputs: Mapping[str, torch.Tensor],
        taps: Sequence[Tap],
        wanted: Sequence[int],
        given: Mapping[int, torch.Tensor],
        fresh: Collection[int],
    ):
        super().__init__(inputs)
        self.taps, self.wanted, self.given, self.fresh = taps, set(wanted), given, fresh
        self.caught = {number: one for number, one in enumerate(inputs.values()) if number in self.wanted}
        self.next = len(inputs)
        self.stopped: str | None = None

    @property
    def complete(self) -> bool:
        """Whether all values that were wanted are there."""
        return len(self.caught) == len(self.wanted)

    def at(self, function: Any, label: str, used: tuple[int, ...], args: tuple, kwargs: dict) -> Any:
        if self.next >= len(self.taps) or self.taps[self.next].label != label:
            expected = self.taps[self.next].label if self.next < len(self.taps) else "nothing more"
            self.stopped = f"{label} runs in the place of {expected}"
            raise _Stop
        if self.next in self.fresh:
            random = torch.Generator().manual_seed(self.next)
            args = (args[0], torch.randn(args[1].shape, generator=random).to(args[1]), *args[2:])
        held = self.given.get(self.next)
        changed = next((one for one in _tensors(args) if function._schema.is_mutable and one in self.numbers), None)
        if held is None:
            result = function(*args, **kwargs)
        elif changed is not None:
            result = changed.copy_(held)
        elif len(function._schema.returns) == 1:
            result = held.clone()
        else:  # the first of several, such as a pooling's values
            result = (held.clone(), *function(*args, **kwargs)[1:])
        for tensor in _tensors(result):
            self.numbers[tensor] = self.next
            if self.next in self.wanted:
                self.caught[self.next] = tensor
                if not self.complete:
                    self.caught[self.next] = tensor.clone()  # later calls may work in place
            self.next += 1
        if self.complete:
            raise _Stop
        return result


def _tensors(structure: object) -> list[torch.Tensor]:
    return [one for one in tree_leaves(structure) if isinstance(one, torch.Tensor)]


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()

"""A Kipoi model class for Keras files of any age: verified weights, activations and input gradients.

Kipoi's own ``KerasModel`` was written for Keras 2: under Keras 3 it opens no file of Keras 2,
cannot give activations or gradients, cannot open a downloaded weight file (Kipoi saves it
under its bare md5, without a suffix) and never checks that md5.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
from kipoi.model import KerasModel

from kipoi_motifrep.core.digests import file_digest
from kipoi_motifrep.core.errors import InputError, show_plainly_in_kipoi
from kipoi_motifrep.networks.from_keras import KerasSource
from kipoi_motifrep.networks.keras_files import load_keras

if TYPE_CHECKING:
    import keras

REDUCTIONS = ("sum", "max", "min", "absmax")


class Keras3Model(KerasModel):
    """A Keras model, for ``defined_as`` in a model.yaml; takes the arguments of Kipoi's own class.

    Code in the files does not run; that of `custom_objects`, a part of the Kipoi model as
    its loader is, does.

    Parameters
    ----------
    weights : str
        A whole model or weights, of Keras 1, 2 or 3; a download that Kipoi named by its md5
        is recognised and checked.
    arch : str, optional
        JSON or YAML file of the architecture, for weights alone.
    custom_objects : str, optional
        Python file with a dictionary ``OBJECTS`` of classes and functions.
    backend, image_dim_ordering : str, optional
        Part of Kipoi's signature; the files themselves say what is needed of them.
    md5 : str, optional
        Expected md5 of a local file of weights.

    Attributes
    ----------
    model : keras.Model or tf_keras.Model
        The network; of tf-keras for files of Keras 1 and 2.

    Raises
    ------
    InputError
        If the file is missing, its md5 differs, or Keras cannot open it.

    Examples
    --------
    >>> import numpy
    >>> from kipoi_motifrep import shipped_weights
    >>> model = Keras3Model(str(shipped_weights("synthetic/cnn_1")))
    >>> model.predict_on_batch(numpy.zeros((2, 200, 4))).shape
    (2, 12)
    """

    MODEL_PACKAGE = "keras"
    whole = True  # a part of a network is of no use for predictions; see load_keras

    def __init__(
        self,
        weights: str,
        arch: str | None = None,
        custom_objects: str | None = None,
        backend: str | None = None,
        image_dim_ordering: str | None = None,
        md5: str | None = None,
    ):
        show_plainly_in_kipoi()
        check_md5(weights, md5)
        if arch is not None:
            check_md5(arch)
        self.weights, self.arch, self.backend, self.image_dim_ordering = weights, arch, backend, image_dim_ordering
        self.activation_functions: dict[str, Callable] = {}
        self.model = load_keras(weights, arch, custom_objects, self.whole)
        self._folder = os.getcwd()  # Kipoi makes the model in its own folder

    @property
    def test(self):
        """Kipoi's description of the model's test; a local file of expected predictions lies with the model."""
        return self._test

    @test.setter
    def test(self, value):
        if isinstance(value.expect, str):
            value.expect = os.path.join(self._folder, value.expect)
        self._test = value

    def predict_on_batch(self, x: np.ndarray) -> np.ndarray:
        """Predict one batch.

        Parameters
        ----------
        x : numpy.ndarray, shape (n, L, 4), or what else the network reads
            One-hot sequences.

        Returns
        -------
        numpy.ndarray, shape (n, n_outputs)
            Predictions.

        Raises
        ------
        InputError
            If the sequences are not as long as those the network reads.
        """
        self._check_shape(x)
        return self.model.predict_on_batch(x)

    def _check_shape(self, x: np.ndarray) -> None:
        # Keras would say it in a page; with several inputs it is left to it.
        expected = self.model.inputs[0].shape
        if not isinstance(x, np.ndarray) or len(self.model.inputs) > 1:
            return
        if x.ndim == len(expected) and all(e in (None, g) for e, g in zip(expected, x.shape, strict=True)):
            return
        advice = "set alphabet_axis and dummy_axis of the dataloader"
        if x.ndim == len(expected) == 3 and x.shape[2] == expected[2]:
            advice = f"give the dataloader auto_resize_len={expected[1]}"
        raise InputError(
            f"the network reads sequences of shape {_shape(expected[1:])}, these have {_shape(x.shape[1:])}; {advice}"
        )

    def predict_activation_on_batch(
        self, x: np.ndarray, layer: int | str, pre_nonlinearity: bool = False
    ) -> np.ndarray | list[np.ndarray]:
        """Give a layer's output for one batch.

        Parameters
        ----------
        x : numpy.ndarray
            As for :meth:`predict_on_batch`.
        layer : str or int
            Name, or position counted from 1 (the input is not counted).
        pre_nonlinearity : bool, default False
            Give what enters the layer's activation function.

        Returns
        -------
        numpy.ndarray
            The output; a list where the layer is used several times.

        Raises
        ------
        InputError
            If there is no such layer.
        """
        self._check_shape(x)
        outputs = self._up_to(self._layer(layer), pre_nonlinearity)(x)
        # Keras may run on PyTorch, whose tensors know their gradients.
        values = [np.asarray(one.detach().cpu() if hasattr(one, "detach") else one) for one in outputs]
        return values[0] if len(values) == 1 else values

    def input_grad(
        self,
        x: np.ndarray,
        filter_idx: int | slice | tuple | None = None,
        avg_func: str | None = None,
        layer: int | str | None = None,
        final_layer: bool = True,
        selected_fwd_node: None = None,
        pre_nonlinearity: bool = False,
    ) -> np.ndarray:
        """Give the gradient of outputs with respect to the input, sequence by sequence.

        Parameters
        ----------
        x : numpy.ndarray
            As for :meth:`predict_on_batch`.
        filter_idx : int, slice or tuple, optional
            Which of the layer's outputs. A tuple indexes all its axes, with or
            without the batch axis.
        avg_func : str, optional
            "sum" (as without it), "max", "min" or "absmax" of the chosen outputs
            of each sequence.
        layer : str or int, optional
            As for :meth:`predict_activation_on_batch`; overrides `final_layer`.
        final_layer : bool, default True
            Use the network's output.
        selected_fwd_node : None
            Part of Kipoi's signature; not supported.
        pre_nonlinearity : bool, default False
            Differentiate what enters the layer's activation function.

        Returns
        -------
        numpy.ndarray, shape of `x`
            Gradients; the answer does not depend on the batch.

        Raises
        ------
        InputError
            If the outputs are not chosen, or an argument is wrong.
        """
        if filter_idx is None and avg_func is None:
            raise InputError("input_grad needs filter_idx (which outputs) or avg_func (how to sum them up)")
        if avg_func is not None and avg_func not in REDUCTIONS:
            raise InputError(f"avg_func is {avg_func!r}; it must be one of {', '.join(REDUCTIONS)}")
        if selected_fwd_node is not None:
            raise InputError("selected_fwd_node is not supported for Keras models")
        if layer is None and not final_layer:
            raise InputError("input_grad needs layer, or final_layer=True")
        if KerasSource(self.model).backend != "tensorflow":
            raise InputError("gradients need Keras's tensorflow backend; set KERAS_BACKEND=tensorflow")
        self._check_shape(x)
        chosen = self._output_layer() if layer is None else self._layer(layer)
        return _gradient(self._up_to(chosen, pre_nonlinearity), chosen.name, x, filter_idx, avg_func)

    def _layer(self, layer: int | str) -> keras.layers.Layer:
        layers = [one for one in self.model.layers if type(one).__name__ != "InputLayer"]
        if isinstance(layer, int) or str(layer).isdigit():
            if 1 <= int(layer) <= len(layers):
                return layers[int(layer) - 1]
        for one in layers:
            if one.name == layer:
                return one
        raise InputError(
            f"there is no layer {layer!r}; the network's layers are {', '.join(one.name for one in layers)}"
        )

    def _output_layer(self) -> keras.layers.Layer:
        if len(self.model.outputs) > 1:
            raise InputError("the network has several outputs; choose one of their layers for input_grad")
        return self.model.outputs[0]._keras_history[0]

    def _up_to(self, layer: keras.layers.Layer, pre_nonlinearity: bool) -> Callable:
        key = f"{layer.name}, {pre_nonlinearity}"
        if key not in self.activation_functions:  # compiled at its first use
            self.activation_functions[key] = KerasSource(self.model).up_to(layer, pre_nonlinearity)
        return self.activation_functions[key]


def _shape(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"


def _gradient(
    reach: Callable, name: str, x: np.ndarray, filter_idx: int | slice | tuple | None, avg_func: str | None
) -> np.ndarray:
    import tensorflow as tf

    inputs = tf.convert_to_tensor(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        uses = reach(inputs)
        if len(uses) > 1:
            raise InputError(f"layer {name!r} is used {len(uses)} times in the network; choose another for input_grad")
        output = uses[0]
        chosen = output if filter_idx is None else output[_full_index(filter_idx, output.shape)]
        axes = list(range(1, len(chosen.shape)))
        if avg_func in ("max", "min"):
            chosen = getattr(tf, f"reduce_{avg_func}")(chosen, axes)
        elif avg_func == "absmax":
            chosen = tf.reduce_max(tf.abs(chosen), axes)
        target = tf.reduce_sum(chosen)
    return tape.gradient(target, inputs).numpy()


def _full_index(filter_idx: int | slice | tuple, shape: Sequence[int]) -> tuple[int | slice, ...]:
    index = tuple(filter_idx) if isinstance(filter_idx, tuple | list) else (filter_idx,)
    if len(index) > len(shape):
        raise InputError(f"filter_idx has {len(index)} axes, the layer's output {len(shape)}")
    # One index alone chooses filters, which are the last axis; what else is missing is the batch axis.
    before = len(shape) - 1 if len(index) == 1 else len(shape) - len(index)
    if before > 1 and len(index) > 1:
        raise InputError(f"filter_idx has {len(index)} axes; give one for the filters, or all {len(shape) - 1}")
    index = (slice(None),) * before + index
    for one, size in zip(index, shape, strict=True):
        if isinstance(one, slice):
            continue
        if not isinstance(one, Integral) or not -size <= int(one) < size:
            raise InputError(
                f"filter_idx is {filter_idx!r}; the layer gives {_shape(tuple(shape)[1:])} values a "
                "sequence, counted from 0"
            )
    return tuple(one if isinstance(one, slice) else int(one) for one in index)


def check_md5(path: str | os.PathLike, md5: str | None = None) -> None:
    """Check a file against its md5, or against its own name where that is an md5.

    Parameters
    ----------
    path : str or path-like
        The file.
    md5 : str, optional
        Expected, hexadecimal.

    Raises
    ------
    InputError
        If the file is missing or differs.
    """
    name = os.path.basename(path)
    name = name.removeprefix("md5:")  # some groups of the zoo write it so
    expected = md5 or (name if re.fullmatch("[0-9a-f]{32}", name) else None)
    if os.path.isdir(path):
        raise InputError("is a folder, not a weight file; save the network as one file", path=path)
    if not os.path.isfile(path):
        raise InputError("there is no such weight file", path=path)
    if expected is None:
        return
    found = file_digest(path, "md5")
    if found != expected.lower().removeprefix("md5:"):
        raise InputError(
            f"the weights are damaged or not those meant (md5 {found}, expected {expected}); remove the "
            "file and fetch it again",
            path=path,
        )

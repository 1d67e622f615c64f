"""The 17 networks of Koo & Eddy (2019) as one table, and the function that builds them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.networks.backend import import_keras

if TYPE_CHECKING:
    import keras

# Of all networks of the paper.
PAPER_LENGTH = 200
WEIGHT_DECAY = 1e-6
BATCH_NORM = {"momentum": 0.99, "epsilon": 1e-8}
CONV_DROPOUT, DENSE_DROPOUT = 0.1, 0.5


@dataclass(frozen=True)
class Conv:
    """One convolutional block: convolution, batch norm, activation, max-pooling, dropout.

    Attributes
    ----------
    filters, width : int
        Number and width of the filters.
    pool : int
        Width of the max-pooling; 1 for none.
    stride : int or None
        Stride of the pooling; its width by default.
    padding : str
        Of the convolution.
    """

    filters: int
    width: int
    pool: int = 1
    stride: int | None = None
    padding: str = "same"


@dataclass(frozen=True)
class Architecture:
    """The layers of a network: convolutional blocks, a hidden dense layer, an output a label.

    Attributes
    ----------
    convs : tuple of Conv
        From the input up.
    dense : int
        Units of the hidden dense layer.

    Examples
    --------
    >>> first, second = ARCHITECTURES["cnn_25"].convs
    >>> first.filters, first.width, first.pool
    (30, 19, 25)
    """

    convs: tuple[Conv, ...]
    dense: int = 512


def _two(filters: int, width: int, pool1: int, pool2: int) -> Architecture:
    return Architecture((Conv(filters, width, pool1), Conv(128, 5, pool2)))


# PLOS Comput Biol 15(12):e1007560, Methods, and the paper's supplement. The two poolings of
# most multiply to 100, so that the number of parameters does not depend on the first one.
ARCHITECTURES: dict[str, Architecture] = {
    "cnn_1": _two(30, 19, 1, 100),
    "cnn_2": _two(30, 19, 2, 50),
    "cnn_4": _two(30, 19, 4, 25),
    "cnn_10": _two(30, 19, 10, 10),
    "cnn_25": _two(30, 19, 25, 4),
    "cnn_50": _two(30, 19, 50, 2),
    "cnn_100": _two(30, 19, 100, 1),
    "cnn_50_2": Architecture((Conv(30, 19, 50, stride=2), Conv(64, 5, 50)), dense=96),
    "cnn9_4": _two(30, 9, 4, 25),
    "cnn9_25": _two(30, 9, 25, 4),
    "cnn3_2": _two(30, 3, 2, 50),
    "cnn3_50": _two(30, 3, 50, 2),
    "cnn_2_1": Architecture((Conv(30, 19, 2), Conv(128, 1, 50, padding="valid"))),
    "cnn_25_60": _two(60, 19, 25, 4),
    "cnn_25_90": _two(90, 19, 25, 4),
    "cnn_25_120": _two(120, 19, 25, 4),
    "cnn_1_3": Architecture((Conv(30, 19), Conv(128, 5), Conv(128, 5, 100))),
}


def select(names: Sequence[str]) -> list[str]:
    """Check names of architectures, spell out ``all``, and leave out what is named twice.

    Parameters
    ----------
    names : sequence of str
        Names of the table, or ``["all"]``.

    Returns
    -------
    list of str
        Names in the order given.

    Raises
    ------
    InputError
        If a name is not in the table.

    Examples
    --------
    >>> select(["cnn_25", "cnn_2", "cnn_25"])
    ['cnn_25', 'cnn_2']
    >>> len(select(["all"]))
    17
    """
    if list(names) == ["all"]:
        return list(ARCHITECTURES)
    for name in names:
        if name not in ARCHITECTURES:
            raise InputError(f"there is no architecture {name!r}; choose from {', '.join(ARCHITECTURES)} or all")
    return list(dict.fromkeys(names))


def build(
    name: str, length: int = PAPER_LENGTH, n_outputs: int = 12, first_activation: str = "relu", seed: int | None = None
) -> keras.Model:
    """Build an architecture, with fresh Glorot-uniform weights.

    Parameters
    ----------
    name : str
        A name of :data:`ARCHITECTURES`.
    length : int, default 200
        Bases per sequence.
    n_outputs : int, default 12
        Number of labels.
    first_activation : str, default "relu"
        Activation after the first convolution; "exponential" is that of Koo &
        Ploenzke (2021, Nat Mach Intell 3:258).
    seed : int, optional
        Of the weights and of dropout: those that follow from ``keras.utils.set_random_seed(seed)``.
        By default they depend on the state of Python's own generator, and no file of the network holds them.

    Returns
    -------
    keras.Model
        (n, length, 4) one-hot ACGT to (n, n_outputs) probabilities. Layers are
        named ``conv1``, ``conv1_norm``, ``conv1_activation``, ``conv1_pool``,
        ``conv1_dropout``, ``conv2`` ..., ``dense``, ``output``.

    Raises
    ------
    InputError
        If the name is unknown.

    Examples
    --------
    >>> build("cnn_25", length=1000, n_outputs=3).output_shape
    (None, 3)
    """
    keras = import_keras()
    from keras import layers

    if name not in ARCHITECTURES:
        raise InputError(f"there is no architecture {name!r}; choose from {', '.join(ARCHITECTURES)}")
    architecture, decay = ARCHITECTURES[name], keras.regularizers.L2(WEIGHT_DECAY)
    # As Keras draws the seeds of layers that have none, but from a generator that no other thread uses.
    generator = random.Random(seed)

    def draw() -> int | None:
        return None if seed is None else generator.randint(1, 10**9)

    def weights() -> dict[str, object]:
        return {"kernel_initializer": keras.initializers.GlorotUniform(draw()), "kernel_regularizer": decay}

    x = inputs = keras.Input((length, 4), name="sequence")
    for i, conv in enumerate(architecture.convs, 1):
        block = f"conv{i}"
        # No bias: batch normalisation has one.
        x = layers.Conv1D(conv.filters, conv.width, padding=conv.padding, use_bias=False, **weights(), name=block)(x)
        x = layers.BatchNormalization(**BATCH_NORM, name=f"{block}_norm")(x)
        x = layers.Activation(first_activation if i == 1 else "relu", name=f"{block}_activation")(x)
        if conv.pool > 1:
            x = layers.MaxPooling1D(conv.pool, conv.stride, padding="same", name=f"{block}_pool")(x)
        x = layers.Dropout(CONV_DROPOUT, seed=draw(), name=f"{block}_dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(architecture.dense, use_bias=False, **weights(), name="dense")(x)
    x = layers.BatchNormalization(**BATCH_NORM, name="dense_norm")(x)
    x = layers.Activation("relu", name="dense_activation")(x)
    x = layers.Dropout(DENSE_DROPOUT, seed=draw(), name="dense_dropout")(x)
    x = layers.Dense(n_outputs, **weights(), bias_regularizer=decay, name="logits")(x)
    outputs = layers.Activation("sigmoid", name="output")(x)
    return keras.Model(inputs, outputs, name=name)

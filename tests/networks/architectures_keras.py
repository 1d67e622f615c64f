"""Published networks that were written in Keras, after their papers: random weights, few units.

`ARCHITECTURES` gives for each its maker, the length of its sequences, the name of its first convolution and of its
activation (None where that is within the convolution), what to tell `open_network`, and where it comes from.
"""

import numpy as np
import pytest

keras = pytest.importorskip("keras")
layers = keras.layers
Model, Input = keras.Model, keras.Input


def random_batch_norms(model):
    """Give every batch norm statistics as after training, so that leaving one out would be seen."""
    random = np.random.default_rng(1)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, one.shape) for one in layer.get_weights()])
    return model


def deepbind():
    dna = Input((101, 4))
    h = layers.Conv1D(16, 24, activation="relu", name="first")(dna)
    h = layers.Concatenate()([layers.GlobalMaxPooling1D()(h), layers.GlobalAveragePooling1D()(h)])
    return Model(dna, layers.Dense(1)(layers.Dense(32, activation="relu")(h)))


def danq():
    return keras.Sequential(
        [
            Input((200, 4)),
            layers.Conv1D(32, 26, activation="relu", name="first"),
            layers.MaxPooling1D(13, 13),
            layers.Dropout(0.2),
            layers.Bidirectional(layers.LSTM(8, return_sequences=True)),
            layers.Flatten(),
            layers.Dense(9, activation="relu"),
            layers.Dense(5, activation="sigmoid"),
        ]
    )


def factornet():
    """DNA with two signals beside it, forward and reverse, through the same layers; and features of the cell."""
    forward, reverse, meta = Input((120, 6), name="forward"), Input((120, 6), name="reverse"), Input((3,), name="meta")
    shared = [
        layers.Conv1D(8, 26, name="first"),
        layers.Activation("relu", name="act"),
        layers.Dropout(0.1),
        layers.TimeDistributed(layers.Dense(6, activation="relu")),
        layers.MaxPooling1D(5),
        layers.Bidirectional(layers.LSTM(4)),
        layers.Flatten(),
    ]
    branches = []
    for h in (forward, reverse):
        for layer in shared:
            h = layer(h)
        branches.append(layers.Dense(1, activation="sigmoid")(layers.Concatenate()([h, meta])))
    return Model([forward, reverse, meta], layers.Average()(branches))


def deepcpg():
    dna = Input((101, 4), name="dna")
    h = layers.MaxPooling1D(4)(layers.Activation("relu", name="act")(layers.Conv1D(16, 11, name="first")(dna)))
    h = layers.MaxPooling1D(2)(layers.Activation("relu")(layers.Conv1D(16, 3)(h)))
    return Model(dna, layers.Dense(2, activation="sigmoid")(layers.Dense(8, activation="relu")(layers.Flatten()(h))))


def cpgenie():
    """Kernels along the last axis, channels first."""
    options = {"data_format": "channels_first", "padding": "same", "activation": "relu"}
    return keras.Sequential(
        [
            Input((4, 1, 101)),
            layers.Conv2D(12, (1, 5), name="first", **options),
            layers.MaxPooling2D((1, 5), 3, data_format="channels_first", padding="same"),
            layers.Conv2D(6, (1, 5), **options),
            layers.Flatten(),
            layers.Dense(2, activation="softmax"),
        ]
    )


def bpnet(width=25, crop=False):
    dna = Input((200, 4))
    h = layers.Conv1D(16, width, padding="valid" if crop else "same", activation="relu", name="first")(dna)
    for i in (1, 2, 3):
        new = layers.Conv1D(16, 3, dilation_rate=2**i, padding="valid" if crop else "same", activation="relu")(h)
        cut = (h.shape[1] - new.shape[1]) // 2
        h = layers.add([layers.Cropping1D(cut)(h) if cut else h, new])
    if crop:  # ChromBPNet
        profile = layers.Conv1D(1, 15, padding="valid")(h)
    else:  # BPNet
        profile = layers.Reshape((200, 2))(
            layers.Conv2DTranspose(2, (5, 1), padding="same")(layers.Reshape((200, 1, 16))(h))
        )
    return Model(dna, [profile, layers.Dense(1)(layers.GlobalAveragePooling1D()(h))])


def spliceai():
    """Any length; the residual blocks begin with batch norm and ReLU, beside which the first convolution goes on."""
    dna = Input((None, 4))
    conv = layers.Conv1D(32, 1, name="first")(dna)
    skip = layers.Conv1D(32, 1)(conv)
    for i, (width, rate) in enumerate(((11, 1), (11, 4))):
        h = layers.Activation("relu", name=f"act{i}")(layers.BatchNormalization()(conv))
        h = layers.Conv1D(32, width, dilation_rate=rate, padding="same")(h)
        h = layers.Conv1D(32, width, dilation_rate=rate, padding="same")(
            layers.Activation("relu")(layers.BatchNormalization()(h))
        )
        conv = layers.add([conv, h])
        skip = layers.add([skip, layers.Conv1D(32, 1)(conv)])
    return Model(dna, layers.Conv1D(3, 1, activation="softmax")(layers.Cropping1D(600)(skip)))


def deepstarr():
    dna = Input((249, 4))
    h = layers.Conv1D(24, 7, padding="same", name="first")(dna)
    h = layers.MaxPooling1D(2)(layers.Activation("relu", name="act")(layers.BatchNormalization()(h)))
    h = layers.Flatten()(layers.MaxPooling1D(2)(layers.Conv1D(6, 3, padding="same", activation="relu")(h)))
    return Model(dna, [layers.Dense(1, name=name)(h) for name in ("Dev", "Hk")])


def deepmel():
    """Two inputs, the sequence and its reverse complement, through the same layers."""
    forward, reverse = Input((120, 4)), Input((120, 4))
    shared = [
        layers.Conv1D(16, 20, activation="relu", name="first"),
        layers.MaxPooling1D(10),
        layers.Dropout(0.2),
        layers.TimeDistributed(layers.Dense(8, activation="relu")),
        layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
        layers.Flatten(),
        layers.Dense(6, activation="sigmoid"),
    ]
    branches = []
    for h in (forward, reverse):
        for layer in shared:
            h = layer(h)
        branches.append(h)
    return Model([forward, reverse], layers.Average()(branches))


def mpra_dragonn():
    stack = [Input((145, 4))]
    for i in range(3):
        stack += [
            layers.Conv1D(12, 5, activation="relu", name=f"conv{i}"),
            layers.BatchNormalization(),
            layers.Dropout(0.1),
        ]
    return keras.Sequential([*stack, layers.Flatten(), layers.Dense(4)])


def aparent():
    """An image of the bases, and which library the sequence is from."""
    dna, library = Input((205, 4, 1), name="dna"), Input((3,), name="library")
    h = layers.MaxPooling2D((2, 1))(layers.Conv2D(12, (8, 4), activation="relu", name="first")(dna))
    h = layers.Flatten()(layers.Conv2D(6, (6, 1), activation="relu")(h))
    return Model([dna, library], layers.Dense(1, activation="sigmoid")(layers.Concatenate()([h, library])))


def optimus():
    options = {"padding": "same", "activation": "relu"}
    return keras.Sequential(
        [
            Input((50, 4)),
            layers.Conv1D(24, 8, name="first", **options),
            layers.Conv1D(12, 8, **options),
            layers.Dropout(0.1),
            layers.Flatten(),
            layers.Dense(4, activation="relu"),
            layers.Dense(1),
        ]
    )


def xpresso():
    """The promoter, and features of the half-life of the messenger."""
    dna, half_life = Input((300, 4), name="promoter"), Input((8,), name="halflife")
    h = layers.MaxPooling1D(30)(layers.Conv1D(16, 6, padding="same", activation="relu", name="first")(dna))
    h = layers.MaxPooling1D(5)(layers.Conv1D(8, 9, padding="same", activation="relu")(h))
    return Model([dna, half_life], layers.Dense(1)(layers.Concatenate()([layers.Flatten()(h), half_life])))


def basenji(first=True):
    """Basenji 2 and scBasset: GELU before each convolution (of one, on the one-hot sequence, too), then max pooling."""

    class GELU(layers.Layer):
        def call(self, x):
            return keras.activations.sigmoid(1.702 * x) * x

    dna = h = Input((256, 4))
    for i in range(2):
        h = GELU(name=f"gelu{i}")(h) if i or first else h
        h = layers.Conv1D(24, 15 if not i else 5, padding="same", use_bias=False, name=f"conv{i}")(h)
        h = layers.MaxPooling1D(2, padding="same")(layers.BatchNormalization()(h))
    h = GELU(name="last")(layers.Conv1D(8, 1, use_bias=False)(h))
    return Model(dna, layers.Dense(3, activation="softplus")(h))


def residualbind():
    dna = Input((41, 4))
    h = layers.Conv1D(16, 11, use_bias=False, padding="same", name="first")(dna)
    h = layers.Dropout(0.1)(layers.Activation("exponential", name="act")(layers.BatchNormalization()(h)))
    r = layers.BatchNormalization()(layers.Conv1D(16, 3, padding="same", dilation_rate=2)(h))
    h = layers.MaxPooling1D(10)(layers.Activation("relu")(layers.add([h, r])))
    return Model(dna, layers.Dense(1)(layers.Flatten()(h)))


ARCHITECTURES = {
    "DeepBind": (deepbind, 101, "first", None, {}, "Alipanahi et al. 2015"),
    "DanQ": (danq, 200, "first", None, {}, "Quang & Xie 2016"),
    "FactorNet": (factornet, 120, "first", "act", {"dna_channels": "0:4"}, "Quang & Xie 2019"),
    "DeepCpG, DNA module": (deepcpg, 101, "first", "act", {}, "Angermueller et al. 2017"),
    "CpGenie": (cpgenie, 101, "first", None, {}, "Zeng & Gifford 2017"),
    "BPNet": (bpnet, 200, "first", None, {}, "Avsec et al. 2021"),
    "ChromBPNet": (lambda: bpnet(21, True), 200, "first", None, {}, "Pampari et al. 2024"),
    "SpliceAI": (spliceai, 1300, "first", "act0", {"length": 1300}, "Jaganathan et al. 2019"),
    "DeepSTARR": (deepstarr, 249, "first", "act", {}, "de Almeida et al. 2022"),
    "DeepMEL": (deepmel, 120, "first", None, {}, "Minnoye et al. 2020"),
    "MPRA-DragoNN": (mpra_dragonn, 145, "conv0", None, {}, "Movva et al. 2019"),
    "APARENT": (aparent, 205, "first", None, {}, "Bogard et al. 2019"),
    "Optimus 5-prime": (optimus, 50, "first", None, {}, "Sample et al. 2019"),
    "Xpresso": (xpresso, 300, "first", None, {}, "Agarwal & Shendure 2020"),
    "Basenji2": (basenji, 256, "conv0", None, {}, "Kelley 2020"),
    "scBasset": (lambda: basenji(False), 256, "conv0", None, {}, "Yuan & Kelley 2022"),
    "ResidualBind": (residualbind, 41, "first", "act", {}, "Koo et al. 2021"),
}

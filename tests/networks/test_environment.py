"""What the machine lacks is not blamed on a network's file: memory, and packages of Keras's backend."""

import pytest

from kipoi_motifrep import InputError
from kipoi_motifrep.networks import keras_files
from kipoi_motifrep.networks.loading import load_model


@pytest.mark.parametrize(
    "error, raised, words",
    [
        (MemoryError(), MemoryError, None),
        (
            ModuleNotFoundError("No module named 'jax'", name="jax"),
            InputError,
            "^Keras needs jax, .* unset KERAS_BACKEND",
        ),
        (ValueError("bad"), InputError, r"cnn_2\.keras: Keras cannot load it \(bad\)"),
    ],
)
def test_what_is_no_fault_of_the_file(monkeypatch, checkout, error, raised, words):
    def fails(*_):
        raise error

    monkeypatch.setattr(keras_files, "_open", fails)
    with pytest.raises(raised, match=words):
        load_model(checkout / "models/synthetic/weights/cnn_2.keras")

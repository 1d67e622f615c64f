"""What a model is, in one number: whether a result belongs to it."""

from __future__ import annotations

import hashlib

import numpy as np

from kipoi_motifrep.networks.loading import inner_network


def model_digest(model: object) -> str:
    """Digest a loaded model's architecture and weights.

    Parameters
    ----------
    model : object
        A Kipoi model, a Keras model or a ``torch.nn.Module``.

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    framework, network = inner_network(model)
    digest = hashlib.sha256(framework.encode())
    if framework == "Keras":
        digest.update(_keras_architecture(network).encode())
        arrays = network.get_weights()
    else:
        state = network.state_dict()
        digest.update(f"{network}\n{list(state)}".encode())
        arrays = [value.detach().cpu().numpy() for value in state.values() if hasattr(value, "detach")]
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _keras_architecture(network) -> str:
    try:
        return network.to_json()
    except Exception:  # subclassed models need not have a configuration
        return type(network).__qualname__

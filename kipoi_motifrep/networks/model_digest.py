"""What a model is, in one number: whether a result belongs to it."""

from __future__ import annotations

import hashlib

import numpy as np

from kipoi_motifrep.networks.loading import source_of


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
    source = source_of(model)
    architecture, weights = source.contents()
    digest = hashlib.sha256(source.framework.encode())
    digest.update(architecture.encode())
    for array in weights:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()

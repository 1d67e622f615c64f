"""A network of the same architecture that never learned anything."""

from __future__ import annotations

from kipoi_motifrep.networks.loading import source_of


def untrained_copy(model: object, seed: int = 0) -> object:
    """Copy a model's network with fresh random weights; the model stays as it is.

    Keras: cloned from its configuration, so that every layer draws from its own
    initialiser. PyTorch: a deep copy, of which every module that holds parameters is
    reset by its own ``reset_parameters()``.

    Parameters
    ----------
    model : object
        A loaded Kipoi model, a Keras model or a ``torch.nn.Module``.
    seed : int, default 0
        Of the random weights.

    Returns
    -------
    keras.Model or torch.nn.Module
        The copy.

    Raises
    ------
    Unreadable
        If a part of it cannot be made afresh; the message names it.
    """
    return source_of(model).untrained(seed)

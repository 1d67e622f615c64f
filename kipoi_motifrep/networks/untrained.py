"""A network of the same architecture that never learned anything."""

from __future__ import annotations

import copy
import importlib
import random
from collections.abc import Mapping

from kipoi_motifrep.core.errors import first_line
from kipoi_motifrep.networks.loading import inner_network
from kipoi_motifrep.networks.source import Unreadable


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
    framework, network = inner_network(model)
    return _keras_copy(network, seed) if framework == "Keras" else _torch_copy(network, seed)


def _keras_copy(network, seed: int):
    # A model of Keras 2 is of another library, which clones it.
    old = any(one.__module__.startswith("tf_keras.") for one in type(network).__mro__)
    keras = importlib.import_module("tf_keras" if old else "keras")
    before = random.getstate()
    random.seed(seed)  # initialisers without a seed of their own take one from here
    try:
        return keras.models.clone_model(network)
    except Exception as error:  # a subclassed model has no configuration
        raise Unreadable(f"its Keras model cannot be cloned ({first_line(error)[:200]})") from error
    finally:
        random.setstate(before)


def _torch_copy(network, seed: int):
    import torch

    try:
        fresh = copy.deepcopy(network)
    except Exception as error:  # hooks and handles of any kind may be inside
        raise Unreadable(f"its PyTorch module cannot be copied ({first_line(error)[:200]})") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, module in fresh.named_modules():
            _reset(name, module)
    return fresh


def _reset(name: str, module) -> None:
    for method in ("reset_parameters", "_reset_parameters"):
        if callable(getattr(module, method, None)):
            getattr(module, method)()
            return
    own: Mapping = dict(module.named_parameters(recurse=False))
    if own:
        raise Unreadable(
            f"its module {name or type(module).__name__} ({type(module).__name__}) has no "
            f"reset_parameters() for {', '.join(own)}"
        )

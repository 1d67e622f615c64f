"""A network that the user's own Python file makes, for weights that have no description beside them."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from kipoi_motifrep.core.errors import InputError, flattened
from kipoi_motifrep.core.progress import say

Made = TypeVar("Made")


def is_users_code(arch: str | os.PathLike | None) -> bool:
    """Tell a file of Python and a name in it from a network's description.

    Parameters
    ----------
    arch : str or path-like, optional
        As it was given.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_users_code("net.py:Net"), is_users_code("model.json")
    (True, False)
    """
    return arch is not None and str(arch).rpartition(":")[0].endswith(".py")


def made_by(arch: str | os.PathLike, kind: type[Made], settings: Mapping[str, object] | None = None) -> Made:
    """Run the user's file, and make the network that it defines.

    Parameters
    ----------
    arch : str or path-like
        ``FILE.py:name`` of a network, or of a class or function that makes one.
    kind : type
        Of a network.
    settings : mapping, optional
        Arguments by name; of these, those that the class or function takes.

    Returns
    -------
    torch.nn.Module, keras.Model or tf_keras.Model
        Of the kind.

    Raises
    ------
    InputError
        If there is no such file or name, it fails, or makes something else.
    """
    file, _, name = str(arch).rpartition(":")
    path = Path(file)
    of = "PyTorch" if kind.__module__.startswith("torch.") else "Keras"
    if not is_users_code(arch) or not path.is_file():
        raise InputError(f"arch={arch}: for weights of {of} give FILE.py:Class, a file of Python that is here")
    say(f"{path}: runs, for its {name}")
    spec = importlib.util.spec_from_file_location(f"kipoi_motifrep_arch_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look
    sys.path.insert(0, str(path.parent.absolute()))
    try:
        spec.loader.exec_module(module)
        if not hasattr(module, name):
            raise InputError(f"defines no {name!r}", path=path)
        found = getattr(module, name)
        if not isinstance(found, kind):
            takes = inspect.signature(found).parameters
            found = found(**{key: value for key, value in (settings or {}).items() if key in takes})
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{name} cannot be made ({type(error).__name__}: {flattened(error)}); a function without "
            f"arguments that makes it can stand in its place: FILE.py:function",
            path=path,
        ) from error
    finally:
        sys.path.remove(str(path.parent.absolute()))
    if not isinstance(found, kind):
        wanted = "torch.nn.Module" if of == "PyTorch" else f"{kind.__module__.split('.')[0]}.Model"
        raise InputError(f"{name} makes a {type(found).__name__}, which is no {wanted}", path=path)
    return found

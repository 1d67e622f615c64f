"""Importing Keras without the pages that TensorFlow prints while it starts."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from kipoi_motifrep.core.errors import InputError

BACKENDS = ("tensorflow", "jax", "torch", "numpy", "openvino")


def check_backend() -> None:
    """See that the backend that ``KERAS_BACKEND`` asks for is there, before Keras fails on it with a page.

    Raises
    ------
    InputError
        If Keras has no such backend, or its package is not installed.
    """
    backend = os.environ.get("KERAS_BACKEND")
    if not backend:
        return
    if backend not in BACKENDS:
        raise InputError(f"KERAS_BACKEND is {backend!r}; it must be one of {', '.join(BACKENDS)}")
    if importlib.util.find_spec(backend) is None:
        raise InputError(f"KERAS_BACKEND is {backend!r}, which is not installed; install it, or unset KERAS_BACKEND")


def import_keras() -> ModuleType:
    """Import Keras with its backend.

    Returns
    -------
    module
        ``keras``. What its backend printed on standard error is thrown away,
        unless the import fails.

    Raises
    ------
    InputError
        If the backend asked for is not there.
    """
    if "keras" not in sys.modules:
        check_backend()
    return _imported("keras")


def import_tf_keras() -> ModuleType:
    """Import Keras 2, which lives on as tf-keras, as :func:`import_keras` imports Keras.

    Returns
    -------
    module
        ``tf_keras``.

    Raises
    ------
    InputError
        If it is not installed.
    """
    if importlib.util.find_spec("tf_keras") is None:
        raise InputError("files of Keras 1 and 2 need tf-keras, which is not installed (pip install tf_keras)")
    return _imported("tf_keras")


def _imported(name: str) -> ModuleType:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _quiet_start():
        module = importlib.import_module(name)
    logging.getLogger("tensorflow").addFilter(_no_retracing)
    return module


def _no_retracing(record: logging.LogRecord) -> bool:
    # It is said of parts of a network that are compiled one after the other, each once, as here.
    return "triggered tf.function retracing" not in record.getMessage()


@contextmanager
def _quiet_start() -> Iterator[None]:
    # TensorFlow's libraries write to file descriptor 2 themselves, before any log level applies.
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no standard error at all
        yield
        return
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)

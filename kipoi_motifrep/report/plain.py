"""Plain values: what a report is made of, how it gets that way, and how JSON becomes it again."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing

from kipoi_motifrep.core.errors import InputError

Matrix = tuple[tuple[float, ...], ...]
PlainValue = str | float | int | bool | None | tuple | dict


class Plain:
    """Base of all parts: converts what it is given to plain, hashable values."""

    def __post_init__(self) -> None:
        for part in dataclasses.fields(self):
            object.__setattr__(self, part.name, plain(getattr(self, part.name)))


def plain(value: object) -> object:
    """Convert numpy arrays and scalars, lists and paths to plain values; NaN to None.

    Parameters
    ----------
    value : object

    Returns
    -------
    object
        Text, number, bool, None, tuple or dict of these, or one of this module's types.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | float | int | Plain | None) else str(value)


def build(kind: object, value: object) -> object:
    """Turn values read from JSON back into the type that a field declares.

    Parameters
    ----------
    kind : type
        A dataclass, or what a field of one is annotated with.
    value : object
        Lists stand for tuples, dicts for dataclasses; keys that are not fields are left out.

    Returns
    -------
    object

    Raises
    ------
    TypeError
        If there is something else in a dataclass's place, or a field is missing.
    """
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        chosen = next((option for option in typing.get_args(kind) if option is not types.NoneType), None)
        return None if value is None else build(chosen, value)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise TypeError(f"{kind.__name__} is {value!r:.40}")
        hints = _hints(kind)
        return kind(**{name: build(hints[name], item) for name, item in value.items() if name in hints})
    if origin is tuple and dataclasses.is_dataclass(typing.get_args(kind)[0]):
        return tuple(build(typing.get_args(kind)[0], item) for item in value)
    return value  # the object itself makes lists into tuples


@functools.cache
def _hints(kind: type) -> dict[str, object]:
    return typing.get_type_hints(kind)


def check_matrix(matrix: Matrix, what: str) -> None:
    """Raise InputError unless this is a matrix with four columns."""
    if not isinstance(matrix, tuple) or not matrix or any(
            not isinstance(row, tuple) or len(row) != 4 or None in row for row in matrix):
        raise InputError(f"{what} must be a matrix of finite numbers with four columns")


def check_choice(value: object, choices: tuple, what: str) -> None:
    """Raise InputError unless the value is one of the choices."""
    if value not in choices:
        raise InputError(f"{what} must be one of {', '.join(map(str, choices))}, not {value!r}")


def check_length(values: tuple | None, others: tuple, what: str, of: str) -> None:
    """Raise InputError unless there are as many values as others, or none."""
    if values is not None and len(values) != len(others):
        raise InputError(f"{what}: {len(values)} values for {len(others)} {of}")

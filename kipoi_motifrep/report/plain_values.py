"""Plain values: what a report is made of, how it gets that way, and how JSON becomes it again."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Sequence

from kipoi_motifrep.core.errors import InputError

Matrix = tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True)
class Plain:
    """Base of all parts: converts what it is given to plain, hashable values."""

    def __post_init__(self) -> None:
        for part in dataclasses.fields(self):
            object.__setattr__(self, part.name, plain_value(getattr(self, part.name)))


PlainValue = str | float | int | bool | None | tuple | dict | Plain


def plain_value(value: object) -> PlainValue:
    """Convert numpy arrays and scalars, lists and paths to plain values; NaN to None.

    Parameters
    ----------
    value : object

    Returns
    -------
    str, float, int, bool, None, tuple or dict
        The same, of these types alone; parts of a report stay.

    Examples
    --------
    >>> plain_value([1, float("nan"), {"a": [2.5]}])
    (1, None, {'a': (2.5,)})
    """
    # Numbers first: nearly all values of a report are those of matrices.
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | Plain):
        return value
    if hasattr(value, "tolist"):
        return plain_value(value.tolist())
    if isinstance(value, list | tuple):
        return tuple([plain_value(item) for item in value])
    if isinstance(value, dict):
        return {str(key): plain_value(item) for key, item in value.items()}
    return str(value)


P = typing.TypeVar("P", bound=Plain)
_HINTS: dict[type[Plain], dict[str, object]] = {}


def build(kind: type[P], value: object) -> P:
    """Turn an object read from JSON back into one of the types of a report.

    Parameters
    ----------
    kind : type
        A dataclass.
    value : object
        A dict of its fields; keys that are not fields are left out.

    Returns
    -------
    Plain
        An object of that type.

    Raises
    ------
    TypeError
        If a field is missing, or something is of another type than its field says: whoever wrote the file, a page
        is made of it.
    """
    if not isinstance(value, dict):
        raise TypeError(f"{kind.__name__} is {value!r:.40}")
    if kind not in _HINTS:  # a report has thousands of parts, of ten types
        _HINTS[kind] = typing.get_type_hints(kind)
    hints = _HINTS[kind]
    for name, item in value.items():
        if name in hints and not _test(hints[name])(item):
            raise TypeError(f"{name} of a {kind.__name__} is {item!r:.40}")
    return kind(**{name: _built(hints[name], item) for name, item in value.items() if name in hints})


def _built(hint: object, value: object) -> object:
    """Build what a field is annotated with: a part, an optional one, a tuple of them; the rest is plain already."""
    options = [one for one in typing.get_args(hint) if one is not types.NoneType]
    if value is not None and typing.get_origin(hint) in (types.UnionType, typing.Union):
        return _built(options[0], value)
    inner = options[0] if typing.get_origin(hint) is tuple else hint
    if value is None or not isinstance(inner, type) or not issubclass(inner, Plain):
        return value  # the object itself makes lists into tuples
    if inner is hint:
        return build(inner, value)
    if not isinstance(value, list):
        raise TypeError(f"a list of {inner.__name__} is {value!r:.40}")
    return tuple(build(inner, item) for item in value)


@functools.cache
def _test(hint: object) -> Callable[[object], bool]:
    """Make a test of values read from JSON. Numbers of a list are looked at by their types alone, which is quick."""
    options = typing.get_args(hint)
    if hint is float:
        return lambda value: type(value) in (int, float) and abs(value) < math.inf  # type: ignore[arg-type]
    if hint is int:
        return lambda value: type(value) is int
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        tests = [_test(option) for option in options]
        return lambda value: any(test(value) for test in tests)
    if typing.get_origin(hint) is dict:
        test = _test(options[1])
        return lambda value: isinstance(value, dict) and all(map(test, value.values()))
    if typing.get_origin(hint) is tuple and options[-1] is not Ellipsis:
        tests = [_test(option) for option in options]
        return lambda value: (
            isinstance(value, list)
            and len(value) == len(tests)
            and all(test(item) for test, item in zip(tests, value, strict=True))
        )
    if typing.get_origin(hint) is tuple:
        leaves: dict[object, set[type]] = {kind: {kind} for kind in (str, int, bool)}
        leaves |= {float: {int, float}, float | None: {int, float, types.NoneType}}
        allowed = leaves.get(options[0])
        if allowed is not None:
            return lambda value: isinstance(value, list) and allowed.issuperset(map(type, value))
        test = _test(options[0])
        return lambda value: isinstance(value, list) and all(map(test, value))
    kind = list if hint is tuple else dict if isinstance(hint, type) and issubclass(hint, Plain) else hint
    return lambda value: type(value) is kind


def check_matrix(matrix: Matrix, what: str) -> None:
    """Raise InputError unless this is a matrix with four columns."""
    if (
        not isinstance(matrix, tuple)
        or not matrix
        or any(not isinstance(row, tuple) or len(row) != 4 or None in row for row in matrix)
    ):
        raise InputError(f"{what} must be a matrix of finite numbers with four columns")


def check_choice(value: object, choices: Sequence[object], what: str) -> None:
    """Raise InputError unless the value is one of the choices."""
    if value not in choices:
        raise InputError(f"{what} must be one of {', '.join(map(str, choices))}, not {value!r}")


def check_length(values: Sequence[object] | None, others: Sequence[object], what: str, of: str) -> None:
    """Raise InputError unless there are as many values as others, or none."""
    if values is not None and len(values) != len(others):
        raise InputError(f"{what}: {len(values)} values for {len(others)} {of}")

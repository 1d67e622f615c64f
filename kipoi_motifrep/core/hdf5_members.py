"""HDF5 files of anybody's making: what lies in other files, or HDF5 would crash over, is refused before it is read."""

from __future__ import annotations

import os
from typing import TypeVar

import h5py

from kipoi_motifrep.core.errors import InputError

Member = TypeVar("Member", h5py.Group, h5py.Dataset)
ELSEWHERE = "{!r} is a link, or lies in another file; copy its values into this one"


def stored(group: h5py.Group, name: str, kind: type[Member], path: str | os.PathLike) -> Member:
    """Give a member of an HDF5 group, if its values lie in this very file.

    Parameters
    ----------
    group : h5py.Group
        An open file, or a group of it.
    name : str
        Of the member.
    kind : type
        ``h5py.Group`` or ``h5py.Dataset``.
    path : str or path-like
        The file, for errors.

    Returns
    -------
    h5py.Group or h5py.Dataset
        The member.

    Raises
    ------
    ValueError
        If there is none of that name, or it is of another kind.
    InputError
        If it is a link, or its values lie in another file.
    """
    link = group.get(name, getlink=True)  # looked at before it is followed
    if link is None:
        raise ValueError(f"it has no {name!r}")
    found = group[name] if isinstance(link, h5py.HardLink) else None
    if found is None or (isinstance(found, h5py.Dataset) and _elsewhere(found)):
        raise InputError(ELSEWHERE.format(name), path=path)
    if not isinstance(found, kind):
        raise ValueError(f"{name!r} is no {kind.__name__.lower()}")
    return found


def arrays_in(group: h5py.Group, path: str | os.PathLike) -> list[h5py.Dataset]:
    """List all arrays below an HDF5 group, if all of it lies in this very file.

    Parameters
    ----------
    group : h5py.Group
        An open file, or a group of it.
    path : str or path-like
        The file, for errors.

    Returns
    -------
    list of h5py.Dataset
        None of them is read.

    Raises
    ------
    InputError
        If something is a link, or its values lie in another file.
    """
    # Links are listed, and not followed; an array that has several names, or a ring of groups, is met once.
    link = group.visititems_links(lambda name, one: None if isinstance(one, h5py.HardLink) else name)
    arrays: dict[str, h5py.Dataset] = {}
    if link is None:
        group.visititems(lambda name, one: arrays.update({name: one}) if isinstance(one, h5py.Dataset) else None)
    other = link or next((name for name, one in arrays.items() if _elsewhere(one)), None)
    if other is not None:
        raise InputError(ELSEWHERE.format(other), path=path)
    return list(arrays.values())


def texts_of(group: h5py.Group, name: str) -> list[str]:
    """Read the texts of an attribute.

    Parameters
    ----------
    group : h5py.Group
        An open file, or a group of it.
    name : str
        Of the attribute.

    Returns
    -------
    list of str
        One for an attribute that is no list.

    Raises
    ------
    ValueError
        If it holds something else.

    Examples
    --------
    >>> with h5py.File("x.h5", "w", driver="core", backing_store=False) as file:
    ...     file.attrs["layer_names"] = [b"conv", b"dense"]
    ...     texts_of(file, "layer_names")
    ['conv', 'dense']
    """
    values = group.attrs.get_id(name)
    if 0 in (values.shape or ()):  # an empty list, which has the type of numbers
        return []
    check_texts(values, name)
    found = group.attrs[name]
    many = [found] if isinstance(found, (str, bytes)) else list(found.flat)
    return [one.decode() if isinstance(one, bytes) else str(one) for one in many]


def check_texts(values: h5py.Dataset | h5py.h5a.AttrID, name: str) -> None:
    """Refuse values that are no texts before any is read: HDF5 itself can crash over those of a damaged type.

    Parameters
    ----------
    values : h5py.Dataset or h5py.h5a.AttrID
        The values.
    name : str
        What they are, for the error.

    Raises
    ------
    ValueError
        If they are not texts.
    """
    if h5py.check_string_dtype(values.dtype) is None:
        raise ValueError(f"its {name} holds no texts")


def _elsewhere(array: h5py.Dataset) -> bool:
    return bool(array.external or array.is_virtual)

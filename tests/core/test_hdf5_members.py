"""HDF5 files of others: what lies elsewhere is refused before it is read, texts are told from other values."""

import h5py
import numpy as np
import pytest

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.hdf5_members import arrays_in, stored, texts_of


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a/b"] = np.zeros((2, 3))
        file["c"] = np.zeros(4)
        file["a/again"] = file["c"]
        file["a/ring"] = file["a"]
    return tmp_path / "x.h5"


def soft(file, name):
    file[name] = h5py.SoftLink("/c")


def external(file, name):
    file[name] = h5py.ExternalLink("other.h5", "c")


def raw(file, name):
    file.create_dataset(name, (3,), "u1", external=[(f"{file.filename}.raw", 0, h5py.h5f.UNLIMITED)])


def virtual(file, name):
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "c", (4,))
    file.create_virtual_dataset(name, layout)


def test_each_array_is_listed_once_though_it_has_two_names_and_a_group_holds_itself(path):
    with h5py.File(path, "r") as file:
        assert sorted(one.shape for one in arrays_in(file, path)) == [(2, 3), (4,)]
        assert stored(file, "a", h5py.Group, path) == file["a"]


@pytest.mark.parametrize("place", [soft, external, raw, virtual])
def test_what_lies_elsewhere_is_refused(path, place):
    with h5py.File(path, "r+") as file:
        place(file, "a/x")
        for call in (lambda: arrays_in(file, path), lambda: stored(file["a"], "x", h5py.Dataset, path)):
            with pytest.raises(InputError, match=r"x\.h5: '(a/)?x' is a link, or lies in another file; copy"):
                call()


def test_a_member_that_is_missing_or_of_another_kind(path):
    with h5py.File(path, "r") as file:
        with pytest.raises(ValueError, match="it has no 'd'"):
            stored(file, "d", h5py.Dataset, path)
        with pytest.raises(ValueError, match="'c' is no group"):
            stored(file, "c", h5py.Group, path)


@pytest.mark.parametrize(
    ("value", "texts"),
    [("one", ["one"]), (b"one", ["one"]), (["a", "b"], ["a", "b"]), (np.array([b"a", b"bc"]), ["a", "bc"]), ([], [])],
)
def test_texts(path, value, texts):
    with h5py.File(path, "r+") as file:
        file.attrs["x"] = value
        assert texts_of(file, "x") == texts


@pytest.mark.parametrize("value", [3, [1.5, 2.5]])
def test_numbers_are_no_texts(path, value):
    with h5py.File(path, "r+") as file:
        file.attrs["x"] = value
        with pytest.raises(ValueError, match="its x holds no texts"):
            texts_of(file, "x")

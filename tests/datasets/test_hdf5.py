"""The one layout of dataset files: as documented, whole or not there at all."""

import errno
import json
import os

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.small_files import PROGRAM, small_files

from kipoi_motifrep.cli import program as cli
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.datasets import hdf5 as datasets
from kipoi_motifrep.datasets.hdf5 import SPLITS, create_dataset, open_dataset


def some(n, length=9, labels=2, seed=0):
    random = np.random.default_rng(seed)
    return (random.integers(0, 5, (n, length)).astype(np.uint8), random.integers(-1, 2, (n, labels)).astype(np.int8))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "new" / "data.h5"
    with create_dataset(path, 9, ["one", "two"], {"command": "test", "seed": 7}) as writer:
        for i, split in enumerate(SPLITS):
            for part in range(3):
                writer.append(
                    split,
                    *some(5 + i, seed=10 * i + part),
                    [f"{split}_{part}_{row}" for row in range(5 + i)] if split == "test" else None,
                )
    return path


def test_the_layout_is_the_documented_one(path):
    with h5py.File(path) as file:
        assert set(file) == {"train", "valid", "test"} and set(file.attrs) == {"label_names", "provenance"}
        assert list(file.attrs["label_names"]) == ["one", "two"]
        provenance = json.loads(file.attrs["provenance"])
        assert provenance["command"] == "test" and provenance["seed"] == 7 and "numpy" in provenance["versions"]
        for i, split in enumerate(SPLITS):
            n = 3 * (5 + i)
            assert (file[split]["sequences"].shape, file[split]["sequences"].dtype) == ((n, 9), np.uint8)
            assert (file[split]["labels"].shape, file[split]["labels"].dtype) == ((n, 2), np.int8)
            assert ("names" in file[split]) == (split == "test")
        assert file["test/names"].asstr()[7] == "test_1_0"


def test_what_was_written_is_read_whole_and_in_parts(path):
    dataset = open_dataset(path)
    assert dataset.length == 9 and dataset.label_names == ("one", "two") and dataset.provenance["seed"] == 7
    for i, split in enumerate(SPLITS):
        parts = [some(5 + i, seed=10 * i + part) for part in range(3)]
        expected = [np.concatenate(values) for values in zip(*parts, strict=True)]
        assert len(dataset[split]) == 3 * (5 + i)
        for key, values in zip(("sequences", "labels"), expected, strict=True):
            np.testing.assert_array_equal(dataset[split].read(key), values)
            np.testing.assert_array_equal(dataset[split].read(key, 4, 9), values[4:9])
            np.testing.assert_array_equal(dataset[split].read(key, 12, 99), values[12:])
        batches = list(dataset[split].batches(4))
        np.testing.assert_array_equal(np.concatenate([sequences for sequences, _ in batches]), expected[0])
        np.testing.assert_array_equal(np.concatenate([labels for _, labels in batches]), expected[1])
    assert dataset["test"].read("names", 0, 2).tolist() == ["test_0_0", "test_0_1"]
    assert dataset["train"].read("names", 3, 5).tolist() == ["train_3", "train_4"]


def test_other_iupac_letters_are_stored_as_n(tmp_path):
    with create_dataset(tmp_path / "d.h5", 4, ["x"], {}) as writer:
        writer.append("train", np.array([[0, 4, 5, 15]], np.uint8), np.array([[1]], np.int8))
    assert open_dataset(tmp_path / "d.h5")["train"].read("sequences").tolist() == [[0, 4, 4, 4]]


def test_a_split_that_is_not_there(path):
    with pytest.raises(InputError, match=r"data\.h5: there is no split 'tests'; choose one of train, valid, test"):
        open_dataset(path)["tests"]


def test_texts_that_hdf5_cannot_store_leave_no_file(tmp_path):
    with pytest.raises(InputError, match="NUL"), create_dataset(tmp_path / "d.h5", 9, ["one", "two"], {}) as writer:
        writer.append("train", *some(2), ["a", "b\0c"])
    with pytest.raises(InputError, match="NUL"), create_dataset(tmp_path / "d.h5", 9, ["one", "t\0"], {}):
        pass
    assert left_over(tmp_path) == []


def left_over(folder):
    return [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_an_exception_leaves_no_file_and_an_old_one_as_it_was(tmp_path, error):
    path = tmp_path / "data.h5"
    for before in (None, b"an older file"):
        if before:
            path.write_bytes(before)
        with pytest.raises(error), create_dataset(path, 9, ["one", "two"], {}) as writer:
            writer.append("train", *some(5))
            raise error
        assert left_over(tmp_path) == ([str(path)] if before else [])
    assert path.read_bytes() == b"an older file"


def test_a_disk_that_fills_up_leaves_no_file(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(datasets.DatasetWriter, "append", full)
    assert cli.main(["simulate", "-n", "50", "-o", str(tmp_path / "data.h5")]) == 2
    captured = capsys.readouterr()
    said = f"{tmp_path / 'data.h5'}: no space left on device; make room there, or choose another output"
    assert captured.err.splitlines() == [f"kipoi-motifrep: error: {said}"]
    assert left_over(tmp_path) == []


def test_a_file_that_cannot_grow_leaves_no_file(tmp_path, run_python, one_problem):
    """As on a full disk, but for real: HDF5 itself meets the error, when it writes or when it closes."""
    program = small_files(100_000) + PROGRAM
    done = run_python("-c", program, "simulate", "-n", "5000", "-o", tmp_path / "data.h5")
    one_problem(done)
    assert "data.h5" in done.stderr
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("where", ["/proc/none/data.h5", "/dev/null/data.h5"])
def test_a_place_that_cannot_be_written(where, capsys):
    assert cli.main(["simulate", "-n", "50", "-o", where]) == 2
    assert capsys.readouterr().err.startswith(f"kipoi-motifrep: error: {where}: cannot write here")


def replaced(key, data):
    def damage(file):
        del file[key]
        file[key] = data

    return damage


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda file: file.attrs.pop("label_names"), "not a dataset file"),
        (lambda file: file.pop("valid"), "not a dataset file"),
        (lambda file: file["test"].pop("labels"), "not a dataset file"),
        (lambda file: file.attrs.update(provenance="not JSON"), "not a dataset file"),
        (replaced("valid", [1, 2]), "not a dataset file"),
        (replaced("test/labels", np.zeros((21, 3), "i1")), "do not fit together"),
        (replaced("test/labels", np.zeros((20, 2), "i1")), "do not fit together"),
        (replaced("test/sequences", np.zeros((21, 9, 4), "u1")), "do not fit together"),
        (replaced("test/sequences", np.zeros((21, 8), "u1")), "different lengths, 8 and 9 bp"),
        (replaced("train/sequences", np.zeros((15, 9))), "sequences are float64"),
        (replaced("train/labels", np.zeros((15, 2))), "labels float64"),
    ],
)
def test_other_layouts_are_refused_with_the_reason(path, damage, words):
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(InputError) as error:
        open_dataset(path)
    assert str(error.value).startswith(f"{path}: ") and words in str(error.value)


def test_files_that_are_no_hdf5(tmp_path, path):
    with pytest.raises(InputError, match="there is no such file"):
        open_dataset(tmp_path / "none.h5")
    with pytest.raises(InputError, match="is a folder; name the dataset file"):
        open_dataset(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is no regular file; name the dataset file"):
        open_dataset(tmp_path / "pipe")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match="not a readable HDF5 file"):
        open_dataset(path)
    path.write_text("text")
    with pytest.raises(InputError, match="not a readable HDF5 file"):
        open_dataset(path)


def attribute(name, value):
    return lambda file: file.attrs.update({name: value})


def as_group(key):
    def damage(file):
        del file[key]
        file.create_group(key)

    return damage


def in_a_raw_file(file):
    """Values that would be the bytes of any file of the reader's."""
    del file["test/sequences"]
    raw = f"{file.filename}.raw"
    with open(raw, "wb") as other:
        other.write(bytes(21 * 9))
    file.create_dataset("test/sequences", (21, 9), "u1", external=[(raw, 0, h5py.h5f.UNLIMITED)])


def virtual(file):
    with h5py.File(f"{file.filename}.other", "w") as other:
        other["x"] = np.zeros((21, 9), "u1")
    layout = h5py.VirtualLayout((21, 9), "u1")
    layout[:] = h5py.VirtualSource(f"{file.filename}.other", "x", (21, 9))
    del file["test/sequences"]
    file.create_virtual_dataset("test/sequences", layout)


@pytest.mark.parametrize(
    "damage, words",
    [
        (attribute("label_names", "one"), "no list of texts"),
        (attribute("label_names", [1, 2]), "no texts"),
        (attribute("label_names", h5py.Empty("S3")), "no list of texts"),
        (attribute("label_names", [["one", "two"]]), "no list of texts"),
        (attribute("label_names", np.array([b"\xff", b"x"])), "not a dataset file"),
        (attribute("label_names", ["one", "one"]), "two labels are called 'one'; give them different names"),
        (attribute("label_names", ["one"]), "do not fit together"),
        (attribute("provenance", 7), "not a dataset file"),
        (attribute("provenance", "[]"), "its provenance is no JSON object"),
        (attribute("provenance", "[" * 9000), "not a dataset file"),
        (attribute("provenance", h5py.Empty("f")), "not a dataset file"),
        (replaced("test/names", ["x"] * 20), "names are object (20,); they must be 21 texts, one a sequence"),
        (replaced("test/names", np.arange(21)), "names are int64 (21,)"),
        (replaced("test/names", h5py.SoftLink("/test/names")), "'names' is a link"),
        (replaced("test/labels", h5py.SoftLink("/test/labels")), "'labels' is a link"),
        (replaced("test", h5py.SoftLink("/train")), "'test' is a link"),
        (replaced("test", h5py.ExternalLink("other.h5", "/test")), "'test' is a link, or lies in another file; copy"),
        (in_a_raw_file, "'sequences' is a link, or lies in another file"),
        (virtual, "'sequences' is a link, or lies in another file"),
        (replaced("train", np.array(b"x")), "'train' is no group"),
        (as_group("test/labels"), "'labels' is no dataset"),
        (replaced("test/labels", 3), "do not fit together"),
    ],
)
def test_hostile_or_broken_layouts_are_refused_in_one_line(path, damage, words):
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(InputError) as error:
        open_dataset(path)
    assert str(error.value).startswith(f"{path}: ") and words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("storage", [{}, {"chunks": True}, {"compression": "gzip"}])
def test_files_of_others_may_be_stored_in_any_way(path, storage):
    with h5py.File(path, "r+") as file:
        values = {key: file["test"][key][()] for key in ("sequences", "labels", "names")}
        del file["test"]
        for key, value in values.items():
            file.create_dataset(f"test/{key}", data=value, **storage)
    test = open_dataset(path)["test"]
    for key in ("sequences", "labels"):
        np.testing.assert_array_equal(test.read(key), values[key])
    assert test.read("names").tolist() == [name.decode() for name in values["names"]]


def test_values_that_were_never_written_are_not_read_as_zeros(path):
    with h5py.File(path, "r+") as file:
        del file["test/sequences"], file["test/labels"], file["test/names"]
        for key, width, dtype in (("sequences", 9, "u1"), ("labels", 2, "i1")):
            file.create_dataset(f"test/{key}", (1 << 40, width), dtype, chunks=(1 << 20, width))
    with pytest.raises(InputError, match="test/labels lacks some of its 1099511627776 rows"):
        open_dataset(path)
    with h5py.File(path, "r+") as file:
        del file["test/labels"], file["test/sequences"]
        file.create_dataset("test/labels", (5, 2), "i1")
        file["test/sequences"] = np.zeros((5, 9), "u1")
    with pytest.raises(InputError, match="test/labels lacks some of its 5 rows"):
        open_dataset(path)
    with h5py.File(path, "r+") as file:
        file["test/labels"][:] = 1
    assert open_dataset(path)["test"].read("labels").tolist() == [[1, 1]] * 5


def test_a_group_that_holds_itself(path):
    with h5py.File(path, "r+") as file:
        del file["test"]
        file["test"] = file["/"]
    with pytest.raises(InputError, match=r"not a dataset file \(it has no 'sequences' in test\)"):
        open_dataset(path)


@pytest.mark.parametrize("key", ["sequences", "labels", "names"])
def test_a_broken_chunk_is_named_by_its_rows(tmp_path, key):
    path = tmp_path / "big.h5"
    with create_dataset(path, 9, ["one", "two"], {}) as writer:
        writer.append("train", *some(9000), [f"row {i}" for i in range(9000)])
    with h5py.File(path) as file:
        third = file["train"][key].id.get_chunk_info(1 if key == "names" else 2)
        begin = third.chunk_offset[0]
        rows = file["train"][key].chunks[0]
    data = bytearray(path.read_bytes())
    data[third.byte_offset : third.byte_offset + third.size] = b"\1" * third.size
    path.write_bytes(data)
    split = open_dataset(path)["train"]
    assert len(split.read(key, 0, begin)) == begin  # rows before it can be read
    for start, stop in ((0, None), (begin, begin + 5), (begin - 1, begin + 1)):
        with pytest.raises(InputError) as error:
            split.read(key, start, stop)
        assert f"big.h5: rows {begin} to {begin + rows - 1} of train/{key}, counted from 0" in str(error.value)
        assert "make it again" in str(error.value)


def test_label_names_in_bytes_are_read_as_text(path):
    with h5py.File(path, "r+") as file:
        file.attrs["label_names"] = np.array([b"\xc2\xb51", b"two"])
    assert open_dataset(path).label_names == ("µ1", "two")


def test_more_labels_than_an_attribute_holds(tmp_path):
    """Enformer has 5,313; files of up to 4,000 keep the layout that they had."""
    for n in (4000, 4001, 5313):
        names = [f"track {i}, a name of some length" for i in range(n)]
        with create_dataset(tmp_path / "many.h5", 9, names, {"columns": names}) as writer:
            writer.append("train", *some(3, labels=n))
        with h5py.File(tmp_path / "many.h5") as file:
            assert ("label_names" in file.attrs) == (n == 4000) == ("label_names" not in file)
        dataset = open_dataset(tmp_path / "many.h5")
        assert dataset.label_names == tuple(names) and dataset.provenance["columns"] == names
        np.testing.assert_array_equal(dataset["train"].read("labels"), some(3, labels=n)[1])


@pytest.mark.parametrize(
    "names, words",
    [
        (["one", "one"], "two labels are called 'one'"),
        (["one", "a\tb"], "control character"),
        (["one", "\x1b[31m"], "control character"),
        (["\udcff", "x"], "UTF-8"),
    ],
)
def test_label_names_that_no_file_should_have(tmp_path, names, words):
    with pytest.raises(InputError, match=words), create_dataset(tmp_path / "d.h5", 9, names, {}):
        pass
    assert left_over(tmp_path) == []


def test_long_sequences_are_stored_in_lower_chunks(tmp_path):
    with create_dataset(tmp_path / "d.h5", 1 << 21, ["x"], {}) as writer:
        writer.append("train", np.ones((3, 1 << 21), np.uint8), np.ones((3, 1), np.int8))
    with h5py.File(tmp_path / "d.h5") as file:
        assert file["train/sequences"].chunks == (32, 1 << 21)
    assert open_dataset(tmp_path / "d.h5")["train"].read("sequences", 2).mean() == 1


def structure_of(content):
    """Places of the bytes that are not zero, but for HDF5's heap of texts: over a damaged one HDF5 itself may hang."""
    heap = content.index(b"GCOL")
    end = heap + int.from_bytes(content[heap + 8 : heap + 16], "little")
    return [place for place, value in enumerate(content) if value and not heap <= place < end]


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes_end_in_one_line_or_do_no_harm(path, data):
    content = bytearray(path.read_bytes())
    for place, value in data.draw(
        st.lists(st.tuples(st.sampled_from(structure_of(content)), st.integers(0, 255)), min_size=1, max_size=4)
    ):
        content[place] = value
    damaged = path.with_suffix(".damaged")
    damaged.write_bytes(content)
    try:
        dataset = open_dataset(damaged)
        for split in SPLITS:
            for key in ("sequences", "labels", "names"):
                dataset[split].read(key)
    except InputError as error:
        assert str(error).startswith(str(damaged)) and "\n" not in str(error)

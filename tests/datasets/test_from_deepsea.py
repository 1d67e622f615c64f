"""DeepSEA's bundle to a dataset file: its formats, its damage, its labels."""

import contextlib
import gzip
import hashlib
import os
import shutil
import tarfile
import zlib

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support.dataset_files import fails, provenance_of, rows_of, some
from support.deepsea_bundle import COUNTS, LENGTH, N_COLUMNS, PAPER, PARTS, expected_rows, write_matlab73

from kipoi_motifrep.cli.program import main
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.datasets import from_deepsea
from kipoi_motifrep.datasets.hdf5 import SPLITS, open_dataset
from kipoi_motifrep.datasets.matlab5 import open_matlab5
from kipoi_motifrep.sequences.alphabet import decode


def test_the_bundle_from_its_folder(tmp_path, bundle, capsys):
    output = tmp_path / "out.h5"
    assert main(["dataset", "deepsea", str(bundle), "-o", str(output)]) == 0
    expected = expected_rows(PAPER)
    assert 20 < len(expected) < sum(COUNTS.values())
    assert rows_of(output) == expected
    assert open_dataset(output).label_names == (
        "Arid3a",
        "CEBPB",
        "FOSL1",
        "Gabpa",
        "MAFK",
        "MAX",
        "MEF2A",
        "NFYB",
        "SP1",
        "SRF",
        "STAT1",
        "YY1",
    )
    assert [source["path"] for source in provenance_of(output)["sources"]] == [
        str(bundle / f"{split}.mat") for split in SPLITS
    ]
    assert f"of {COUNTS['test']} samples have one of the labels" in capsys.readouterr().err


def test_the_archive_gives_the_same_and_is_unpacked_for_the_time_being(tmp_path, bundle, archive):
    for name, source in (("a.h5", archive), ("b.h5", bundle), ("c.h5", bundle.parent)):
        assert main(["dataset", "deepsea", str(source), "-o", str(tmp_path / "new" / name)]) == 0
    assert rows_of(tmp_path / "new/a.h5") == rows_of(tmp_path / "new/b.h5") == rows_of(tmp_path / "new/c.h5")
    assert sorted(os.listdir(tmp_path / "new")) == ["a.h5", "b.h5", "c.h5"]
    (source,) = provenance_of(tmp_path / "new/a.h5")["sources"]
    assert source["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()


def test_other_label_columns(tmp_path, bundle):
    assert (
        main(["dataset", "deepsea", str(bundle), "--columns", "X=918", "3-5", "0", "-o", str(tmp_path / "out.h5")]) == 0
    )
    assert rows_of(tmp_path / "out.h5") == expected_rows([918, 3, 4, 5, 0])
    assert open_dataset(tmp_path / "out.h5").label_names == ("X", "column_3", "column_4", "column_5", "column_0")


@pytest.mark.parametrize(
    "storage",
    [
        {},
        {"chunks": True},
        {"chunks": (1, 1, 60)},
        {"chunks": (1000, 4, 1)},
        {"chunks": (7, 4, 9)},
        {"chunks": (1000, 1, 60), "compression": "gzip"},
        {"dtype": np.float64},
    ],
)
@pytest.mark.parametrize("budget", [100, 20_000, 64_000_000])
def test_any_storage_of_train_and_any_block_size_give_the_same(tmp_path, monkeypatch, storage, budget):
    _, one_hot, labels = PARTS["train"]
    path = tmp_path / "train.mat"
    write_matlab73(path, {"trainxdata": one_hot}, **storage)
    with h5py.File(path, "a") as file:
        file["traindata"] = labels.T
    monkeypatch.setattr(from_deepsea, "SLAB_BYTES", budget)
    monkeypatch.setattr(from_deepsea, "SAMPLES_AT_ONCE", 32)
    found = {}
    part = from_deepsea._open_part(tmp_path, "train")
    kept = part.labels(PAPER)
    for samples, codes in part.codes(np.flatnonzero(kept.any(axis=1))):
        for i, sample in enumerate(samples):
            found["train", f"train_{sample}"] = decode(codes[:, i]), kept[sample].tolist()
    assert found == {key: row for key, row in expected_rows(PAPER).items() if key[0] == "train"}


matrices = arrays.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=5).flatmap(
    lambda shape: st.sampled_from(["u1", "i1", "i2", "u4", "i8", "f4", "f8", "?"]).flatmap(
        lambda dtype: arrays.arrays(dtype, shape, elements={"allow_nan": False} if dtype[0] == "f" else None)
    )
)


@given(matrices, st.booleans())
@some
def test_matlab_arrays_are_those_that_scipy_reads(tmp_path, matrix, compressed):
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"first": np.arange(5), "text": "a word", "x": matrix}, do_compression=compressed)
    expected = scipy.io.loadmat(path)["x"]
    with open_matlab5(path, "x") as array:
        assert array.shape == expected.shape
        columns = list(array.columns())
    np.testing.assert_array_equal(np.stack(columns, axis=-1), expected.reshape(len(expected), -1, order="F"))


@pytest.mark.parametrize("damage", [0.02, 0.3, 0.7, 0.97])
def test_a_truncated_archive(tmp_path, capsys, archive, damage):
    data = archive.read_bytes()
    short = tmp_path / "short.tar.gz"
    short.write_bytes(data[: int(len(data) * damage)])
    (tmp_path / "o").mkdir()
    fails(capsys, ["dataset", "deepsea", short, "-o", tmp_path / "o/out.h5"], short, "cut off", "--download")


@pytest.mark.parametrize(
    ("name", "keep"), [("train.mat", 0.5), ("valid.mat", 0.5), ("test.mat", 0.9), ("valid.mat", 0.002)]
)
def test_a_truncated_file_of_the_bundle(tmp_path, capsys, bundle, name, keep):
    shutil.copytree(bundle, tmp_path / "b")
    data = (bundle / name).read_bytes()
    (tmp_path / "b" / name).write_bytes(data[: int(len(data) * keep)])
    fails(capsys, ["dataset", "deepsea", tmp_path / "b", "-o", tmp_path / "out.h5"], tmp_path / "b" / name, "cut off")


def test_bundles_that_are_none(tmp_path, capsys, bundle):
    end = ["-o", tmp_path / "out.h5"]
    fails(capsys, ["dataset", "deepsea", tmp_path / "absent.tar.gz", *end], "absent.tar.gz", "--download")
    fails(capsys, ["dataset", "deepsea", tmp_path, *end], "no train.mat")
    (tmp_path / "text.tar.gz").write_text("no archive")
    fails(capsys, ["dataset", "deepsea", tmp_path / "text.tar.gz", *end], "is no tar archive")
    with tarfile.open(tmp_path / "half.tar.gz", "w:gz") as file:
        file.add(bundle / "train.mat", "deepsea_train/train.mat")
    fails(capsys, ["dataset", "deepsea", tmp_path / "half.tar.gz", *end], "no test.mat and no valid.mat")
    shutil.copytree(bundle, tmp_path / "b")
    (tmp_path / "b/valid.mat").write_text("not MATLAB")
    fails(capsys, ["dataset", "deepsea", tmp_path / "b", *end], "valid.mat", "no MATLAB file")
    shutil.copy(bundle / "test.mat", tmp_path / "b/valid.mat")
    fails(capsys, ["dataset", "deepsea", tmp_path / "b", *end], "valid.mat", "'validxdata'", "testxdata, testdata")
    scipy.io.savemat(tmp_path / "b/valid.mat", {"validxdata": np.ones((2, 4, 9)), "validdata": np.ones((3, 919))})
    fails(capsys, ["dataset", "deepsea", tmp_path / "b", *end], "valid.mat", "(2, 4, 9) and (3, 919)")
    scipy.io.savemat(tmp_path / "b/valid.mat", {"validxdata": np.ones((2, 4, 9)), "validdata": np.ones((2, 919))})
    fails(capsys, ["dataset", "deepsea", tmp_path / "b", *end], "valid.mat", "9 bp", "1000")
    scipy.io.savemat(tmp_path / "b/valid.mat", {"validxdata": np.ones((2, 4, 1000)), "validdata": np.ones((2, 919))})
    fails(capsys, ["dataset", "deepsea", tmp_path / "b", *end], "valid.mat", "not one-hot")
    scipy.io.savemat(tmp_path / "b/valid.mat", {"validxdata": np.ones((2, 4, 1000)), "validdata": np.zeros((2, 919))})
    fails(capsys, ["dataset", "deepsea", tmp_path / "b", *end], "valid.mat", "no sample")


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ("919", "no label column 919"),
        ("A=-1", "'A=-1'"),
        ("x", "'x'"),
        ("9-3", "'9-3'"),
        ("A=3-5", "'A=3-5'"),
        ("0-999999999", "'0-999999999'"),
        ("9" * 5000, "'999"),
    ],
)
def test_label_columns_that_are_not_there(tmp_path, capsys, bundle, columns, word):
    fails(capsys, ["dataset", "deepsea", bundle, f"--columns={columns}", "-o", tmp_path / "out.h5"], word)


def test_damage_that_only_a_checksum_shows(tmp_path, capsys, bundle):
    """Bytes that were stored as they are unpack without complaint, whatever became of them."""
    where = tmp_path / "b"
    where.mkdir()
    with (
        gzip.open(tmp_path / "bundle.tar.gz", "wb", compresslevel=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as file,
    ):
        file.add(bundle, "deepsea_train")
    data = bytearray((tmp_path / "bundle.tar.gz").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "bundle.tar.gz").write_bytes(data)
    fails(
        capsys,
        ["dataset", "deepsea", tmp_path / "bundle.tar.gz", "-o", where / "out.h5"],
        "bundle.tar.gz",
        "damaged or cut off",
    )
    assert os.listdir(where) == []


@pytest.mark.parametrize("damaged", [True, False])
def test_damage_of_a_matlab_variable_that_only_a_checksum_shows(tmp_path, damaged):
    _, one_hot, _ = PARTS["test"]
    scipy.io.savemat(tmp_path / "plain.mat", {"x": one_hot})
    element = (tmp_path / "plain.mat").read_bytes()[128:]
    packed = bytearray(zlib.compress(element, 0))
    if damaged:
        packed[-1000] ^= 1
    (tmp_path / "x.mat").write_bytes(
        (tmp_path / "plain.mat").read_bytes()[:128] + np.array([15, len(packed)], "<u4").tobytes() + packed
    )
    with (
        pytest.raises(InputError, match="damaged") if damaged else contextlib.nullcontext(),
        open_matlab5(tmp_path / "x.mat", "x") as array,
    ):
        columns = list(array.columns())
        np.testing.assert_array_equal(np.stack(columns, axis=-1), one_hot.reshape(len(one_hot), -1, order="F"))


def test_variables_of_the_bundle_that_are_no_arrays_of_this_file(tmp_path, capsys, bundle):
    shutil.copytree(bundle, tmp_path / "b")
    os.rename(tmp_path / "b/train.mat", tmp_path / "other.mat")
    for value, word in (
        (h5py.ExternalLink(str(tmp_path / "other.mat"), "traindata"), "lies in another file"),
        (h5py.SoftLink("/trainxdata"), "is a link"),
        (np.array([b"x"]), "holds no numbers"),
    ):
        with h5py.File(tmp_path / "b/train.mat", "w") as file:
            file["trainxdata"] = np.zeros((LENGTH, 4, 3), np.uint8)
            file["traindata"] = value
        fails(
            capsys, ["dataset", "deepsea", tmp_path / "b", "-o", tmp_path / "out.h5"], "train.mat", "'traindata'", word
        )
    scipy.io.savemat(tmp_path / "b/train.mat", {"trainxdata": np.ones((0, 4, 9)), "traindata": np.ones((0, N_COLUMNS))})
    fails(capsys, ["dataset", "deepsea", tmp_path / "b", "-o", tmp_path / "out.h5"], "train.mat", "(0, 4, 9)")

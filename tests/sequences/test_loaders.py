"""The three Kipoi loaders: values, layouts, metadata, batches and errors."""

import gzip
import inspect
import io
import logging
import random
import subprocess
import sys
from itertools import pairwise

import h5py
import numpy as np
import pysam
import pytest
from kipoi.metadata import GenomicRanges
from oracles import naive

import kipoi_motifrep
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.datasets.hdf5 import create_dataset

LAYOUTS = [(a, d) for a in range(3) for d in (None, 0, 1, 2) if a != d and (d is not None or a < 2)]


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    """Sequences by name, their FASTA file, and the same packed with bgzip."""
    dice = random.Random(11)
    sequences = {
        f"chr{i}": "".join(dice.choices("ACGTacgtN", [9] * 8 + [1], k=size))
        for i, size in enumerate([5000, 811, 2000], 1)
    }
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text(naive.fasta(sequences, [60, 50, 61]))
    pysam.tabix_compress(str(path), f"{path}.bgz")
    return sequences, path, path.with_name("genome.fa.bgz")


@pytest.fixture
def bed(tmp_path):
    def write(rows):
        path = tmp_path / "rows.bed"
        path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
        return str(path)

    return write


def all_rows(loader, **options):
    """Everything a loader gives, in one dictionary of arrays."""
    batches = list(loader.batch_iter(**options))
    ranges = [batch["metadata"].get("ranges") for batch in batches]
    found = {"inputs": np.concatenate([batch["inputs"] for batch in batches])}
    if ranges[0] is not None:
        assert all(isinstance(each, GenomicRanges) for each in ranges)
        keys = ("chr", "start", "end", "id", "strand")
        found |= {key: np.concatenate([each[key] for each in ranges]) for key in keys}
    else:
        found["id"] = np.concatenate([batch["metadata"]["id"] for batch in batches])
    if "targets" in batches[0]:
        found["targets"] = np.concatenate([batch["targets"] for batch in batches])
    return found


def same(one, other):
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], other[key])


def random_rows(n, width, seed=0, strand=False):
    dice = random.Random(seed)
    rows = []
    for i in range(n):
        chromosome, size = dice.choice([("chr1", 5000), ("chr2", 811), ("chr3", 2000)])
        start = dice.randrange(size - width)
        rows.append((chromosome, start, start + width, *((f"n{i}", 0, dice.choice("+-")) if strand else ())))
    return rows


# Intervals


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "bgzip"])
@pytest.mark.parametrize("outside, value", [("average", 0.25), ("zeros", 0)])
def test_intervals_equal_slices_of_strings(genome, bed, packed, outside, value):
    sequences = genome[0]
    dice = random.Random(2)
    rows = []
    for _ in range(200):
        name, size = dice.choice([("chr1", 5000), ("2", 811), ("chr3", 2000)])
        start = dice.randrange(size)
        rows.append((name, start, start + dice.randrange(1, 50), "x", 0, dice.choice("+-.")))
    loader = kipoi_motifrep.IntervalsDl(
        bed(rows), str(genome[1 + packed]), auto_resize_len=51, use_strand=True, outside=outside
    )
    found = all_rows(loader, batch_size=37)
    for i, (name, start, end, _, _, strand) in enumerate(rows):
        begin = naive.resized(start, end, 51)
        text = naive.fetch(sequences["chr" + name.removeprefix("chr")], begin, 51)
        text = naive.reverse_complement(text) if strand == "-" else text
        np.testing.assert_array_equal(found["inputs"][i], naive.one_hot(text, outside=value))
        assert (found["chr"][i], found["start"][i], found["end"][i]) == (name, begin, begin + 51)
    assert found["inputs"].dtype == np.float32


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"auto_resize_len": 40},
        {"auto_resize_len": 81},
        {"use_strand": True},
        {"use_strand": True, "auto_resize_len": 33},
        {"dtype": np.float64},
        {"dtype": np.float16},
        {"alphabet": "AGCT"},
        *({"alphabet_axis": a, "dummy_axis": d} for a, d in LAYOUTS),
        {"alphabet_axis": 0, "dummy_axis": 1, "use_strand": True},
    ],
    ids=str,
)
def test_intervals_equal_kipoiseq_on_clean_input(genome, bed, options):
    from kipoiseq.dataloaders import SeqIntervalDl

    rows = [row for row in random_rows(120, 60, strand="use_strand" in options) if 60 < row[1] < 700]
    path = bed(rows)
    theirs = SeqIntervalDl(path, str(genome[1]), **{"dtype": np.float32, **options}).load_all()
    ours = all_rows(kipoi_motifrep.IntervalsDl(path, str(genome[1]), **options), batch_size=25)
    np.testing.assert_array_equal(ours["inputs"], theirs["inputs"])
    assert ours["inputs"].dtype == theirs["inputs"].dtype
    for key in ("chr", "start", "end", "strand"):
        np.testing.assert_array_equal(ours[key], theirs["metadata"]["ranges"][key])


@pytest.mark.parametrize("batch_size, num_workers", [(1, 0), (7, 0), (100, 0), (1000, 0), (7, 2), (100, 2), (1000, 2)])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "bgzip"])
def test_batches_do_not_depend_on_their_size_or_the_workers(genome, bed, batch_size, num_workers, packed):
    path = bed(random_rows(100, 30, strand=True))
    loader = kipoi_motifrep.IntervalsDl(path, str(genome[1 + packed]), use_strand=True)
    whole = all_rows(kipoi_motifrep.IntervalsDl(path, str(genome[1]), use_strand=True), batch_size=100)
    assert whole["id"].tolist() == [f"n{i}" for i in range(100)]
    same(all_rows(loader, batch_size=batch_size, num_workers=num_workers), whole)
    sizes = [len(batch["inputs"]) for batch in loader.batch_iter(batch_size=batch_size, num_workers=num_workers)]
    assert sizes == [stop - start for start, stop in pairwise([*range(0, 100, batch_size), 100])]


def test_a_loader_is_a_sequence_of_batches(genome, bed):
    loader = kipoi_motifrep.IntervalsDl(bed(random_rows(70, 30)), str(genome[1]))
    assert len(loader) == 3
    np.testing.assert_array_equal(np.concatenate([loader[i]["inputs"] for i in range(3)]), loader.load_all()["inputs"])
    with pytest.raises(IndexError):
        loader[3]
    np.testing.assert_array_equal(
        np.concatenate(list(loader.batch_predict_iter(batch_size=9))), loader.load_all()["inputs"]
    )


def test_memory_does_not_hold_the_intervals(genome, bed):
    import tracemalloc

    path = bed([("chr1", i % 4900, i % 4900 + 100) for i in range(100_000)])
    tracemalloc.start()
    loader = kipoi_motifrep.IntervalsDl(path, str(genome[1]))
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert loader.n == 100_000
    # One array of eight bytes a row alone would be 800 kB; the rows of one reading are some 20 MB.
    assert held < 500_000 and peak < 40_000_000


def test_padding_is_said(genome, bed, caplog):
    with caplog.at_level(logging.WARNING):
        kipoi_motifrep.IntervalsDl(bed([("chr1", 0, 100)]), str(genome[1]))
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        kipoi_motifrep.IntervalsDl(bed([("chr1", 0, 100), ("chr1", 4950, 5050)]), str(genome[1]), outside="zeros")
    assert "1 of 2 intervals reach beyond" in caplog.text and "all zero" in caplog.text


def test_intervals_are_refused_over_an_end_when_asked(genome, bed):
    with pytest.raises(InputError, match=r"row 1.*reaches beyond"):
        kipoi_motifrep.IntervalsDl(bed([("chr1", 4950, 5050)]), str(genome[1]), outside="refuse")


def test_arguments_may_come_as_text(genome, bed):
    """As ``kipoi predict --dataloader_args key=value`` gives them."""
    path = bed(random_rows(10, 30, strand=True))
    text = kipoi_motifrep.IntervalsDl(
        path,
        str(genome[1]),
        auto_resize_len="21",
        use_strand="True",
        alphabet_axis="0",
        dummy_axis="1",
        dtype="float64",
    )
    plain = kipoi_motifrep.IntervalsDl(
        path, str(genome[1]), auto_resize_len=21, use_strand=True, alphabet_axis=0, dummy_axis=1, dtype=np.float64
    )
    same(all_rows(text), all_rows(plain))
    stranded = kipoi_motifrep.IntervalsDl(path, str(genome[1]), use_strand="False", dummy_axis="None")
    assert set(all_rows(stranded)["strand"]) == {"*"}


@pytest.mark.parametrize(
    "options, words",
    [
        ({"auto_resize_len": "wide"}, "auto_resize_len is 'wide'"),
        ({"auto_resize_len": 20.5}, "auto_resize_len is 20.5"),
        ({"auto_resize_len": 0}, "at least 1"),
        ({"auto_resize_len": -1}, "at least 1"),
        ({"use_strand": "treu"}, "use_strand is 'treu'"),
        ({"outside": "N"}, "outside is 'N'"),
        ({"alphabet_axis": "x"}, "alphabet_axis is 'x'"),
        ({"alphabet_axis": 5}, "alphabet_axis is 5"),
        ({"alphabet_axis": None}, "alphabet_axis is None"),
        ({"dummy_axis": 1}, "dummy_axis is 1"),
        ({"alphabet": "ACGU"}, "alphabet"),
        ({"dtype": "floaty"}, "dtype is 'floaty'"),
        ({"dtype": "object"}, "dtype"),
        ({"dtype": "U3"}, "dtype"),
    ],
    ids=str,
)
def test_arguments_that_make_no_sense(genome, bed, options, words):
    with pytest.raises(InputError, match=words):
        kipoi_motifrep.IntervalsDl(bed(random_rows(3, 30)), str(genome[1]), **options)


def test_kipoi_names_a_missing_argument(genome, bed, checkout, tmp_path, one_problem):
    for loader, arguments, name in (
        ("intervals", [f"fasta_file={genome[1]}"], "intervals_file"),
        ("intervals", ["intervals_file=x"], "fasta_file"),
        ("intervals", ["use_strand=True"], "'intervals_file' and 'fasta_file'"),
        ("sequences", ["outside=zeros"], "fasta_file"),
        ("dataset", ["split=test"], "dataset_file"),
    ):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "kipoi",
                "preproc",
                str(checkout / "dataloaders" / loader),
                "--source",
                "dir",
                "--dataloader_args",
                *arguments,
                "-o",
                str(tmp_path / "out.h5"),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        one_problem(done, name, "missing", "--dataloader_args")


@pytest.mark.parametrize("batch_size", [0, -1, "many"])
def test_batch_sizes_that_make_no_sense(genome, bed, batch_size):
    with pytest.raises(InputError, match="batch_size"):
        list(kipoi_motifrep.IntervalsDl(bed(random_rows(3, 30)), str(genome[1])).batch_iter(batch_size=batch_size))


def test_a_bad_letter_is_named_from_a_worker_too(tmp_path, bed):
    fasta = tmp_path / "bad.fa"
    fasta.write_text(">chr1\nACGTACGTEACGT\n")
    loader = kipoi_motifrep.IntervalsDl(bed([("chr1", 0, 5), ("chr1", 5, 10)]), str(fasta))
    for num_workers in (0, 1):
        with pytest.raises(Exception, match=r"rows\.bed, row 2: .*bad\.fa: chr1, base 9 is no DNA letter"):
            list(loader.batch_iter(batch_size=1, num_workers=num_workers))


def test_the_schema_follows_the_layout_and_the_next_loader_starts_afresh(genome, bed):
    path = bed(random_rows(3, 30))
    for axis, dummy in [*LAYOUTS, (1, None)]:
        loader = kipoi_motifrep.IntervalsDl(path, str(genome[1]), alphabet_axis=axis, dummy_axis=dummy)
        assert type(loader).get_output_schema().compatible_with_batch(loader[0])
    assert kipoi_motifrep.IntervalsDl.get_output_schema().inputs.shape == (None, 4)


def test_a_loader_found_by_kipoi_has_the_schema_of_its_file(genome, bed, checkout):
    import kipoi

    kipoi_motifrep.IntervalsDl(bed(random_rows(3, 30)), str(genome[1]), alphabet_axis=0)
    loader = kipoi.get_dataloader_factory(str(checkout / "dataloaders/intervals"), source="dir")
    assert loader.output_schema.inputs.shape == (None, 4)


@pytest.mark.parametrize("name", ["intervals", "sequences", "dataset"])
def test_the_descriptions_load_and_the_examples_fit_them(checkout, name):
    import kipoi

    loader = kipoi.get_dataloader_factory(str(checkout / "dataloaders" / name), source="dir")
    example = loader.init_example()
    batch = next(example.batch_iter(batch_size=8))
    assert loader.get_output_schema().compatible_with_batch(batch)
    assert batch["inputs"].shape == (8, 200, 4) and batch["inputs"].dtype == np.float32
    parameters = dict(list(inspect.signature(loader.__init__).parameters.items())[1:])
    assert list(loader.args) == list(parameters)
    assert {argument: of.optional for argument, of in loader.args.items()} == {
        argument: parameter.default is not parameter.empty for argument, parameter in parameters.items()
    }


# Sequences


RECORDS = {"one": "ACGTNRYKMSWBDHVU", "two": "acgtnrykmswbdhvu", "three": "TTTTTTTTCCCCCCCC"}


@pytest.fixture
def fasta(tmp_path):
    def write(text, name="records.fa"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_sequences_are_those_of_the_file(fasta, newline, packed):
    text = naive.fasta(RECORDS, [7, 16, 3], newline).encode()
    found = all_rows(kipoi_motifrep.SequencesDl(fasta(gzip.compress(text) if packed else text)), batch_size=2)
    assert found["id"].tolist() == list(RECORDS)
    for row, sequence in zip(found["inputs"], RECORDS.values(), strict=True):
        np.testing.assert_array_equal(row, naive.one_hot(sequence))


def test_sequences_from_standard_input(monkeypatch):
    text = naive.fasta(RECORDS, [16] * 3).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text))))
    found = all_rows(kipoi_motifrep.SequencesDl("-"), batch_size=2)
    np.testing.assert_array_equal(found["inputs"][2], naive.one_hot(RECORDS["three"]))


@pytest.mark.parametrize("axis, dummy", LAYOUTS)
def test_sequences_in_every_layout_resized(fasta, axis, dummy):
    from kipoi_motifrep.sequences.alphabet import arrange

    loader = kipoi_motifrep.SequencesDl(
        fasta(">a\nACGTA\n>b\nACGTACGTAC\n"),
        auto_resize_len=6,
        outside="zeros",
        alphabet_axis=axis,
        dummy_axis=dummy,
        alphabet="TGCA",
        dtype="float64",
    )
    expected = [
        naive.one_hot(naive.fetch(text, naive.resized(0, len(text), 6), 6), "TGCA", 0)
        for text in ("ACGTA", "ACGTACGTAC")
    ]
    np.testing.assert_array_equal(
        loader[0]["inputs"], arrange(np.array(expected), alphabet_axis=axis, dummy_axis=dummy)
    )
    assert loader[0]["inputs"].dtype == np.float64


@pytest.mark.parametrize("batch_size, num_workers", [(1, 0), (7, 0), (7, 2), (1000, 0)])
def test_many_sequences_keep_their_order(fasta, monkeypatch, batch_size, num_workers):
    from kipoi_motifrep.sequences import loaders

    monkeypatch.setattr(loaders, "SPOOL_BATCH", 300)
    dice = random.Random(4)
    records = {f"record_{i}": "".join(dice.choices("ACGT", k=50)) for i in range(100)}
    loader = kipoi_motifrep.SequencesDl(fasta(naive.fasta(records, [50] * 100)))
    found = all_rows(loader, batch_size=batch_size, num_workers=num_workers)
    assert found["id"].tolist() == list(records)
    np.testing.assert_array_equal(found["inputs"], [naive.one_hot(text) for text in records.values()])


@pytest.mark.parametrize(
    "text, options, row, words",
    [
        ("", {}, None, "empty"),
        ("hello\n", {}, 1, "no FASTA"),
        (">a\nACGT\n>b\nACG\n", {}, 3, "auto_resize_len=4"),
        (
            ">a\nACGT\n>b\nACG\n>c\nA\n",
            {},
            3,
            "give auto_resize_len=4, or the width that the network reads, to centre and resize all (1 more problem)",
        ),
        (">a\nACGX\n", {}, 2, "'X'"),
        (">a\n", {}, 1, "'a' is empty"),
        (">a\nACGTAC\n>b\nACG\n", {"auto_resize_len": 5, "outside": "refuse"}, 3, "shorter than 5"),
        (gzip.compress(b">a\nACGT\n")[:20], {}, None, "damaged or cut off"),
    ],
)
def test_sequences_that_are_wrong_are_told_by_row(fasta, text, options, row, words):
    path = fasta(text)
    with pytest.raises(InputError) as error:
        kipoi_motifrep.SequencesDl(path, **options)
    assert str(error.value).startswith(f"{path}, row {row}: " if row else f"{path}: ")
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"auto_resize_len": 0}, "at least 1"),
        ({"auto_resize_len": -3}, "at least 1"),
        ({"outside": "nothing"}, "outside is 'nothing'"),
    ],
)
def test_arguments_of_sequences_that_make_no_sense(fasta, options, words):
    with pytest.raises(InputError, match=words):
        kipoi_motifrep.SequencesDl(fasta(">a\nACGT\n"), **options)


# Datasets


@pytest.fixture
def dataset(tmp_path):
    random = np.random.default_rng(0)
    contents = {
        split: (random.integers(0, 5, (n, 12)).astype(np.uint8), random.integers(-1, 2, (n, 3)).astype(np.int8))
        for split, n in [("train", 20), ("valid", 5), ("test", 11)]
    }
    path = tmp_path / "data.h5"
    with create_dataset(path, 12, ["x", "y", "z"], {}) as writer:
        for split, (sequences, labels) in contents.items():
            names = [f"{split} {i}" for i in range(len(labels))] if split != "valid" else None
            writer.append(split, sequences, labels, names)
    return str(path), contents


@pytest.mark.parametrize("split", ["train", "valid", "test", None])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_dataset_gives_inputs_targets_and_names(dataset, split, num_workers):
    path, contents = dataset
    loader = kipoi_motifrep.DatasetDl(path, **({"split": split} if split else {}))
    found = all_rows(loader, batch_size=4, num_workers=num_workers)
    sequences, labels = contents[split or "test"]
    texts = ["".join("ACGTN"[code] for code in row) for row in sequences]
    np.testing.assert_array_equal(found["inputs"], [naive.one_hot(text) for text in texts])
    np.testing.assert_array_equal(found["targets"], labels)
    pattern = "valid_{}" if split == "valid" else f"{split or 'test'} {{}}"
    assert found["id"].tolist() == [pattern.format(i) for i in range(len(labels))]


def test_a_dataset_can_train_through_kipoi(dataset):
    path, contents = dataset
    loader = kipoi_motifrep.DatasetDl(path, split="train")
    batches = loader.batch_train_iter(batch_size=8, cycle=True)
    targets = [next(batches)[1] for _ in range(6)]
    np.testing.assert_array_equal(np.concatenate(targets[:3]), contents["train"][1])
    np.testing.assert_array_equal(targets[3], targets[0])


def test_wrong_datasets(dataset, tmp_path):
    path, _ = dataset
    with pytest.raises(InputError, match="there is no split 'tset'; choose one of train, valid, test"):
        kipoi_motifrep.DatasetDl(path, split="tset")
    with pytest.raises(InputError, match="there is no such file"):
        kipoi_motifrep.DatasetDl(str(tmp_path / "missing.h5"))
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(InputError, match="not a readable HDF5"):
        kipoi_motifrep.DatasetDl(str(tmp_path / "text.h5"))
    with create_dataset(tmp_path / "empty.h5", 12, ["x"], {}):
        pass
    with pytest.raises(InputError, match="split 'test' is empty"):
        kipoi_motifrep.DatasetDl(str(tmp_path / "empty.h5"))
    with h5py.File(path, "r+") as file:
        file["test/sequences"][3, 2] = 77
    with pytest.raises(InputError, match=r"data\.h5: .*77"):
        kipoi_motifrep.DatasetDl(path)[0]


@pytest.mark.parametrize("name", ["IntervalsDl", "SequencesDl", "DatasetDl"])
def test_examples_are_there_without_a_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = f"import kipoi_motifrep as km; print(len(km.{name}.init_example().batch(0, 3)['inputs']))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.split()[-1:] == ["3"], done.stderr

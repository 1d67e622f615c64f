"""Real data into dataset files: peaks, tables and the DeepSEA bundle, against slow, obvious oracles."""

import gzip
import hashlib
import http.server
import io
import json
import os
import random
import shutil
import tarfile
import threading

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kipoi_motifrep.cli.program import main
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.datasets import deepsea
from kipoi_motifrep.datasets import download as download_module
from kipoi_motifrep.datasets.download import download
from kipoi_motifrep.datasets.gc_matching import count_letters, draw_matched
from kipoi_motifrep.datasets.hdf5 import SPLITS, open_dataset
from kipoi_motifrep.datasets.matlab5 import open_matlab5
from kipoi_motifrep.datasets.peaks import Rule, build_from_peaks
from kipoi_motifrep.datasets.splits import NONE, Splitter, deal_by_key
from kipoi_motifrep.datasets.table_columns import parse_region
from kipoi_motifrep.sequences import genome as genome_module
from kipoi_motifrep.sequences.alphabet import decode
from kipoi_motifrep.sequences.genome import Genome

some = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows_of(path):
    """Everything in a dataset file: {(split, name): (letters, labels)}."""
    dataset = open_dataset(path)
    found = {}
    for split in SPLITS:
        part = dataset[split]
        for name, codes, labels in zip(part.read("names"), part.read("sequences"), part.read("labels"), strict=True):
            found[split, str(name)] = decode(codes), labels.tolist()
    return found


def provenance_of(path):
    return open_dataset(path).provenance


def write_fasta(path, sequences, width=50):
    with open(path, "w") as file:
        for name, letters in sequences.items():
            file.write(f">{name}\n")
            file.writelines(letters[i:i + width] + "\n" for i in range(0, len(letters), width))
    return path


def fails(capsys, arguments, *words):
    """Assert that a command ends with one kind line and status 2, and leaves no output."""
    output = arguments[arguments.index("-o") + 1]
    assert main(list(map(str, arguments))) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(lines) == 1
    for word in words:
        assert str(word) in lines[0]
    assert not os.path.exists(output)
    assert not [name for name in os.listdir(os.path.dirname(output)) if name.startswith((".out", ".deepsea"))]


# Splits

windows = st.lists(st.integers(0, 5000), min_size=1, max_size=60)


@given(windows, st.sampled_from([(".2", ".3"), ("chr1:1000-2000", ".3"), (["1:500-900", "1:900-1500"], ["2"]),
                                 ("chr1:100-2000", "chr1:2000-2500"), ("none", ".5")]), st.integers(0, 3))
@settings(deadline=None)
def test_no_two_splits_share_a_base(starts, held_out, seed):
    splitter = Splitter(*held_out, block=700, seed=seed)
    start = np.sort(starts)
    split = splitter.assign("chr1", start, start + 100)
    owner = {}
    for first, number in zip(start, split, strict=True):
        if number != NONE:
            for base in range(first, first + 100):
                assert owner.setdefault(base, number) == number
    assert splitter.n_between == (split == NONE).sum()
    lonely = [i for i in range(len(start)) if all(abs(start[i] - s) >= 2000 for s in np.delete(start, i))]
    inside_block = start // 700 == (start + 99) // 700
    assert all(split[i] != NONE for i in lonely if inside_block[i] and held_out[0] in (".2", "none"))


def test_regions_hold_out_exactly_what_lies_in_them():
    splitter = Splitter(["chr1:1,000-2,000"], ["chr1:3000-4000", "2"])
    start = np.array([0, 900, 901, 999, 1000, 1900, 1901, 2000, 2999, 3000, 3950])
    np.testing.assert_array_equal(splitter.assign("1", start, start + 100), [0, 0, -1, -1, 1, 1, -1, 0, -1, 2, -1])
    np.testing.assert_array_equal(splitter.assign("chr2", start, start + 100), [2] * len(start))
    splitter.check_all_seen()


def test_adjacent_regions_of_one_split_are_one():
    splitter = Splitter(["1:0-500", "1:500-1000"], "none")
    assert splitter.assign("1", np.array([450]), np.array([550])) == [1]


def test_fractions_are_met_over_many_blocks_and_chromosomes():
    splitter, counts = Splitter("0.1", "0.2", block=1000), np.zeros(3)
    for chromosome in range(30):
        start = np.arange(0, 20_000, 50)
        split = splitter.assign(str(chromosome), start, start + 60)
        counts += np.bincount(split[split != NONE], minlength=3)
    np.testing.assert_allclose(counts / counts.sum(), [0.7, 0.1, 0.2], atol=0.01)
    assert splitter.n_between < 0.05 * counts.sum()


def test_blocks_do_not_depend_on_the_spelling_of_the_chromosome():
    start = np.arange(0, 50_000, 100)
    one, other = (Splitter(block=1000, seed=5).assign(name, start, start + 200) for name in ("chr7", "7"))
    np.testing.assert_array_equal(one, other)
    assert (one != Splitter(block=1000, seed=6).assign("7", start, start + 200)).any()


@pytest.mark.parametrize(("valid", "test", "word"), [
    ("chr1", "chr1:5-10", "overlap"), ("0.6", "0.4", "nothing to train on"), ("1.5", "0.2", "below 1"),
    ("chr1:9-9", "0.2", "no bases"), ("chr1:9", "0.2", "write a range"), (["chr1", "1:5-9"], "1", "overlap"),
])
def test_held_out_parts_that_make_no_sense(valid, test, word):
    with pytest.raises(InputError, match=word):
        Splitter(valid, test)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=200))
def test_equal_keys_are_dealt_together_and_fractions_are_met(keys):
    keys = np.array(keys, np.uint64)
    split = deal_by_key(keys, np.array([0.7, 0.1, 0.2]))
    for key in np.unique(keys):
        assert len(np.unique(split[keys == key])) == 1
    largest = np.unique(keys, return_counts=True)[1].max()
    assert abs((split == 2).sum() - 0.2 * len(keys)) <= largest
    assert abs((split == 0).sum() - 0.7 * len(keys)) <= largest + 1


# Peaks


def joined(rows):
    """Peaks that overlap or touch made one, base by base."""
    bases = {(chromosome, base) for chromosome, start, end in rows for base in range(start, end)}
    starts = sorted(base for base in bases if (base[0], base[1] - 1) not in bases)
    ends = sorted((chromosome, base + 1) for chromosome, base in bases if (chromosome, base + 1) not in bases)
    return [(chromosome, start, end) for (chromosome, start), (_, end) in zip(starts, ends, strict=True)]


def naive_labels(peaks, lengths, rule, blacklist=()):
    """{(chromosome, start): labels} of all windows, positive or not, by counting bases one by one."""
    found = {}
    for chromosome, length in lengths.items():
        bad = {base for where, start, end in blacklist if where == chromosome for base in range(start, end)}
        for bin_start in range(0, length - rule.bin + 1, rule.bin):
            bases = set(range(bin_start, bin_start + rule.bin))
            start = bin_start + rule.bin // 2 - rule.window // 2
            if start < 0 or start + rule.window > length or bad & set(range(start, start + rule.window)):
                continue
            found[chromosome, start] = [
                int(any(where == chromosome and len(bases & set(range(*peak))) > rule.fraction * rule.bin
                        for where, *peak in (joined(rows) if rule.merge else rows)))
                for rows in peaks.values()]
    return found


LENGTHS = {"chr1": 1500, "chr2": 430}
RANDOM = random.Random(3)
GENOME = {name: "".join(RANDOM.choices("ACGTacgtN", [9, 9, 9, 9, 2, 2, 2, 2, 1], k=length))
          for name, length in LENGTHS.items()}


@st.composite
def intervals(draw, min_size=0):
    def one():
        chromosome = draw(st.sampled_from(list(LENGTHS)))
        start = draw(st.integers(0, LENGTHS[chromosome] - 1))
        return chromosome, start, draw(st.integers(start + 1, min(start + 150, LENGTHS[chromosome])))
    return [one() for _ in range(draw(st.integers(min_size, 6)))]


def write_bed(path, rows):
    path.write_text("".join(f"{chromosome}\t{start}\t{end}\n" for chromosome, start, end in rows))
    return path


@pytest.fixture
def genome(tmp_path):
    return write_fasta(tmp_path / "genome.fa", GENOME)


@some
@given(a=intervals(1), b=intervals(1), blacklist=intervals(), bin_width=st.sampled_from([20, 33]),
       window=st.sampled_from([10, 33, 100, 141]), fraction=st.sampled_from([0, 0.5, 0.75]),
       negatives=st.sampled_from([0, "all"]), merge=st.booleans())
def test_windows_and_labels_are_those_of_counting_every_base(genome, tmp_path, a, b, blacklist, bin_width, window,
                                                            fraction, negatives, merge):
    rule = Rule(bin_width, fraction, window, negatives, merge=merge)
    black = write_bed(tmp_path / "black.bed", [*blacklist, ("chr2", 0, 1)])
    tracks = {"A": [write_bed(tmp_path / "a1.bed", a[:1]), write_bed(tmp_path / "a2.bed", a)],
              "B": [write_bed(tmp_path / "b.bed", b)]}
    expected = naive_labels({"A": a, "B": b}, LENGTHS, rule, [*blacklist, ("chr2", 0, 1)])
    with_peaks = {chromosome for chromosome, *_ in [*a, *b]}
    expected = {f"{chromosome}:{start}-{start + window}": labels for (chromosome, start), labels in expected.items()
                if chromosome in with_peaks and (negatives or any(labels))}
    output = tmp_path / "out.h5"
    build = [output, tracks, genome]
    if not expected:
        with pytest.raises(InputError, match="no bin"):
            build_from_peaks(*build, rule=rule, blacklist=black, splitter=Splitter("none", "none"))
        return
    build_from_peaks(*build, rule=rule, blacklist=black, splitter=Splitter("none", "none"))
    found = rows_of(output)
    assert {name: labels for (_, name), (_, labels) in found.items()} == expected
    for (_, name), (letters, _) in found.items():
        chromosome, start, end = parse_region(name)
        assert letters == GENOME[chromosome][start:end].upper()


def test_exactly_half_is_not_more_than_half(tmp_path, genome):
    peaks = write_bed(tmp_path / "a.bed", [("1", 200, 300), ("1", 400, 501), ("1", 800, 880), ("1", 880, 1000),
                                           ("1", 1000, 1080), ("1", 1110, 1200)])
    command = ["dataset", "peaks", f"A={peaks}", "--genome", str(genome), "--window", "200", "--valid", "none",
               "--test", "none", "-o", str(tmp_path / "out.h5")]
    assert main(command) == 0
    assert [name for _, name in rows_of(tmp_path / "out.h5")] == ["chr1:400-600", "chr1:800-1000"]


def test_peaks_that_touch_are_one_when_merged(tmp_path, genome):
    peaks = write_bed(tmp_path / "a.bed", [("1", 200, 280), ("1", 320, 400), ("1", 400, 480), ("1", 480, 530)])
    command = ["dataset", "peaks", f"A={peaks}", "--genome", str(genome), "--window", "200", "--valid", "none",
               "--test", "none", "-o"]
    assert main([*command, str(tmp_path / "one.h5")]) == 2
    assert main([*command, str(tmp_path / "merged.h5"), "--merge"]) == 0
    assert [name for _, name in rows_of(tmp_path / "merged.h5")] == ["chr1:400-600"]


@pytest.fixture
def long_genome(tmp_path):
    """100 kb of which the GC content changes along the way."""
    source = random.Random(1)
    letters = "".join("".join(source.choices("ACGT", [1 - gc, gc, gc, 1 - gc], k=2000))
                      for gc in source.choices([0.3, 0.4, 0.5, 0.6, 0.7], k=50))
    return write_fasta(tmp_path / "long.fa", {"1": letters})


@pytest.fixture
def scattered_peaks(tmp_path):
    source = random.Random(2)
    rows = [("chr1", start, start + source.randint(150, 400)) for start in source.sample(range(0, 99_000, 1500), 30)]
    return write_bed(tmp_path / "peaks.bed", rows)


def test_negatives_touch_no_peak_and_have_the_positives_gc_content(tmp_path, long_genome, scattered_peaks):
    command = ["dataset", "peaks", f"A={scattered_peaks}", "--genome", str(long_genome), "--window", "400",
               "--negatives", "1", "--valid", "1:20000-40000", "--test", "chr1:60,000-80,000"]
    for seed, output in ((0, "one.h5"), (0, "same.h5"), (1, "other.h5")):
        assert main([*command, "--seed", str(seed), "-o", str(tmp_path / output)]) == 0
    found = rows_of(tmp_path / "one.h5")
    peaks = [tuple(map(int, line.split()[1:])) for line in scattered_peaks.read_text().splitlines()]
    for split in SPLITS:
        positive, negative = [], []
        for (part, name), (letters, labels) in found.items():
            if part == split:
                (positive if labels == [1] else negative).append(sum(map(letters.count, "GC")) / len(letters))
                _, start, end = parse_region(name)
                assert labels == [1] or not any(a < end and start < b for a, b in peaks)
        assert len(positive) == len(negative) > 3
        assert abs(np.mean(positive) - np.mean(negative)) < 0.02
        assert np.abs(np.sort(positive) - np.sort(negative)).max() < 0.1
    assert found == rows_of(tmp_path / "same.h5") != rows_of(tmp_path / "other.h5")


def test_fractions_of_a_single_chromosome(tmp_path, long_genome, scattered_peaks):
    assert main(["dataset", "peaks", f"A={scattered_peaks}", "--genome", str(long_genome), "--block", "5000",
                 "-o", str(tmp_path / "out.h5")]) == 0
    where = {split: set() for split in SPLITS}
    for split, name in rows_of(tmp_path / "out.h5"):
        _, start, end = parse_region(name)
        where[split] |= set(range(start, end))
    assert all(where.values())
    assert not where["train"] & where["valid"] | where["train"] & where["test"] | where["valid"] & where["test"]


def test_positives_are_dealt_alike_whatever_the_negatives(tmp_path, long_genome, scattered_peaks):
    positives = []
    for negatives in ("0", "1", "all"):
        assert main(["dataset", "peaks", f"A={scattered_peaks}", "--genome", str(long_genome), "--block", "5000",
                     "--negatives", negatives, "-o", str(tmp_path / "out.h5")]) == 0
        positives.append([key for key, (_, labels) in rows_of(tmp_path / "out.h5").items() if any(labels)])
    assert len(positives[0]) > 15 and positives[0] == positives[1] == positives[2]


def test_peak_files_as_they_come(tmp_path, genome, capsys):
    """gzip, narrowPeak, headers, other chromosomes; a listing; the provenance names every source."""
    (tmp_path / "peaks").mkdir()
    with gzip.open(tmp_path / "peaks/a.narrowPeak.gz", "wt") as file:
        file.write("track type=narrowPeak\n#comment\n1\t400\t600\t.\t0\t.\t5\t-1\t-1\t100\r\n7\t1\t9\n")
    (tmp_path / "peaks/b.bed").write_text("chrom\tstart\tend\nchr1 800 1000\n")
    listing = tmp_path / "peaks/all.tsv"
    listing.write_text("name\tfile\nA\ta.narrowPeak.gz\n\n# more\nB\tb.bed\n")
    assert main(["dataset", "peaks", "--list", str(listing), "--genome", str(genome), "--chromosomes", "1",
                 "--window", "200", "--valid", "none", "--test", "none", "-o", str(tmp_path / "out.h5")]) == 0
    assert {name: labels for (_, name), (_, labels) in rows_of(tmp_path / "out.h5").items()} == {
        "chr1:400-600": [1, 0], "chr1:800-1000": [0, 1]}
    shown = capsys.readouterr()
    assert shown.out == "label\ttrain\tvalid\ttest\nA\t1\t0\t0\nB\t1\t0\t0\n"
    assert "2 sequences of 200 bp, 2 labels (2 train, 0 valid, 0 test)" in shown.err
    provenance = provenance_of(tmp_path / "out.h5")
    assert provenance["command"] == "dataset peaks" and provenance["options"]["chromosomes"] == ["1"]
    assert [source["sha256"] for source in provenance["sources"]] == [
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (tmp_path / "peaks/a.narrowPeak.gz", tmp_path / "peaks/b.bed", genome)]
    assert provenance["versions"]["numpy"] == np.__version__


@pytest.mark.parametrize(("bed", "words"), [
    ("", ["the file is empty"]),
    ("#nothing\n", ["holds no intervals"]),
    ("chr1\t5\t9\nchr9\t5\t9\n", ["row 2", "chr9", "another genome build", "--chromosomes"]),
    ("chr1\t5\t9\nchr1\t1400\t1501\n", ["row 2", "1500", "another genome build"]),
    ("chr1\t-5\t9\n", ["row 1", "starts before"]),
    ("chr1\t9\t9\n", ["row 1", "has no bases"]),
    ("chr1\t9\tx9\n", ["row 1", "whole numbers"]),
    ("chr1\t5\n", ["row 1", "columns"]),
    ("chr1\t700\t750\n", ["no bin"]),
])
def test_bad_peak_files(tmp_path, genome, capsys, bed, words):
    peaks = tmp_path / "bad.bed"
    peaks.write_text(bed)
    fails(capsys, ["dataset", "peaks", f"A={peaks}", "--genome", genome, "-o", tmp_path / "out.h5"],
          *words, *([peaks] if "no bin" not in words else []))


@pytest.mark.parametrize(("options", "words"), [
    (["peaks.bed"], ["CEBPB=peaks.bed", "--list"]),
    ([], ["no peak files"]),
    (["A=absent.bed"], ["absent.bed", "no such file"]),
    (["--list", "absent.tsv"], ["absent.tsv", "no such file"]),
    (["A={peaks}", "--chromosomes", "chr8"], ["--chromosomes chr8", "chr1, chr2"]),
    (["A={peaks}", "--chromosomes", "chr2"], ["no peak of any file lies on chr2"]),
    (["A={peaks}", "--valid", "chr8"], ["--valid chr8", "there is data on 1"]),
    (["A={peaks}", "--test", "chr1:10-20"], ["--test chr1:10-20", "nothing lies in 1:10-20"]),
    (["A={peaks}", "--bin", "0"], ["--bin"]),
    (["A={peaks}", "--fraction", "1"], ["--fraction"]),
    (["A={peaks}", "--negatives", "some"], ["--negatives"]),
    (["A={peaks}", "--negatives", "-1"], ["--negatives"]),
    (["A={peaks}", "--blacklist", "{genome}"], ["genome.fa"]),
    (["A={peaks}", "--window", "3000"], ["no bin"]),
    (["A={peaks}", "--seed", "-1"], ["--seed is -1"]),
    (["A={peaks}", "--seed", "-1", "--negatives", "1", "--valid", "none", "--test", "none"], ["--seed is -1"]),
    (["A={peaks}", "--bin", str(1 << 62)], ["--bin", "10000000"]),
    (["A={peaks}", "--window", str(1 << 62)], ["--window", "10000000"]),
    (["A={peaks}", "--negatives", "1e308"], ["--negatives"]),
    (["A={peaks}", "--block", str(10**25)], ["--block"]),
])
def test_bad_options_of_peaks(tmp_path, genome, capsys, options, words):
    peaks = write_bed(tmp_path / "peaks.bed", [("chr1", 600, 800)])
    options = [option.format(peaks=peaks, genome=genome) for option in options]
    fails(capsys, ["dataset", "peaks", *options, "--genome", genome, "-o", tmp_path / "out.h5"], *words)


def test_peaks_need_no_program_and_no_temporary_folder(tmp_path, genome, run_python):
    """So a full one cannot cut what they are compared with."""
    peaks = write_bed(tmp_path / "peaks.bed", [("chr1", 600, 800)])
    Genome(genome)  # writes its index, as is done once
    program = ("import sys, tempfile; tempfile.tempdir = '/proc/none'; "
               "from kipoi_motifrep.cli.program import main; sys.exit(main(sys.argv[1:]))")
    done = run_python("-c", program, "dataset", "peaks", f"A={peaks}", "--genome", genome, "--window", "200",
                      "--valid", "none", "--test", "none", "-o", tmp_path / "out.h5", env={**os.environ, "PATH": ""})
    assert done.returncode == 0, done.stderr
    assert list(rows_of(tmp_path / "out.h5")) == [("train", "chr1:600-800")]


def test_genome_without_index_in_a_read_only_folder(tmp_path, genome, monkeypatch):
    access = os.access
    monkeypatch.setattr(genome_module.os, "access", lambda path, mode, **_: mode != os.W_OK and access(path, mode))
    peaks = write_bed(tmp_path / "peaks.bed", [("chr1", 600, 800)])
    assert main(["dataset", "peaks", f"A={peaks}", "--genome", str(genome), "-o", str(tmp_path / "out.h5")]) == 0
    assert not (tmp_path / "genome.fa.fai").exists()


def test_a_failure_leaves_the_old_file(tmp_path, genome):
    output = tmp_path / "out.h5"
    output.write_bytes(b"precious")
    peaks = write_bed(tmp_path / "peaks.bed", [("chr1", 600, 800)])
    assert main(["dataset", "peaks", f"A={peaks}", "--genome", str(genome), "--valid", "chr8", "-o", str(output)]) == 2
    assert output.read_bytes() == b"precious"


# GC content


@given(st.lists(st.integers(0, 1490), min_size=1, max_size=20), st.integers(1, 10), st.sampled_from([3, 64, 4096]))
@some
def test_letters_of_windows_are_counted(genome, starts, width, tile):
    from kipoi_motifrep.datasets import gc_matching

    before, gc_matching.TILE = gc_matching.TILE, tile
    try:
        gc, unknown = count_letters(Genome(genome), 0, np.array(starts), width)
    finally:
        gc_matching.TILE = before
    texts = [GENOME["chr1"][start:start + width].upper() for start in starts]
    assert gc.tolist() == [text.count("G") + text.count("C") for text in texts]
    assert unknown.tolist() == [text.count("N") for text in texts]


fractions = arrays.arrays(float, st.integers(1, 40), elements=st.floats(0, 1))


@given(fractions, fractions, st.integers(0, 60))
def test_draws_are_distinct_and_exact_where_they_can_be(wanted, available, n):
    drawn = draw_matched(wanted, available, n, np.random.default_rng(0))
    assert len(drawn) == min(n, len(available)) == len(set(drawn.tolist()))
    # Where each stratum has enough, each gets its share.
    strata = [np.minimum((values * 50).astype(int), 49) for values in (wanted, available)]
    share = np.bincount(strata[0], minlength=50) * n / len(wanted)
    have = np.bincount(strata[1], minlength=50)
    if np.all(have >= np.ceil(share)):
        assert np.all(np.abs(np.bincount(strata[1][drawn], minlength=50) - share) < 1)


def test_a_shortage_is_met_from_the_nearest_strata():
    drawn = draw_matched(np.full(4, 0.505), np.array([0.505, 0.485, 0.525, 0.3, 0.9]), 4, np.random.default_rng(0))
    assert drawn.tolist() == [0, 1, 2, 3]


# Tables

DIGITS = """#idx\tregion\tcodes_A_B_C\tseq
7\tchr1:100-112\t012\tACGTACGTACGT
8\tchr1:200-212\t100\tCCGTACGTACGN
9\tchr2:100-112\t222\tGCGTACGTACGT
10\tchr3:100-112\t000\tTCGTACGTacgt
"""


def table(tmp_path, text, *options, name="table.tsv"):
    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    output = tmp_path / "out.h5"
    assert main(["dataset", "table", str(path), *options, "-o", str(output)]) == 0
    return rows_of(output)


def test_a_column_of_digits_with_masked_labels(tmp_path, capsys):

    found = table(tmp_path, DIGITS, "--masked", "2", "--valid", "none", "--test", "chr3", name="t.tsv.gz")
    assert found == {("train", "chr1:100-112"): ("ACGTACGTACGT", [0, 1, -1]),
                     ("train", "chr1:200-212"): ("CCGTACGTACGN", [1, 0, 0]),
                     ("test", "chr3:100-112"): ("TCGTACGTACGT", [0, 0, 0])}
    shown = capsys.readouterr()
    assert "1 rows left out: all of their labels are masked" in shown.err
    assert shown.out.splitlines()[0] == "label\ttrain\tvalid\ttest\ttrain_masked\tvalid_masked\ttest_masked"
    assert open_dataset(tmp_path / "out.h5").label_names == ("A", "B", "C")
    assert provenance_of(tmp_path / "out.h5")["options"]["masked"] == ["2"]


def test_labels_left_out_and_rows_without_positives(tmp_path):
    options = ["--masked", "2", "--positive-only", "--valid", "none", "--test", "none"]
    assert [name for _, name in table(tmp_path, DIGITS, *options)] == ["chr1:100-112", "chr1:200-212"]
    found = table(tmp_path, DIGITS, *options, "--leave-out", "A")
    assert found == {("train", "chr1:100-112"): ("ACGTACGTACGT", [1, -1])}
    found = table(tmp_path, DIGITS, *options, "--min-positives", "1")
    assert [labels for _, labels in found.values()] == [[0, 1], [1, 0]]


@pytest.mark.parametrize(("text", "options"), [
    ("id,sequence,A,B\nx,ACGTACGT,1,0\ny,GGGTACGT,NA,1\n", []),
    ("name\tA\tother\tB\tdna\nx\t1\thello\t0\tACGTACGT\ny\t.\tworld\t1.0\tGGGTACGT\n", []),
    ('id;seq;A;B\r\n"x";"ACGTACGT";1;0\r\n"y";GGGTACGT;-1;1\r\n', []),
    ("x 1 0 ACGTACGT\ny 9 1 GGGTACGT\n", ["--name", "1", "--label-names", "A", "B", "--masked", "9"]),
    ("## made by hand\n\n#id\tbp\tA\tB\tsize\nx\tACGTACGT\t1\t0\t8\ny\tGGGTACGT\t2\t1\t8\n",
     ["--sequence", "bp", "--labels", "A", "B", "--masked", "2"]),
    ("seq\tid\tlabels\nACGTACGT\tx\t10\nGGGTACGT\ty\t?1\n", ["--digits", "labels", "--label-names", "A", "B"]),
])
def test_tables_of_others(tmp_path, text, options):
    found = table(tmp_path, text, *options, "--valid", "none", "--test", "none")
    assert found == {("train", "x"): ("ACGTACGT", [1, 0]), ("train", "y"): ("GGGTACGT", [-1, 1])}
    assert open_dataset(tmp_path / "out.h5").label_names == ("A", "B")


def test_a_column_says_the_split(tmp_path):
    text = "seq\tA\tfold\nACGTACGT\t1\ttrain\nCCGTACGT\t1\tval\nGCGTACGT\t0\ttest\n"
    assert [split for split, _ in table(tmp_path, text, "--split-column", "fold")] == ["train", "valid", "test"]


def test_three_columns_make_a_region(tmp_path):
    text = "chrom,start,end,seq,A\nchr1,10,18,ACGTACGT,1\nchr2,10,18,ACGTACGA,1\n"
    assert list(table(tmp_path, text, "--valid", "chr2", "--test", "none")) == [
        ("train", "chr1:10-18"), ("valid", "chr2:10-18")]


def test_random_split_keeps_equal_sequences_of_either_strand_together(tmp_path):
    source = random.Random(0)
    letters = ["".join(source.choices("ACGT", k=20)) for _ in range(150)]
    opposite = [text.translate(str.maketrans("ACGT", "TGCA"))[::-1] for text in letters]
    text = "seq\tA\n" + "".join(f"{sequence}\t{i % 2}\n" for i, sequence in enumerate(letters + opposite + letters))
    found = table(tmp_path, text)
    split_of = {}
    for (split, _), (sequence, _) in found.items():
        assert split_of.setdefault(sequence, split) == split
    assert all(split_of[one] == split_of[other] for one, other in zip(letters, opposite, strict=True))
    counts = np.array([sum(split == name for split, _ in found) for name in SPLITS])
    np.testing.assert_allclose(counts, [315, 45, 90], atol=3)
    assert found == table(tmp_path, text) != table(tmp_path, text, "--seed", "1")


def test_sequences_are_cut_and_padded_about_their_centre(tmp_path):
    found = table(tmp_path, "seq\tA\nAACGTACGTT\t1\nCGTACGTACG\t0\nACGT\t1\nACGTACGTA\t1\n", "--length", "8", "--valid",
                  "none", "--test", "none", "--labels", "A", "--sequence", "seq")
    assert [sequence for sequence, _ in found.values()] == ["ACGTACGT", "GTACGTAC", "NNACGTNN", "ACGTACGT"]


def test_many_rows(tmp_path):
    """More than are held at a time, in the order of the file."""
    source = random.Random(0)
    letters = ["".join(source.choices("ACGT", k=12)) for _ in range(9000)]
    text = "seq\tA\tid\n" + "".join(f"{sequence}\t{i % 3 % 2}\ts{i}\n" for i, sequence in enumerate(letters))
    found = table(tmp_path, text, "--valid", "none", "--test", "none")
    assert found == {("train", f"s{i}"): (sequence, [i % 3 % 2]) for i, sequence in enumerate(letters)}


FASTA = ">s1 first\nACGT\nACGT\n>s2\nCCGTACGT\n>s3\nGCGTACGT\n"


def with_fasta(tmp_path, labels, fasta, *options):
    (tmp_path / "s.fa").write_text(fasta)
    return table(tmp_path, labels, "--fasta", str(tmp_path / "s.fa"), "--valid", "none", "--test", "none", *options)


def test_fasta_with_labels_by_name(tmp_path, capsys):
    found = with_fasta(tmp_path, "seq\tA\tB\ns3\t1\t0\ns1\t0\t1\n", FASTA)
    assert found == {("train", "s1"): ("ACGTACGT", [0, 1]), ("train", "s3"): ("GCGTACGT", [1, 0])}
    assert "1 sequences left out" in capsys.readouterr().err


def test_fasta_with_labels_by_order(tmp_path):
    found = with_fasta(tmp_path, "A,B\n1,0\n0,1\n1,1\n", FASTA)
    assert [labels for _, labels in found.values()] == [[1, 0], [0, 1], [1, 1]]
    assert [name for _, name in found] == ["s1", "s2", "s3"]


def test_regions_in_the_names_of_fasta_records(tmp_path):
    fasta = ">peak::chr1:100-108(+)\nACGTACGT\n>chr2:100-108\nCCGTACGT\n"
    (tmp_path / "r.fa").write_text(fasta)
    found = table(tmp_path, "A\n1\n0\n", "--fasta", str(tmp_path / "r.fa"), "--valid", "chr2", "--test", "none")
    assert [split for split, _ in found] == ["train", "valid"]


@pytest.mark.parametrize("first", ["s2", "s0"])
def test_fasta_with_labels_by_name_whatever_its_first_record(tmp_path, capsys, first):
    """Records without labels come before those with labels, and are as many as lack in the table or not."""
    fasta = f">{first}\nTTTTTTTT\n>s1\nACGTACGT\n>s3\nGCGTACGT\n"
    found = with_fasta(tmp_path, "name\tA\ns3\t1\ns1\t0\n", fasta)
    assert found == {("train", "s1"): ("ACGTACGT", [0]), ("train", "s3"): ("GCGTACGT", [1])}
    assert "1 sequences left out" in capsys.readouterr().err


def test_names_that_agree_but_for_some_are_never_paired_by_order(tmp_path, capsys):
    (tmp_path / "s.fa").write_text("".join(f">s{i}\nACGTACGT\n" for i in range(40)))
    (tmp_path / "t.tsv").write_text("name\tA\n" + "".join(f"s{i}\t{i % 2}\n" for i in range(1, 41)))
    fails(capsys, ["dataset", "table", tmp_path / "t.tsv", "--fasta", tmp_path / "s.fa", "-o", tmp_path / "out.h5"],
          tmp_path / "t.tsv", "row 41", "no sequence 's40'", "39 of 40 names")


def test_pairing_by_order_is_said_where_there_are_names(tmp_path, capsys):
    found = with_fasta(tmp_path, "name\tA\nx\t1\ny\t0\nz\t1\n", FASTA)
    assert [labels for _, labels in found.values()] == [[1], [0], [1]]
    assert "are paired by order: no name is in both" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="pipes have no names here")
def test_a_table_from_a_pipe(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, DIGITS.encode())
    os.close(writing)
    try:
        assert main(["dataset", "table", f"/dev/fd/{reading}", "--masked", "2", "--valid", "none", "--test", "none",
                     "-o", str(tmp_path / "out.h5")]) == 0
    finally:
        os.close(reading)
    assert len(rows_of(tmp_path / "out.h5")) == 3
    assert provenance_of(tmp_path / "out.h5")["sources"] == [{"path": f"/dev/fd/{reading}"}]


def row_of(i, name, mark="\t"):
    return mark.join([name, "ACGTACG" + "ACGT"[i % 4], str(i % 2)]) + "\n"


@pytest.mark.parametrize("mark", ["\t", ",", ";"])
def test_quotation_marks_in_tables(tmp_path, capsys, mark):
    header = mark.join(["name", "seq", "A"]) + "\n"
    names = [f'"n{i}"' for i in range(8)]
    names[3:5] = [f'"a {mark} b"', '"a ""b"""']
    found = table(tmp_path, header + "".join(row_of(i, name, mark) for i, name in enumerate(names)), "--valid", "none",
                  "--test", "none")
    assert [name for _, name in found] == ["n0", "n1", "n2", f"a {mark} b", 'a "b"', "n5", "n6", "n7"]
    os.remove(tmp_path / "out.h5")
    names = [f'"n{i}' if i in (2, 6) else f"n{i}" for i in range(8)]
    (tmp_path / "t.csv").write_text(header + "".join(row_of(i, name, mark) for i, name in enumerate(names)))
    fails(capsys, ["dataset", "table", tmp_path / "t.csv", "-o", tmp_path / "out.h5"], tmp_path / "t.csv", "row 4",
          "quotation mark", "to row 8", "take the mark out")


def test_a_quotation_mark_that_nothing_closes(tmp_path, capsys):
    text = "name\tseq\tA\n" + "".join(row_of(i, f"n{i}") for i in range(300)) + row_of(0, '"last') + row_of(1, "n")
    (tmp_path / "t.tsv").write_text(text)
    fails(capsys, ["dataset", "table", tmp_path / "t.tsv", "-o", tmp_path / "out.h5"], "row 302", "quotation mark")


@pytest.mark.parametrize("with_sequences", [False, True])
def test_names_with_nul(tmp_path, capsys, with_sequences):
    text = "name\tseq\tA\nx\tACGTACGT\t1\nx\0y\tGCGTACGT\t0\n"
    (tmp_path / "t.tsv").write_text("A\n1\n0\n" if with_sequences else text)
    (tmp_path / "s.fa").write_text(">x\nACGTACGT\n>x\0y\nGCGTACGT\n")
    options = ["--fasta", tmp_path / "s.fa"] if with_sequences else []
    fails(capsys, ["dataset", "table", tmp_path / "t.tsv", *options, "-o", tmp_path / "out.h5"], "row 3", "NUL")


@pytest.mark.parametrize(("labels", "options", "words"), [
    ("seq\tA\ns3\t1\ns1\t1\ns9\t1\n", ["--name", "seq"], ["row 4", "'s9'"]),
    ("seq\tA\ns1\t1\ns1\t1\ns2\t0\ns3\t0\n", [], ["row", "twice"]),
    ("A\n1\n0\n", [], ["labels for 2 sequences", "there are 3"]),
    ("A\n1\n0\n1\n0\n", [], ["labels for 4 sequences", "there are 3"]),
])
def test_fasta_and_labels_that_do_not_fit(tmp_path, capsys, labels, options, words):
    (tmp_path / "s.fa").write_text(FASTA)
    (tmp_path / "t.tsv").write_text(labels)
    fails(capsys, ["dataset", "table", tmp_path / "t.tsv", "--fasta", tmp_path / "s.fa", *options,
                   "-o", tmp_path / "out.h5"], *words)


@pytest.mark.parametrize(("text", "options", "words"), [
    ("", [], ["the file is empty"]),
    ("seq\tA\n", [], ["no rows"]),
    (DIGITS, [], ["row 2", "label C is '2'", "--masked 2"]),
    (DIGITS, ["--masked", "0", "1", "2"], ["every label of every row is masked"]),
    (DIGITS, ["--masked", "2", "--labels", "CTCF"], ["--labels", "'CTCF'", "idx, region"]),
    (DIGITS, ["--masked", "2", "--leave-out", "CTCF"], ["--leave-out", "'CTCF'", "A, B, C"]),
    (DIGITS, ["--masked", "2", "--leave-out", "A", "B", "C"], ["no label is left"]),
    (DIGITS, ["--masked", "2", "--min-positives", "5"], ["no label is left"]),
    (DIGITS.encode("utf-16"), ["--masked", "2"], ["UTF-16", "iconv"]),
    (DIGITS, ["--masked", "2", "--sequence", "dna"], ["--sequence", "'dna'"]),
    (DIGITS, ["--masked", "2", "--sequence", "9"], ["--sequence", "'9'"]),
    (DIGITS, ["--masked", "2", "--valid", "chr9"], ["--valid chr9", "there is data on 1, 3"]),
    (DIGITS, ["--masked", "2", "--region", "idx"], ["row 2", "'7' is no region"]),
    (DIGITS, ["--masked", "2", "--label-names", "A", "B"], ["--label-names", "3 labels"]),
    (DIGITS, ["--masked", "2", "--label-names", "A", "B", "A"], ["two labels have one name"]),
    (DIGITS.replace("\t100\t", "\t10\t"), ["--masked", "2"], ["row 3", "2 label digits"]),
    (DIGITS.replace("ACGN", "ACGX"), ["--masked", "2"], ["row 3", "'X'"]),
    (DIGITS.replace("ACGN", "ACG"), ["--masked", "2"], ["row 3", "11 bp", "--length"]),
    (DIGITS.replace("\t100\t", "\t"), ["--masked", "2"], ["row 3", "3 columns"]),
    (DIGITS.replace("200-212", "212-200"), ["--masked", "2"], ["row 3", "no region"]),
    ("seq\tA\nACGTACGT\t0\n", ["--positive-only"], ["no row has a positive label"]),
    ("seq\tA\nACGTACGT\t0\n", ["--valid", "chr2"], ["has no regions", "--region"]),
    ("seq\tA\tB\nACGTACGT\t0\t1\n", ["--split-column", "A"], ["row 2", "split is '0'"]),
    ("seq\tx\nACGTACGT\thello\n", [], ["no column holds labels"]),
    ("A\tB\n1\t0\n", [], ["no column holds sequences", "--fasta"]),
])
def test_bad_tables(tmp_path, capsys, text, options, words):
    path = tmp_path / "t.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    fails(capsys, ["dataset", "table", path, *options, "-o", tmp_path / "out.h5"],
          *words, *([path] if "--valid" not in options or "no regions" in words[0] else []))


@pytest.mark.parametrize("option", ["--seed=-1", f"--seed={'9' * 70}", "--min-positives=-1", f"--length={10**12}",
                                    "--length=0", "--block=0"])
def test_numbers_that_make_no_sense_for_tables(tmp_path, capsys, option):
    (tmp_path / "t.tsv").write_text(DIGITS)
    fails(capsys, ["dataset", "table", tmp_path / "t.tsv", "--masked", "2", option, "-o", tmp_path / "out.h5"],
          option.replace("=", " is "))


def test_a_truncated_table(tmp_path, capsys):
    source = random.Random(0)
    text = DIGITS + "".join(f"1\tchr1:1-13\t000\t{''.join(source.choices('ACGT', k=12))}\n" for _ in range(2000))
    (tmp_path / "t.tsv.gz").write_bytes(gzip.compress(text.encode())[:-500])
    fails(capsys, ["dataset", "table", tmp_path / "t.tsv.gz", "--masked", "2", "-o", tmp_path / "out.h5"], "cut off")


# The DeepSEA bundle

N_COLUMNS, LENGTH, BUNDLE_ORDER = 919, 1000, "AGCT"
COUNTS = {"train": 60, "valid": 13, "test": 17}


def make_part(n, seed):
    source = np.random.default_rng(seed)
    letters = source.choice(list("ACGTN"), (n, LENGTH), p=[0.24, 0.26, 0.25, 0.24, 0.01])
    one_hot = np.stack([letters == letter for letter in BUNDLE_ORDER], axis=1).astype(np.uint8)  # (n, 4, 1000)
    labels = (source.random((n, N_COLUMNS)) < 0.05).astype(np.uint8)
    return ["".join(row) for row in letters], one_hot, labels


PARTS = {split: make_part(n, seed) for seed, (split, n) in enumerate(COUNTS.items())}


def write_matlab73(path, variables, **storage):
    """HDF5 behind 512 bytes of MATLAB header, axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in variables.items():
            file.create_dataset(name, data=values.T, **storage)
            file[name].attrs["MATLAB_class"] = np.bytes_("uint8")
    with open(path, "r+b") as file:
        text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Thu Jan  1 00:00:00 2015 HDF5 schema 1.00 ."
        file.write(text.ljust(116) + bytes(8) + b"\x00\x02IM")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "deepsea_train"
    folder.mkdir()
    for split, (_, one_hot, labels) in PARTS.items():
        variables = {f"{split}xdata": one_hot, f"{split}data": labels}
        if split == "train":
            write_matlab73(folder / "train.mat", variables, chunks=True, compression="gzip")
        else:
            scipy.io.savemat(folder / f"{split}.mat", variables, do_compression=split == "valid")
    return folder


@pytest.fixture(scope="module")
def archive(bundle):
    path = bundle.parent / "bundle.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        file.add(bundle, "deepsea_train")
    return path


def expected_rows(columns):
    return {(split, f"{split}_{i}"): (letters[i], labels[i, columns].tolist())
            for split, (letters, _, labels) in PARTS.items()
            for i in range(len(letters)) if labels[i, columns].any()}


PAPER = [592, 602, 344, 345, 635, 636, 349, 642, 359, 361, 661, 369]


def test_the_bundle_from_its_folder(tmp_path, bundle, capsys):
    output = tmp_path / "out.h5"
    assert main(["dataset", "deepsea", str(bundle), "-o", str(output)]) == 0
    expected = expected_rows(PAPER)
    assert 20 < len(expected) < sum(COUNTS.values())
    assert rows_of(output) == expected
    assert open_dataset(output).label_names == (
        "Arid3a", "CEBPB", "FOSL1", "Gabpa", "MAFK", "MAX", "MEF2A", "NFYB", "SP1", "SRF", "STAT1", "YY1")
    assert [source["path"] for source in provenance_of(output)["sources"]] == [
        str(bundle / f"{split}.mat") for split in SPLITS]
    assert f"of {COUNTS['test']} samples have one of the labels" in capsys.readouterr().err


def test_the_archive_gives_the_same_and_is_unpacked_for_the_time_being(tmp_path, bundle, archive):
    for name, source in (("a.h5", archive), ("b.h5", bundle), ("c.h5", bundle.parent)):
        assert main(["dataset", "deepsea", str(source), "-o", str(tmp_path / "new" / name)]) == 0
    assert rows_of(tmp_path / "new/a.h5") == rows_of(tmp_path / "new/b.h5") == rows_of(tmp_path / "new/c.h5")
    assert sorted(os.listdir(tmp_path / "new")) == ["a.h5", "b.h5", "c.h5"]
    (source,) = provenance_of(tmp_path / "new/a.h5")["sources"]
    assert source["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()


def test_other_label_columns(tmp_path, bundle):
    assert main(["dataset", "deepsea", str(bundle), "--columns", "X=918", "3-5", "0",
                 "-o", str(tmp_path / "out.h5")]) == 0
    assert rows_of(tmp_path / "out.h5") == expected_rows([918, 3, 4, 5, 0])
    assert open_dataset(tmp_path / "out.h5").label_names == ("X", "column_3", "column_4", "column_5", "column_0")


@pytest.mark.parametrize("storage", [
    {}, {"chunks": True}, {"chunks": (1, 1, 60)}, {"chunks": (1000, 4, 1)}, {"chunks": (7, 4, 9)},
    {"chunks": (1000, 1, 60), "compression": "gzip"}, {"dtype": np.float64},
])
@pytest.mark.parametrize("budget", [100, 20_000, 64_000_000])
def test_any_storage_of_train_and_any_block_size_give_the_same(tmp_path, monkeypatch, storage, budget):
    _, one_hot, labels = PARTS["train"]
    path = tmp_path / "train.mat"
    write_matlab73(path, {"trainxdata": one_hot}, **storage)
    with h5py.File(path, "a") as file:
        file["traindata"] = labels.T
    monkeypatch.setattr(deepsea, "SLAB_BYTES", budget)
    monkeypatch.setattr(deepsea, "SAMPLES_AT_ONCE", 32)
    found = {}
    for samples, codes, kept in deepsea._open_part(tmp_path, "train").blocks(PAPER):
        for i, sample in enumerate(samples):
            found["train", f"train_{sample}"] = decode(codes[:, i]), kept[i].tolist()
    assert found == {key: row for key, row in expected_rows(PAPER).items() if key[0] == "train"}


matrices = arrays.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=5).flatmap(
    lambda shape: st.sampled_from(["u1", "i1", "i2", "u4", "i8", "f4", "f8", "?"]).flatmap(
        lambda dtype: arrays.arrays(dtype, shape, elements={"allow_nan": False} if dtype[0] == "f" else None)))


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
    short.write_bytes(data[:int(len(data) * damage)])
    (tmp_path / "o").mkdir()
    fails(capsys, ["dataset", "deepsea", short, "-o", tmp_path / "o/out.h5"], short, "cut off", "--download")


@pytest.mark.parametrize(("name", "keep"), [("train.mat", 0.5), ("valid.mat", 0.5), ("test.mat", 0.9),
                                            ("valid.mat", 0.002)])
def test_a_truncated_file_of_the_bundle(tmp_path, capsys, bundle, name, keep):
    shutil.copytree(bundle, tmp_path / "b")
    data = (bundle / name).read_bytes()
    (tmp_path / "b" / name).write_bytes(data[:int(len(data) * keep)])
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


@pytest.mark.parametrize(("columns", "word"), [("919", "no label column 919"), ("A=-1", "'A=-1'"), ("x", "'x'"),
                                               ("9-3", "'9-3'"), ("A=3-5", "'A=3-5'"),
                                               ("0-999999999", "'0-999999999'"), ("9" * 5000, "'999")])
def test_label_columns_that_are_not_there(tmp_path, capsys, bundle, columns, word):
    fails(capsys, ["dataset", "deepsea", bundle, f"--columns={columns}", "-o", tmp_path / "out.h5"], word)


# Download


class Server(http.server.BaseHTTPRequestHandler):
    """Serves ``content`` with ranges; breaks off after ``patience`` bytes as often as ``breaks`` says."""

    def do_GET(self):
        server = self.server
        if self.path != "/bundle.tar.gz":
            self.send_error(404)
            return
        wanted = self.headers.get("Range") if server.with_ranges else None
        server.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        size = len(server.content)
        if wanted and start >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.end_headers()
            return
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        data, end = server.content[start:], b"0\r\n\r\n"
        length = ("Transfer-Encoding", "chunked") if server.chunked else ("Content-Length", str(size - start))
        self.send_header(*length)
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            data, end = data[:server.patience], b""
        self.wfile.write(b"%x\r\n%s\r\n%s" % (len(data), data, end) if server.chunked else data)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(archive):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.content, server.breaks, server.patience = archive.read_bytes(), 0, 10_000
        server.ranges, server.with_ranges, server.chunked = [], True, False
        server.url = f"http://127.0.0.1:{server.server_port}/bundle.tar.gz"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_download_and_build(tmp_path, server, bundle, capsys):
    path = tmp_path / "d/bundle.tar.gz"
    command = ["dataset", "deepsea", str(path), "--download", "--url", server.url, "-o", str(tmp_path / "out.h5")]
    assert main(command) == 0
    assert path.read_bytes() == server.content and os.listdir(tmp_path / "d") == ["bundle.tar.gz"]
    assert hashlib.sha256(server.content).hexdigest() in capsys.readouterr().err
    assert rows_of(tmp_path / "out.h5") == expected_rows(PAPER)
    assert main(command) == 0
    assert server.ranges == [None]  # not fetched again
    assert "is there already" in capsys.readouterr().err


def test_a_broken_connection_is_taken_up_where_it_stopped(tmp_path, server):
    server.breaks = 3
    download(server.url, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == server.content
    assert server.ranges == [None, *(f"bytes={10_000 * i}-" for i in (1, 2, 3))]


def test_a_broken_answer_of_unknown_length_is_taken_up_too(tmp_path, server):
    server.chunked, server.breaks = True, 2
    download(server.url, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == server.content
    assert server.ranges == [None, "bytes=10000-", "bytes=20000-"]


def test_an_earlier_part_is_taken_up(tmp_path, server):
    (tmp_path / "x.part").write_bytes(server.content[:777])
    download(server.url, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == server.content and server.ranges == ["bytes=777-"]


def test_a_server_without_ranges_sends_all_again(tmp_path, server):
    server.with_ranges = False
    (tmp_path / "x.part").write_bytes(b"y" * 777)
    download(server.url, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == server.content


@pytest.mark.parametrize("part", ["whole", "longer"])
def test_a_part_as_long_as_the_file_or_longer(tmp_path, server, part):
    (tmp_path / "x.part").write_bytes(server.content + (b"more" if part == "longer" else b""))
    download(server.url, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == server.content
    assert len(server.ranges) == (1 if part == "whole" else 2)


def test_downloads_that_fail(tmp_path, server, monkeypatch):
    with pytest.raises(InputError, match="404"):
        download(server.url + "x", tmp_path / "x")
    with pytest.raises(InputError, match="cannot be fetched"):
        download("http://127.0.0.1:1/x", tmp_path / "x")
    with pytest.raises(InputError, match="cannot be fetched"):
        download("nonsense", tmp_path / "x")
    with pytest.raises(InputError, match="is a folder"):
        download(server.url, tmp_path)
    server.breaks, server.patience = 10, 0
    with pytest.raises(InputError, match="stopped after 0 of"):
        download(server.url, tmp_path / "x")
    monkeypatch.setattr(download_module, "CHUNK", 1000)
    server.breaks, server.patience = 1, 1500
    download(server.url, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == server.content


# The command


@pytest.mark.parametrize("builder", [[], ["peaks"], ["table"], ["deepsea"]])
def test_help_has_an_example(capsys, builder):
    with pytest.raises(SystemExit) as end:
        main(["dataset", *builder, "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert "example:" in shown and f"kipoi-motifrep dataset {' '.join(builder)}" in shown


def test_the_dataset_loader_reads_what_is_built(tmp_path):
    from kipoi_motifrep import DatasetDl

    table(tmp_path, DIGITS, "--masked", "2", "--valid", "none", "--test", "chr3")
    batch = DatasetDl(str(tmp_path / "out.h5"), split="train").load_all()
    assert batch["inputs"].shape == (2, 12, 4) and batch["targets"].tolist() == [[0, 1, -1], [1, 0, 0]]
    assert batch["inputs"][1, 11].tolist() == [0.25] * 4


def test_standard_input(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(DIGITS.encode()))))
    assert main(["dataset", "table", "-", "--masked", "2", "--valid", "none", "--test", "none",
                 "-o", str(tmp_path / "out.h5")]) == 0
    assert len(rows_of(tmp_path / "out.h5")) == 3
    assert json.loads(json.dumps(provenance_of(tmp_path / "out.h5")["sources"])) == [{"path": "-"}]


def test_an_empty_split_is_noted(tmp_path, capsys):
    (tmp_path / "t.tsv").write_text("sequence\tA\nACGTACGT\t1\nACGTACGA\t0\nACGTTCGA\t1\n")
    assert main(["dataset", "table", str(tmp_path / "t.tsv"), "--valid", "none", "--test", "none",
                 "-o", str(tmp_path / "t.h5")]) == 0
    said = capsys.readouterr().err
    assert "the split 'valid' is empty" in said and "the split 'test' is empty" in said

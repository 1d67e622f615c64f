"""Peaks and a genome to a dataset file, against counting every base."""

import contextlib
import gzip
import hashlib
import io
import os
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import interval_reference
from support.dataset_files import GENOME, LENGTHS, fails, provenance_of, rows_of, some, write_bed, write_fasta

from kipoi_motifrep.cli.program import main
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.datasets.from_peaks import Rule, build_from_peaks
from kipoi_motifrep.datasets.hdf5 import SPLITS
from kipoi_motifrep.datasets.splits import Splitter
from kipoi_motifrep.datasets.table_columns import parse_region
from kipoi_motifrep.sequences import genome as genome_module
from kipoi_motifrep.sequences.genome import Genome


@st.composite
def intervals(draw, min_size=0):
    def one():
        chromosome = draw(st.sampled_from(list(LENGTHS)))
        start = draw(st.integers(0, LENGTHS[chromosome] - 1))
        return chromosome, start, draw(st.integers(start + 1, min(start + 150, LENGTHS[chromosome])))

    return [one() for _ in range(draw(st.integers(min_size, 6)))]


@some
@given(
    a=intervals(1),
    b=intervals(1),
    blacklist=intervals(),
    bin_width=st.sampled_from([20, 33]),
    window=st.sampled_from([10, 33, 100, 141]),
    fraction=st.sampled_from([0, 0.5, 0.75]),
    negatives=st.sampled_from([0, "all"]),
    merge=st.booleans(),
)
def test_windows_and_labels_are_those_of_counting_every_base(
    genome, tmp_path, a, b, blacklist, bin_width, window, fraction, negatives, merge
):
    rule = Rule(bin_width, fraction, window, negatives, merge=merge)
    black = write_bed(tmp_path / "black.bed", [*blacklist, ("chr2", 0, 1)])
    tracks = {
        "A": [write_bed(tmp_path / "a1.bed", a[:1]), write_bed(tmp_path / "a2.bed", a)],
        "B": [write_bed(tmp_path / "b.bed", b)],
    }
    expected = interval_reference.labelled_windows({"A": a, "B": b}, LENGTHS, rule, [*blacklist, ("chr2", 0, 1)])
    with_peaks = {chromosome for chromosome, *_ in [*a, *b]}
    expected = {
        f"{chromosome}:{start}-{start + window}": labels
        for (chromosome, start), labels in expected.items()
        if chromosome in with_peaks and (negatives or any(labels))
    }
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
    peaks = write_bed(
        tmp_path / "a.bed",
        [("1", 200, 300), ("1", 400, 501), ("1", 800, 880), ("1", 880, 1000), ("1", 1000, 1080), ("1", 1110, 1200)],
    )
    command = [
        "dataset",
        "peaks",
        f"A={peaks}",
        "--genome",
        str(genome),
        "--window",
        "200",
        "--valid",
        "none",
        "--test",
        "none",
        "-o",
        str(tmp_path / "out.h5"),
    ]
    assert main(command) == 0
    assert [name for _, name in rows_of(tmp_path / "out.h5")] == ["chr1:400-600", "chr1:800-1000"]


def test_peaks_that_touch_are_one_when_merged(tmp_path, genome):
    peaks = write_bed(tmp_path / "a.bed", [("1", 200, 280), ("1", 320, 400), ("1", 400, 480), ("1", 480, 530)])
    command = [
        "dataset",
        "peaks",
        f"A={peaks}",
        "--genome",
        str(genome),
        "--window",
        "200",
        "--valid",
        "none",
        "--test",
        "none",
        "-o",
    ]
    assert main([*command, str(tmp_path / "one.h5")]) == 2
    assert main([*command, str(tmp_path / "merged.h5"), "--merge"]) == 0
    assert [name for _, name in rows_of(tmp_path / "merged.h5")] == ["chr1:400-600"]


@pytest.fixture
def long_genome(tmp_path):
    """100 kb of which the GC content changes along the way."""
    source = random.Random(1)
    letters = "".join(
        "".join(source.choices("ACGT", [1 - gc, gc, gc, 1 - gc], k=2000))
        for gc in source.choices([0.3, 0.4, 0.5, 0.6, 0.7], k=50)
    )
    return write_fasta(tmp_path / "long.fa", {"1": letters})


@pytest.fixture
def scattered_peaks(tmp_path):
    source = random.Random(2)
    rows = [("chr1", start, start + source.randint(150, 400)) for start in source.sample(range(0, 99_000, 1500), 30)]
    return write_bed(tmp_path / "peaks.bed", rows)


def test_negatives_touch_no_peak_and_have_the_positives_gc_content(tmp_path, long_genome, scattered_peaks):
    command = [
        "dataset",
        "peaks",
        f"A={scattered_peaks}",
        "--genome",
        str(long_genome),
        "--window",
        "400",
        "--negatives",
        "1",
        "--valid",
        "1:20000-40000",
        "--test",
        "chr1:60,000-80,000",
    ]
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
    assert (
        main(
            [
                "dataset",
                "peaks",
                f"A={scattered_peaks}",
                "--genome",
                str(long_genome),
                "--block",
                "5000",
                "-o",
                str(tmp_path / "out.h5"),
            ]
        )
        == 0
    )
    where = {split: set() for split in SPLITS}
    for split, name in rows_of(tmp_path / "out.h5"):
        _, start, end = parse_region(name)
        where[split] |= set(range(start, end))
    assert all(where.values())
    assert not where["train"] & where["valid"] | where["train"] & where["test"] | where["valid"] & where["test"]


def test_positives_are_dealt_alike_whatever_the_negatives(tmp_path, long_genome, scattered_peaks):
    positives = []
    for negatives in ("0", "1", "all"):
        assert (
            main(
                [
                    "dataset",
                    "peaks",
                    f"A={scattered_peaks}",
                    "--genome",
                    str(long_genome),
                    "--block",
                    "5000",
                    "--negatives",
                    negatives,
                    "-o",
                    str(tmp_path / "out.h5"),
                ]
            )
            == 0
        )
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
    assert (
        main(
            [
                "dataset",
                "peaks",
                "--list",
                str(listing),
                "--genome",
                str(genome),
                "--chromosomes",
                "1",
                "--window",
                "200",
                "--valid",
                "none",
                "--test",
                "none",
                "-o",
                str(tmp_path / "out.h5"),
            ]
        )
        == 0
    )
    assert {name: labels for (_, name), (_, labels) in rows_of(tmp_path / "out.h5").items()} == {
        "chr1:400-600": [1, 0],
        "chr1:800-1000": [0, 1],
    }
    shown = capsys.readouterr()
    assert shown.out == "label\ttrain\tvalid\ttest\nA\t1\t0\t0\nB\t1\t0\t0\n"
    assert "2 sequences of 200 bp, 2 labels (2 train, 0 valid, 0 test)" in shown.err
    provenance = provenance_of(tmp_path / "out.h5")
    assert provenance["command"] == "dataset peaks" and provenance["options"]["chromosomes"] == ["1"]
    assert [source["sha256"] for source in provenance["sources"]] == [
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (tmp_path / "peaks/a.narrowPeak.gz", tmp_path / "peaks/b.bed", genome)
    ]
    assert provenance["versions"]["numpy"] == np.__version__


@pytest.mark.parametrize(
    ("bed", "words"),
    [
        ("", ["the file is empty"]),
        ("#nothing\n", ["holds no intervals"]),
        ("chr1\t5\t9\nchr9\t5\t9\n", ["row 2", "chr9", "another genome build", "--chromosomes"]),
        ("chr1\t5\t9\nchr1\t1500\t1501\n", ["row 2", "1500", "another genome build"]),
        ("chr1\t5\t9\n" + 20 * "chr1\t1400\t1501\n", ["row 2", "1500", "another genome build", "19 more"]),
        ("chr1\t-5\t9\n", ["row 1", "starts before"]),
        ("chr1\t9\t9\n", ["row 1", "has no bases"]),
        ("chr1\t9\tx9\n", ["row 1", "whole numbers"]),
        ("chr1\t5\n", ["row 1", "columns"]),
        ("chr1\t700\t750\n", ["no bin"]),
    ],
)
def test_bad_peak_files(tmp_path, genome, capsys, bed, words):
    peaks = tmp_path / "bad.bed"
    peaks.write_text(bed)
    fails(
        capsys,
        ["dataset", "peaks", f"A={peaks}", "--genome", genome, "-o", tmp_path / "out.h5"],
        *words,
        *([peaks] if "no bin" not in words else []),
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["peaks.bed"], ["CEBPB=peaks.bed", "--list"]),
        ([], ["no peak files"]),
        (["A=absent.bed"], ["absent.bed", "no such file"]),
        (["--list", "absent.tsv"], ["absent.tsv", "no such file"]),
        (["--list", os.devnull, "A=a.bed"], [os.devnull, "names no peak file"]),
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
    ],
)
def test_bad_options_of_peaks(tmp_path, genome, capsys, options, words):
    peaks = write_bed(tmp_path / "peaks.bed", [("chr1", 600, 800)])
    options = [option.format(peaks=peaks, genome=genome) for option in options]
    fails(capsys, ["dataset", "peaks", *options, "--genome", genome, "-o", tmp_path / "out.h5"], *words)


def test_peaks_need_no_program_and_no_temporary_folder(tmp_path, genome, run_python):
    """So a full one cannot cut what they are compared with."""
    peaks = write_bed(tmp_path / "peaks.bed", [("chr1", 600, 800)])
    Genome(genome)  # writes its index, as is done once
    program = (
        "import sys, tempfile; tempfile.tempdir = '/proc/none'; "
        "from kipoi_motifrep.cli.program import main; sys.exit(main(sys.argv[1:]))"
    )
    done = run_python(
        "-c",
        program,
        "dataset",
        "peaks",
        f"A={peaks}",
        "--genome",
        genome,
        "--window",
        "200",
        "--valid",
        "none",
        "--test",
        "none",
        "-o",
        tmp_path / "out.h5",
        env={**os.environ, "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert list(rows_of(tmp_path / "out.h5")) == [("train", "chr1:600-800")]


def test_tables_that_count_from_one_give_what_bed_gives(tmp_path, genome, capsys):
    rows = [("chr1", 401, 600), ("chr1", 1000, 1201), ("chr2", 100, 300)]
    macs = tmp_path / "macs.xls"
    macs.write_text(
        "# MACS\n\nchr\tstart\tend\tlength\tabs_summit\tpileup\tfold_enrichment\tname\n"
        + "".join(
            f"{chromosome}\t{start + 1}\t{end}\t{end - start}\t{start + 9}\t9\t5\tp\n"
            for chromosome, start, end in rows
        )
    )
    for name, path in (("macs.h5", macs), ("bed.h5", write_bed(tmp_path / "a.bed", rows))):
        assert (
            main(
                [
                    "dataset",
                    "peaks",
                    f"A={path}",
                    "--genome",
                    str(genome),
                    "--window",
                    "200",
                    "--fraction",
                    "0.995",
                    "--valid",
                    "none",
                    "--test",
                    "none",
                    "-o",
                    str(tmp_path / name),
                ]
            )
            == 0
        )
    assert rows_of(tmp_path / "macs.h5") == rows_of(tmp_path / "bed.h5") != {}
    assert "read as MACS's table, which counts from 1" in capsys.readouterr().err


@given(
    past=st.lists(st.tuples(st.integers(1200, 1499), st.integers(1, 300)), min_size=1, max_size=10),
    black=st.integers(1, 30),
    merge=st.booleans(),
)
@some
def test_intervals_past_an_end_are_cut_there(genome, tmp_path, past, black, merge):
    """Those of peak callers reach a little further than the chromosome does; blacklists, too."""
    rows = [("1", start, start + width) for start, width in past]
    cut = [("chr1", start, min(end, LENGTHS["chr1"])) for _, start, end in rows]
    n_past = sum(end > LENGTHS["chr1"] for *_, end in rows)
    peaks = write_bed(tmp_path / "a.bed", [*rows, ("chr1", 300, 500)])
    blacklist = write_bed(
        tmp_path / "black.bed", [("chr1", LENGTHS["chr1"] - black, LENGTHS["chr1"] + black), ("chr1", 0, 1)]
    )
    rule = Rule(20, 0.5, 10, merge=merge)
    expected = interval_reference.labelled_windows(
        {"A": [*cut, ("chr1", 300, 500)]},
        {"chr1": LENGTHS["chr1"]},
        rule,
        [("chr1", LENGTHS["chr1"] - black, LENGTHS["chr1"]), ("chr1", 0, 1)],
    )
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        build_from_peaks(
            tmp_path / "out.h5",
            {"A": [peaks]},
            genome,
            rule=rule,
            blacklist=blacklist,
            splitter=Splitter("none", "none"),
        )
    assert {name for _, name in rows_of(tmp_path / "out.h5")} == {
        f"{chromosome}:{start}-{start + 10}" for (chromosome, start), labels in expected.items() if any(labels)
    }
    assert (f"{n_past} of {len(rows) + 1} intervals cut off" in said.getvalue()) == (n_past > 0)
    assert f"{blacklist}: 1 of 2 intervals cut off" in said.getvalue()


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

"""BED files as they come: read rightly, or refused by row with a cure; and the `validate` command."""

import gzip
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracles import naive

from kipoi_motifrep.cli import program as cli
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.sequences import interval_files as intervals_module
from kipoi_motifrep.sequences.genome import Genome
from kipoi_motifrep.sequences.intervals import Intervals
from kipoi_motifrep.sequences.validate import validate

CHR1 = "ACGTTGCAAC" * 10
CHR2 = "NNNNNRYACGTacgtACGTGGGTTTAAACCC"
several = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def fasta(tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text(naive.fasta({"chr1": CHR1, "chr2": CHR2, "chrM": "ACGT" * 10}, [30, 7, 11]))
    return path


@pytest.fixture
def bed(tmp_path):
    def write(contents):
        path = tmp_path / "rows.bed"
        path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
        return path

    return write


def read(path, fasta, **options):
    intervals = Intervals(path, Genome(fasta), **options)
    intervals.problems.raise_first()
    batch = intervals.read(0, len(intervals))
    return list(zip(batch.chromosome.tolist(), batch.start.tolist(), batch.end.tolist(), strict=True)), batch


ROWS = [("chr1", 0, 10), ("chr2", 5, 15), ("chr1", 90, 100)]
PLAIN = "".join(f"{c}\t{s}\t{e}\n" for c, s, e in ROWS)
NARROW_PEAK = "".join(f"{c}\t{s}\t{e}\tpeak{i}\t1000\t.\t8.5\t-1\t4.2\t5\n" for i, (c, s, e) in enumerate(ROWS))
BED12 = "".join(f"{c}\t{s}\t{e}\tgene\t0\t-\t{s}\t{e}\t255,0,0\t2\t1,1,\t0,9,\n" for c, s, e in ROWS)


@pytest.mark.parametrize(
    "contents",
    [
        PLAIN,
        PLAIN.rstrip("\n"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\t", " "),
        PLAIN.replace("\t", "   "),
        "\n\n" + PLAIN.replace("\n", "\n\n  \n"),
        PLAIN.replace("\n", "\t\n"),
        PLAIN.replace("\n", "\t\t \n"),
        "# a comment\n#chrom\tstart\tend\n" + PLAIN + "# the end\n",
        'track name=peaks description="my peaks"\n' + PLAIN,
        "browser position chr1:1-10\nbrowser hide all\n" + PLAIN,
        "track\tname=peaks\n" + PLAIN,
        PLAIN + "track name=again\n",
        "chrom\tstart\tend\n" + PLAIN,
        "chrom\tchromStart\tchromEnd\tname\n" + PLAIN,
        "Chr Start Stop\n" + PLAIN,
        "\ufeff" + PLAIN,
        "seqnames begin stop\n" + PLAIN,
        "chrom\tleft\tright\n" + PLAIN,
        "Track name=peaks\n" + PLAIN,
        "\ufeffchrom\tstart\tend\n" + PLAIN,
        "\ufeff# a comment\n" + PLAIN,
        gzip.compress(PLAIN.encode()),
        gzip.compress(PLAIN[:20].encode()) + gzip.compress(PLAIN[20:].encode()),
        NARROW_PEAK,
        BED12,
        PLAIN.replace("chr1", "1").replace("chr2", "2"),
        PLAIN.replace("chr1", "CHR1"),
        PLAIN.replace("\t0\t", "\t00\t").replace("\t5\t", "\t +5 \t"),
    ],
)
def test_messy_files_give_the_same_intervals(bed, fasta, contents):
    found, batch = read(bed(contents), fasta)
    assert [(name.lower().removeprefix("chr"), *rest) for name, *rest in found] == [
        (name.removeprefix("chr"), *rest) for name, *rest in ROWS
    ]
    assert batch.number.tolist() == [0, 1, 0]
    assert batch.strand.tolist() == ["*"] * 3 and not batch.reverse.any()


def test_names_are_kept_or_numbered(bed, fasta):
    _, batch = read(bed("chr1\t0\t4\tfirst peak\nchr1\t4\t8\nchr1\t8\t12\t\t0\nchr1\t9\t13\t\u00e9t\u00e9\n"), fasta)
    assert batch.name.tolist() == ["first peak", "1", "2", "\u00e9t\u00e9"]


@pytest.mark.parametrize("name", ["chrM", "MT", "M", "chrMT"])
def test_the_mitochondrion_has_four_names(bed, fasta, name):
    found, batch = read(bed(f"{name}\t0\t4\n"), fasta)
    assert found == [(name, 0, 4)] and batch.number.tolist() == [2]


def test_strands(bed, fasta):
    _, batch = read(bed("".join(f"chr1\t0\t4\tx\t0\t{strand}\n" for strand in "+-.*")), fasta, use_strand=True)
    assert batch.reverse.tolist() == [False, True, False, False]
    assert batch.strand.tolist() == ["+", "-", "*", "*"]


def test_a_file_longer_than_what_is_held_at_once(bed, fasta, monkeypatch):
    monkeypatch.setattr(intervals_module, "ROWS_AT_ONCE", 7)
    rows = [("chr1", i % 80, i % 80 + 20) for i in range(100)]
    found, batch = read(bed("".join(f"{c}\t{s}\t{e}\n" for c, s, e in rows)), fasta)
    assert found == rows and batch.name.tolist() == [str(i) for i in range(100)]
    with pytest.raises(InputError, match=r"row 9: is 21 bp wide, and row 1 is 20"):
        read(bed("chr1\t0\t20\n" * 8 + "chr1\t0\t21\n"), fasta)


BIG = "9" * 40
WRONG = {
    "chromosome": ("chr9\t0\t10\n", "chromosome 'chr9' is not in", "another genome build"),
    "chromosome prefix": ("chr\t0\t10\n", "chromosome 'chr' is not in", "genome build"),
    "chromosome empty": ("\t0\t10\n", "chromosome '' is not in", "genome build"),
    "start past": ("chr1\t100\t110\n", "chr1:100-110 starts past the end of the chromosome (100 bp)", "build"),
    "start far past": (f"chr1\t{BIG}\t{BIG}1\n", f"chr1:{BIG}-{BIG}1 starts past the end", "build"),
    "empty": ("chr1\t5\t5\n", "start and end are both 5: the interval is empty", "BED"),
    "negative": ("chr1\t-5\t5\n", "start -5 is negative", "from 0"),
    "very negative": (f"chr1\t-{BIG}\t5\n", f"start -{BIG} is negative", "from 0"),
    "reversed": ("chr1\t10\t5\n", "start 10 lies after end 5", "swap"),
    "very reversed": (f"chr1\t{BIG}\t5\n", f"start {BIG} lies after end 5", "swap"),
    "end far past": (f"chr1\t5\t{BIG}\n", "wide", "at most"),
    "two columns": ("chr1\t10\n", "has only 2 of the columns", "start and end"),
    "one column": ("chr1:10-20\n", "has only 1 of the columns", "start and end"),
    "float": ("chr1\t5.0\t15.0\n", "start '5.0' and end '15.0' must be whole numbers", ""),
    "scientific": ("chr1\t1e1\t2e1\n", "must be whole numbers", ""),
    "thousands": ("chr1\t1,000\t1,010\n", "must be whole numbers", ""),
    "underscore": ("chr1\t1_0\t2_0\n", "must be whole numbers", ""),
    "missing": ("chr1\tNA\tNA\n", "start 'NA' and end 'NA' must be whole numbers", ""),
    "dots": ("chr1\t.\t.\n", "start '.' and end '.' must be whole numbers", ""),
    "empty columns": ("chr1\t\t\tname\n", "must be whole numbers", ""),
    "unknown chromosome": ("chrUn\tNA\tNA\n", "start 'NA' and end 'NA' must be whole numbers", "take it out"),
    "no columns of BED": ("sample\tgroup\tage\n", "start 'group' and end 'age' must be whole numbers", "take it out"),
    "a word": ("chr1\tx\n", "has only 2 of the columns", "start and end"),
    "late header": ("chr1\t0\t10\nchrom\tstart\tend\n", "start 'start' and end 'end' must be whole numbers", ""),
    "genes in GFF": ("chr1\tsource\tgene\t1\t10\n", "must be whole numbers", ""),
}


@pytest.mark.parametrize("contents, reason, cure", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("before", ["", "# comment\nchr1\t20\t30\n"], ids=["first", "later"])
def test_what_is_wrong_is_told_by_row_with_a_cure(bed, fasta, contents, reason, cure, before):
    path = bed(before + contents)
    with pytest.raises(InputError) as error:
        read(path, fasta)
    row = (before + contents).count("\n")
    assert str(error.value).startswith(f"{path}, row {row}: "), error.value
    assert reason in str(error.value) and cure in str(error.value) and "\n" not in str(error.value)


def test_widths_that_differ_are_refused_with_the_row_they_differ_from(bed, fasta):
    with pytest.raises(InputError, match=r"row 4: is 12 bp wide, and row 2 is 10; give auto_resize_len=10"):
        read(bed("#\nchr1\t0\t10\nchr1\t10\t20\nchr1\t20\t32\n"), fasta)


@pytest.mark.parametrize(
    "contents, reason",
    [
        ("", "the file is empty"),
        ("\n\n", "holds no intervals"),
        ("# only\n# comments\n", "holds no intervals"),
        ("track name=x\n", "holds no intervals"),
        ("chrom\tstart\tend\n", "holds no intervals"),
        (PLAIN.encode("utf-16"), "UTF-16"),
        (gzip.compress(b""), "the file is empty"),
        (gzip.compress(PLAIN.encode())[:30], "damaged or cut off"),
    ],
)
def test_files_without_intervals(bed, fasta, contents, reason):
    path = bed(contents)
    with pytest.raises(InputError) as error:
        read(path, fasta)
    assert str(error.value).startswith(f"{path}: ") and reason in str(error.value)


def test_a_missing_file(fasta, tmp_path):
    with pytest.raises(InputError, match=r"missing.bed: there is no such file"):
        read(tmp_path / "missing.bed", fasta)


def test_the_first_problem_says_how_many_more_there_are(bed, fasta):
    with pytest.raises(InputError, match=r"row 2: .* \(2 more problems; 'kipoi-motifrep validate' lists them\)"):
        read(bed("chr1\t0\t10\nchr9\t0\t10\nchr1\t5\t5\nchr1\t-1\t9\n"), fasta)


@pytest.mark.parametrize(
    "column, words",
    [
        ("?", "strand '?' must be + or -"),
        ("plus", "strand 'plus'"),
        ("", "has no strand in column 6"),
        (None, "has no strand in column 6"),
    ],
)
def test_strands_that_are_none(bed, fasta, column, words):
    contents = "chr1\t0\t4\n" if column is None else f"chr1\t0\t4\tx\t0\t{column}\tmore\n"
    path = bed(contents)
    read(path, fasta)
    with pytest.raises(InputError) as error:
        read(path, fasta, use_strand=True)
    assert f"{path}, row 1: {words}" in str(error.value) and "use_strand" in str(error.value)


# Beyond the ends, and resizing


def test_intervals_over_an_end_are_kept_or_refused(bed, fasta):
    path = bed("chr1\t95\t105\nchr1\t0\t10\nchr2\t30\t40\n")
    found, _ = read(path, fasta)
    assert found == [("chr1", 95, 105), ("chr1", 0, 10), ("chr2", 30, 40)]
    assert Intervals(path, Genome(fasta)).n_padded == 2
    with pytest.raises(InputError, match=r"row 1: chr1:95-105 reaches beyond the chromosome \(0-100\); .*outside="):
        read(path, fasta, outside="refuse")
    read(bed("chr1\t0\t100\n"), fasta, outside="refuse")


def test_an_interval_that_resizing_takes_off_the_chromosome_is_refused(bed, fasta):
    with pytest.raises(InputError, match=r"row 1: .*no base"):
        read(bed("chr1\t99\t1000\n"), fasta, length=20)
    found, _ = read(bed("chr1\t99\t118\n"), fasta, length=20)
    assert found == [("chr1", 98, 118)]


@pytest.mark.parametrize(
    "options, words",
    [
        ({"length": 0}, "at least 1"),
        ({"length": -200}, "at least 1"),
        ({"length": 10**12}, "at most"),
        ({"outside": "zero"}, "outside is 'zero'"),
        ({"outside": None}, "outside is None"),
    ],
)
def test_arguments_that_make_no_sense(bed, fasta, options, words):
    with pytest.raises(InputError, match=words):
        read(bed(PLAIN), fasta, **options)


@several
@given(start=st.integers(0, 99), width=st.integers(1, 60), length=st.integers(1, 50))
def test_resizing_is_that_of_kipoiseq(tmp_path, fasta, start, width, length):
    from kipoiseq.transforms.functional import resize_interval

    theirs = resize_interval(SimpleNamespace(start=start, end=start + width), length)
    assert theirs.start == naive.resized(start, start + width, length)
    path = tmp_path / "one.bed"
    path.write_text(f"chr1\t{start}\t{start + width}\n")
    if theirs.start >= len(CHR1):
        with pytest.raises(InputError, match="no base"):
            read(path, fasta, length=length)
    else:
        found, _ = read(path, fasta, length=length)
        assert found == [("chr1", theirs.start, theirs.end)]


@several
@given(
    st.lists(
        st.tuples(st.sampled_from(["chr1", "1", "chr2", "chrX"]), st.integers(-20, 130), st.integers(-20, 130)),
        min_size=1,
        max_size=12,
    )
)
def test_rows_with_problems_are_just_those_a_plain_check_finds(tmp_path, fasta, rows):
    size = {"chr1": len(CHR1), "1": len(CHR1), "chr2": len(CHR2)}
    path = tmp_path / "rows.bed"
    path.write_text("".join(f"{c}\t{s}\t{e}\n" for c, s, e in rows))
    wrong, width = [], None
    for number, (chromosome, start, end) in enumerate(rows, 1):
        if chromosome not in size or start < 0 or end <= start or start >= size[chromosome]:
            wrong.append(number)
            continue
        width = width or end - start
        if end - start != width:
            wrong.append(number)
    found = validate(path, fasta)
    assert [problem.row for problem in found.problems] == wrong
    assert found.n_problems == len(wrong) and found.n == len(rows)


# The command


MANY = (
    "track name=bad\nchr1\t0\t10\nchr9\t0\t10\nchr1\t10\nchr1\t5\t5\nchr1\t9\t3\nchr1\t-1\t9\nchr1\t500\t510\n"
    "chr1\t0\t12\nchr1\tx1\t9\n\nchr2\t0\t10\n"
)


def test_validate_lists_every_problem_by_row(bed, fasta, capsys):
    path = bed(MANY)
    assert cli.main(["validate", "--intervals", str(path), "--fasta", str(fasta)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines[:-1]] == [f"{path}, row {row}" for row in range(3, 11)]
    words = ["chr9", "only 2", "empty", "swap", "negative", "past", "12 bp", "whole", "8 problems"]
    assert len(lines) == len(words) and all(word in line for word, line in zip(words, lines, strict=True))


def test_validate_says_when_nothing_is_wrong(bed, fasta, capsys):
    path = bed("chr1\t0\t10\nchr1\t95\t105\nchr2\t0\t10\n")
    assert cli.main(["validate", "--intervals", str(path), "--fasta", str(fasta)]) == 0
    out = capsys.readouterr().out
    assert "3 intervals of 10 bp, nothing wrong" in out
    assert "1 reach beyond" in out and "2 contain letters other than" not in out and "1 contain letters other" in out


def test_validate_takes_the_options_of_the_loader(bed, fasta, capsys):
    path = str(bed("chr1\t0\t10\tx\t0\t+\nchr1\t0\t12\tx\t0\t?\n"))
    base = ["validate", "--intervals", path, "--genome", str(fasta)]
    assert cli.main([*base, "--auto-resize-len", "8"]) == 0
    assert cli.main([*base, "--auto-resize-len", "8", "--use-strand"]) == 2
    assert cli.main([*base, "--auto-resize-len", "30", "--outside", "refuse"]) == 2
    assert cli.main([*base, "--auto-resize-len", "0"]) == 2
    captured = capsys.readouterr()
    assert "strand '?'" in captured.out and captured.out.count("reaches beyond") == 2
    assert "at least 1" in captured.err


def test_validate_shows_a_thousand_and_counts_the_rest(bed, fasta, capsys):
    path = bed("".join(f"chr9{i}\t0\t10\n" for i in range(1500)))
    assert cli.main(["validate", "--intervals", str(path), "--fasta", str(fasta)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1001 and "1500 problems, 500 not shown" in lines[-1]


def test_validate_says_a_problem_of_many_rows_once(bed, fasta, capsys):
    path = bed("chr1\t0\t10\n" + "chr9\t0\t10\n" * 836 + "chr1\t0\t11\n")
    assert cli.main(["validate", "--intervals", str(path), "--fasta", str(fasta)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{path}, rows 2, 3, 4 and 833 more: chromosome 'chr9' is not in")
    assert lines[1].startswith(f"{path}, row 838: is 11 bp wide") and lines[2] == f"{path}: 837 problems"
    assert cli.main(["validate", "--intervals", str(bed("chr9\t0\t10\n")), "--fasta", str(fasta)]) == 2
    assert capsys.readouterr().out.splitlines()[-1].endswith(": 1 problem")


def test_validate_finds_letters_that_are_none_in_the_genome(bed, tmp_path, capsys):
    genome = tmp_path / "protein.fa"
    genome.write_text(">chr1\nACGTEACGT\n")
    path = bed("# two\nchr1\t5\t9\nchr1\t1\t5\n")
    assert cli.main(["validate", "--intervals", str(path), "--fasta", str(genome)]) == 2
    assert capsys.readouterr().err == (
        f"kipoi-motifrep: error: {path}, row 3: {genome}: chr1, base 5 is no DNA "
        "letter; replace it, for example with N\n"
    )


@pytest.mark.parametrize("which", ["--intervals", "--fasta"])
def test_validate_on_missing_files(bed, fasta, capsys, which):
    arguments = {"--intervals": str(bed(PLAIN)), "--fasta": str(fasta), which: "/no/such/file"}
    assert cli.main(["validate", *(word for pair in arguments.items() for word in pair)]) == 2
    assert capsys.readouterr().err.startswith("kipoi-motifrep: error: /no/such/file: there is no such file")


def test_read_gives_any_stretch(bed, fasta):
    intervals = Intervals(bed("".join(f"chr1\t{i}\t{i + 5}\tn{i}\n" for i in range(50))), Genome(fasta))
    batch = intervals.read(13, 31)
    np.testing.assert_array_equal(batch.start, np.arange(13, 31))
    assert batch.name.tolist() == [f"n{i}" for i in range(13, 31)]
    assert len(intervals.read(5, 5).start) == 0

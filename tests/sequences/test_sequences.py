"""Letters, one-hot arrays, FASTA files and random access to genomes, against plain Python strings."""

import gzip
import io
import os
import random
import sys
from pathlib import Path

import numpy as np
import pysam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracles import naive

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.sequences import fasta_index
from kipoi_motifrep.sequences import genome as genome_module
from kipoi_motifrep.sequences.alphabet import (
    INVALID,
    OUTSIDE,
    arrange,
    decode,
    encode,
    one_hot,
    one_hot_table,
    reverse_complement,
)
from kipoi_motifrep.sequences.fasta import read_fasta, resize
from kipoi_motifrep.sequences.genome import Genome
from kipoi_motifrep.sequences.spool import Spool, TextSpool

LETTER = "ACGTNRYSWKMBDHVU"
dna = st.text(LETTER + LETTER.lower(), max_size=60)
several = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def codes_of(text):
    return encode(np.frombuffer(text.encode(), np.uint8))


def padded(text):
    """Codes of a string in which naive.PAD marks what lies outside."""
    return np.array([OUTSIDE if letter == naive.PAD else codes_of(letter)[0] for letter in text], np.uint8)


# Letters


@given(dna)
def test_one_hot_is_the_average_of_the_letters_bases(text):
    np.testing.assert_array_equal(one_hot(codes_of(text)), naive.one_hot(text))


@pytest.mark.parametrize("alphabet", ["ACGT", "AGCT", "TGCA", list("CATG")])
@pytest.mark.parametrize("outside", [0, 0.25])
def test_one_hot_in_another_order_of_letters(alphabet, outside):
    text = LETTER + naive.PAD
    table = one_hot_table(alphabet=alphabet, outside=outside)
    np.testing.assert_array_equal(one_hot(padded(text), table), naive.one_hot(text, "".join(alphabet), outside))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float16", "float32", "float64", "int64"])
def test_one_hot_keeps_shape_and_dtype(dtype):
    codes = np.random.default_rng(0).integers(0, 5, (3, 7, 2)).astype(np.uint8)
    result = one_hot(codes, one_hot_table(dtype))
    assert result.shape == (3, 7, 2, 4) and result.dtype == dtype
    expected = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0.25] * 4]).astype(dtype)
    np.testing.assert_array_equal(result, expected[codes])


@pytest.mark.parametrize("shape", [(0,), (0, 5), (3, 0)])
def test_one_hot_of_nothing(shape):
    assert one_hot(np.zeros(shape, np.uint8)).shape == (*shape, 4)


def test_one_hot_of_a_view_that_is_not_contiguous():
    codes = np.arange(12, dtype=np.uint8).reshape(3, 4) % 4
    np.testing.assert_array_equal(one_hot(codes.T[::-1]), np.eye(4, dtype=np.float32)[codes.T[::-1]])


@pytest.mark.parametrize("alphabet", ["ACG", "ACGU", "ACGTN", "AACG", ""])
def test_an_alphabet_that_is_no_order_of_acgt_is_refused(alphabet):
    with pytest.raises(InputError, match="alphabet"):
        one_hot_table(alphabet=alphabet)


@pytest.mark.parametrize("byte", [0, *b"-*.XJOZ1 \t\n\xff>"])
def test_what_is_no_letter_is_invalid(byte):
    assert encode(np.array([byte], np.uint8))[0] == INVALID


@given(dna)
def test_decode_undoes_encode(text):
    assert decode(codes_of(text)) == text.upper().replace("U", "T")


def test_decode_shows_outside_as_n():
    assert decode(padded("AC..")) == "ACNN"


@given(dna)
def test_reverse_complement_equals_the_naive_one_and_undoes_itself(text):
    result = reverse_complement(codes_of(text))
    assert decode(result) == naive.reverse_complement(text).replace("U", "T")
    np.testing.assert_array_equal(reverse_complement(result), codes_of(text))


def test_reverse_complement_of_one_hot_is_a_flip_of_both_axes():
    codes = padded(LETTER + "..AAC")
    np.testing.assert_array_equal(one_hot(reverse_complement(codes)), one_hot(codes)[::-1, ::-1])


def test_reverse_complement_works_on_the_last_axis():
    codes = np.random.default_rng(1).integers(0, 16, (2, 3, 5)).astype(np.uint8)
    for i in range(2):
        for j in range(3):
            np.testing.assert_array_equal(reverse_complement(codes)[i, j], reverse_complement(codes[i, j]))


@pytest.mark.parametrize("alphabet_axis, dummy_axis",
                         [(a, d) for a in range(3) for d in (None, 0, 1, 2) if a != d and (d is not None or a < 2)])
def test_arrange_equals_kipoiseq(alphabet_axis, dummy_axis):
    from kipoiseq.transforms import ReorderedOneHot

    text = "ACGTTGN"
    theirs = ReorderedOneHot(alphabet_axis=alphabet_axis, dummy_axis=dummy_axis, dtype=np.float32)
    ours = arrange(one_hot(codes_of(text))[None], alphabet_axis=alphabet_axis, dummy_axis=dummy_axis)
    np.testing.assert_array_equal(ours[0], theirs(text))
    assert ours.flags.c_contiguous


@pytest.mark.parametrize("axes", [
    {"alphabet_axis": 2}, {"alphabet_axis": -1}, {"alphabet_axis": 3, "dummy_axis": 0}, {"alphabet_axis": None},
    {"alphabet_axis": 1, "dummy_axis": 1}, {"dummy_axis": 3}, {"dummy_axis": -1}])
def test_arrange_refuses_axes_that_do_not_exist(axes):
    with pytest.raises(InputError, match=r"alphabet_axis|dummy_axis"):
        arrange(np.zeros((1, 5, 4)), **axes)


@given(st.text("ACGT", min_size=1, max_size=30), st.integers(1, 60))
def test_resize_is_that_of_an_interval(text, length):
    start = naive.resized(0, len(text), length)
    np.testing.assert_array_equal(resize(codes_of(text), length), padded(naive.fetch(text, start, length)))


# FASTA records


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


record_texts = st.dictionaries(st.text("abcxyz_|.:0123456789", min_size=1, max_size=8),
                               st.text(LETTER + LETTER.lower(), min_size=1, max_size=40), min_size=1, max_size=5)


@several
@given(records=record_texts, width=st.integers(1, 50), newline=st.sampled_from(["\n", "\r\n"]), last=st.booleans(),
       packed=st.booleans())
def test_read_fasta_gives_every_record(tmp_path, records, width, newline, last, packed):
    text = naive.fasta(records, [width] * len(records), newline, last).encode()
    path = write(tmp_path / "records.fa", gzip.compress(text) if packed else text)
    found = list(read_fasta(path))
    assert [record.name for record in found] == list(records)
    assert [decode(record.codes) for record in found] == [s.upper().replace("U", "T") for s in records.values()]
    lines = text.decode().split(newline)
    assert all(lines[record.row - 1].startswith(f">{record.name} ") for record in found)


def test_read_fasta_takes_uneven_lines_blank_lines_and_nameless_records(tmp_path):
    path = write(tmp_path / "odd.fa", ">\nACG\n\nT\n   \n>two\tx\nA\nCCCCCC\n\n")
    assert [(r.row, r.name, decode(r.codes)) for r in read_fasta(path)] == [(1, "row_1", "ACGT"), (6, "two", "ACCCCCC")]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("packed", [False, True])
def test_read_fasta_takes_lines_that_end_in_carriage_returns_alone(tmp_path, mark, packed):
    text = mark + b">one x\rACG\rT\r\r>two\rCCCC\r"
    path = write(tmp_path / "old.fa", gzip.compress(text) if packed else text)
    assert [(r.row, r.name, decode(r.codes)) for r in read_fasta(path)] == [(1, "one", "ACGT"), (5, "two", "CCCC")]


def test_read_fasta_skips_a_byte_order_mark(tmp_path):
    path = write(tmp_path / "bom.fa", b"\xef\xbb\xbf>one\nACGT\n")
    assert [record.name for record in read_fasta(path)] == ["one"]


@pytest.mark.parametrize("text, row, words", [
    ("", None, "empty"), ("\n\n", None, "no sequences"), ("ACGT\n", 1, "no FASTA"), ("\n\nchr1\t0\t9\n", 3, "no FASTA"),
    (">a\nACGT\n>b\n>c\nA\n", 3, "'b' is empty"), (">a\nACGT\n>b\n", 3, "'b' is empty"),
    (">a\nACGT\nAC-T\n", 3, "'-'"), (">a\nACGT\n>b\nACGT\nMEEPQSDPSV\n", 5, "'E'"), (">a\nAC GT\n", 2, "' '"),
    (">a\nACGT\n>b\rACGT\n", 3, "carriage returns"), (">a\nACGT\n".encode("utf-16"), None, "UTF-16"),
    (">a\nAC\0\0GT\n", 2, "x00"), (">a\nAC*\n", 2, "'*'"), (">a\nAC\u00c9\n", 2, "no DNA letter"),
])
def test_read_fasta_says_what_is_wrong_and_where(tmp_path, text, row, words):
    path = write(tmp_path / "bad.fa", text)
    with pytest.raises(InputError) as error:
        list(read_fasta(path))
    assert str(error.value).startswith(f"{path}, row {row}: " if row else f"{path}: ")
    assert words in str(error.value) and "\n" not in str(error.value)


PACKED = gzip.compress(b">a\n" + bytes(random.Random(0).choices(b"ACGT", k=5000)), mtime=0)


@pytest.mark.parametrize("contents", [PACKED[:300], PACKED[:-4], PACKED[:-8] + bytes(8), PACKED[:5],
                                      PACKED[:200] + bytes(50) + PACKED[250:], PACKED + b"trailing garbage"],
                         ids=["cut", "cut at the end", "wrong checksum", "only a header", "overwritten", "appended"])
def test_a_damaged_gzip_file_is_named(tmp_path, contents):
    path = write(tmp_path / "cut.fa.gz", contents)
    with pytest.raises(InputError, match="damaged or cut off") as error:
        list(read_fasta(path))
    assert str(error.value).startswith(str(path))


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(InputError, match=r"missing.fa: there is no such file"):
        list(read_fasta(tmp_path / "missing.fa"))
    with pytest.raises(InputError, match="directory"):
        list(read_fasta(tmp_path))


@pytest.mark.parametrize("packed", [False, True])
def test_read_fasta_from_standard_input(monkeypatch, packed):
    text = b">a\nACGT\n>b\nTT\n"
    stream = io.BufferedReader(io.BytesIO(gzip.compress(text) if packed else text))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
    assert [record.name for record in read_fasta("-")] == ["a", "b"]


def test_read_fasta_names_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(b""))))
    with pytest.raises(InputError, match="empty"):
        list(read_fasta("-"))


# Genomes


chromosomes = st.lists(st.tuples(st.text(LETTER[:-1] + LETTER[:-1].lower(), min_size=1, max_size=90),
                                 st.integers(1, 25)), min_size=1, max_size=4)
queries = st.lists(st.tuples(st.integers(0, 3), st.integers(-40, 120)), min_size=1, max_size=20)


def open_genome(folder, text, packed):
    plain = write(folder / "genome.fa", text)
    if not packed:
        return Genome(plain)
    pysam.tabix_compress(str(plain), str(folder / "genome.fa.bgz"), force=True)
    return Genome(folder / "genome.fa.bgz")


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "bgzip"])
@several
@given(parts=chromosomes, newline=st.sampled_from(["\n", "\r\n"]), last=st.booleans(), asked=queries,
       width=st.integers(0, 70))
def test_fetch_equals_slicing_a_string(tmp_path_factory, packed, parts, newline, last, asked, width):
    sequences = {f"chr{i}": sequence for i, (sequence, _) in enumerate(parts)}
    text = naive.fasta(sequences, [line for _, line in parts], newline, last)
    genome = open_genome(tmp_path_factory.mktemp("genome"), text, packed)
    assert genome.names == list(sequences)
    assert genome.lengths.tolist() == [len(sequence) for sequence in sequences.values()]
    numbers = np.array([number % len(parts) for number, _ in asked])
    starts = np.array([start for _, start in asked])
    expected = [padded(naive.fetch(sequences[f"chr{n}"], s, width)) for n, s in zip(numbers, starts, strict=True)]
    np.testing.assert_array_equal(genome.fetch(numbers, starts, width), np.array(expected).reshape(len(starts), width))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "bgzip"])
def test_fetch_of_many_wide_intervals_in_any_order(tmp_path, monkeypatch, packed):
    monkeypatch.setattr(genome_module, "NEARBY", 150)
    monkeypatch.setattr(genome_module, "STRETCH", 900)
    dice = random.Random(3)
    sequences = {"a": "".join(dice.choices("ACGTacgtN", k=5000)), "b": "".join(dice.choices("ACGT", k=777))}
    genome = open_genome(tmp_path, naive.fasta(sequences, [61, 50]), packed)
    numbers = np.array(dice.choices([0, 1], k=300))
    starts = np.array([dice.randrange(-100, 5050) for _ in range(300)])
    expected = [padded(naive.fetch(sequences["ab"[n]], s, 64)) for n, s in zip(numbers, starts, strict=True)]
    np.testing.assert_array_equal(genome.fetch(numbers, starts, 64), expected)


def test_fetch_of_no_intervals(tmp_path):
    assert open_genome(tmp_path, ">a\nACGT\n", False).fetch(np.array([], int), np.array([], int), 5).shape == (0, 5)


def test_a_sequence_without_bases_is_left_out(tmp_path):
    genome = open_genome(tmp_path, ">a\nACGT\n>none\n>b\nTTTT\n", False)
    assert genome.names == ["a", "b"] and genome.find("none") == -1
    assert decode(genome.fetch([1], [0], 4)[0]) == "TTTT"


@pytest.mark.parametrize("packed, wrong", [(False, "E"), (False, "-"), (False, "\0"), (True, "E"), (True, "-")])
def test_a_character_that_is_no_letter_is_named(tmp_path, packed, wrong):
    genome = open_genome(tmp_path, f">a\nACGT\n>b\nACGTA\nCG{wrong}TA\nAC\n".encode("latin-1"), packed)
    genome.fetch([1], [0], 7)
    with pytest.raises(InputError, match=r"genome\.fa.*: b, base 8 is no DNA letter"):
        genome.fetch([0, 1], [0, 3], 6)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "bgzip"])
def test_a_blank_before_a_name_does_no_harm(tmp_path, packed):
    genome = open_genome(tmp_path, "> chr1 first\nACGT\n>  chr2\nTTTT\n", packed)
    assert genome.names == ["chr1", "chr2"] and decode(genome.fetch([1], [0], 4)[0]) == "TTTT"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "bgzip"])
@pytest.mark.parametrize("text, row", [(">a\nACGT\n>\nACGT\n", 3), (">\nACGT\n", 1), ("> \nACGT\n>\nACGT\n", 1)])
def test_a_sequence_without_a_name_is_refused(tmp_path, packed, text, row):
    with pytest.raises(InputError, match=rf"genome\.fa.*, row {row}: the header has no name right behind '>'"):
        open_genome(tmp_path, text, packed)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "bgzip"])
def test_names_that_are_not_utf8(tmp_path, packed):
    text = b">chr1\nACGT\n>chr2\xe9 x\nTTTT\n"
    if packed:
        with pytest.raises(InputError, match=r"genome\.fa\.bgz: the name 'chr2\ufffd' is not UTF-8"):
            open_genome(tmp_path, text, packed)
        return
    genome = open_genome(tmp_path, text, packed)
    assert genome.names == ["chr1", "chr2\ufffd"]
    assert decode(genome.fetch([genome.find("chr2\ufffd")], [0], 4)[0]) == "TTTT"


TWICE = {
    "at the end": ">a\nACGT\n>b\nTT\n>a\nGGGG\nGG\n", "between": ">a\nACGT\n>a x\nGG\n>b\nTT\n",
    "blank lines": ">a\nACGT\n\n\n>a\nGG\n\n>b\nTT\n", "whole file": ">a\nACGT\n>b\nTT\n" * 2,
    "without bases": ">a\nACGT\n>none\n>a\n>b\nTT\n", "carriage returns": ">a\r\nACGT\r\n>b\r\nTT\r\n>a\r\nGG\r\n",
    "one of many": "".join(f">s{i} {'x' * (i % 50)}\nACGT\n" for i in range(300)) + ">s7\n" + "ACGT\n" * 40 + ">z\nA\n",
    "long": ">a\n" + "ACGT\n" * 40_000 + ">b\nAC\n>a\n" + "TTTT\n" * 40_000 + ">c\nAC\n",
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "bgzip"])
@pytest.mark.parametrize("text", TWICE.values(), ids=TWICE)
def test_two_sequences_of_one_name_are_refused(tmp_path, packed, text):
    for _ in range(2):  # with an index that is there already, too
        with pytest.raises(InputError, match=r"genome\.fa.*: holds two sequences named '(a|s7)'.*rename"):
            open_genome(tmp_path, text, packed)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "bgzip"])
def test_other_headers_between_sequences_do_no_harm(tmp_path, packed):
    text = ">none\n>a\nACGT\n\n>b " + "x" * 70_000 + "\nTT\n>empty\n>c\n" + "ACGT\n" * 40_000 + "\n\n"
    assert open_genome(tmp_path, text, packed).names == ["a", "b", "c"]


@pytest.mark.parametrize("names, asked, found", [
    (["chr1", "chr2"], "2", 1), (["1", "2"], "chr2", 1), (["chr1", "1"], "1", 1), (["chr1", "1"], "chr1", 0),
    (["chrM"], "MT", 0), (["MT"], "chrM", 0), (["M"], "chrMT", 0), (["chr1"], "chrM", -1), (["1"], "3", -1),
    (["X"], "chrX", 0), (["chr10"], "chr1", -1), (["chrUn_gl000220"], "Un_gl000220", 0), (["1"], "", -1),
    (["1"], "chr", -1), (["Chr1"], "chr1", 0), (["Chr1"], "1", 0), (["chr1"], "CHR1", 0),
])
def test_chromosomes_are_found_with_and_without_chr(tmp_path, names, asked, found):
    genome = open_genome(tmp_path, naive.fasta(dict.fromkeys(names, "ACGT"), [4] * len(names)), False)
    assert genome.find(asked) == found


def cache_files():
    return list((Path(os.environ["XDG_CACHE_HOME"]) / "kipoi_motifrep").rglob("*.fai"))


def test_the_index_is_made_beside_the_file_and_used_again(tmp_path, monkeypatch):
    path = write(tmp_path / "genome.fa", ">a\nACGT\n")
    Genome(path)
    assert (tmp_path / "genome.fa.fai").read_text() == "a\t4\t3\t4\t5\n"
    monkeypatch.setattr(fasta_index, "_make_index", lambda *_: pytest.fail("made again"))
    assert Genome(path).names == ["a"]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "bgzip"])
def test_in_a_folder_that_cannot_be_written_the_index_goes_to_the_cache(tmp_path, monkeypatch, packed):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # the tests may run as root
    folder = tmp_path / "genomes"
    folder.mkdir()
    genome = open_genome(folder, ">a\nACGT\n", packed)
    assert decode(genome.fetch([0], [1], 2)[0]) == "CG"
    assert not [path for path in folder.iterdir() if path.suffix in (".fai", ".gzi")]
    assert len(cache_files()) == 1
    monkeypatch.setattr(fasta_index, "_make_index", lambda *_: pytest.fail("made again"))
    assert Genome(genome.path).names == ["a"]


def test_a_folder_and_a_cache_that_cannot_be_written_are_named(tmp_path, monkeypatch):
    cache = write(tmp_path / "cache", "a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(InputError, match=r"genome\.fa: its index cannot be written to .*cache.*XDG_CACHE") as error:
        open_genome(tmp_path, ">a\nACGT\n", False)
    assert "choose another output" not in str(error.value)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "bgzip"])
def test_an_empty_index_is_made_again(tmp_path, packed):
    path = Path(open_genome(tmp_path, ">a\nACGT\n", packed).path)
    for index in list(tmp_path.glob("*i")):
        write(index, "")
        assert Genome(path).names == ["a"] and index.stat().st_size > 0


@pytest.mark.parametrize("in_cache", [False, True])
def test_an_outdated_index_is_made_again(tmp_path, monkeypatch, in_cache):
    if in_cache:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr(os, "access", lambda *_, **__: False)
    path = write(tmp_path / "genome.fa", ">a\nACGT\n")
    Genome(path)
    write(path, ">b\nAC\nGT\nTT\n")
    os.utime(path, ns=(path.stat().st_mtime_ns + 10**9,) * 2)
    genome = Genome(path)
    assert genome.names == ["b"] and decode(genome.fetch([0], [0], 6)[0]) == "ACGTTT"


def test_a_folder_with_the_name_of_an_index(tmp_path):
    (tmp_path / "genome.fa.fai").mkdir()
    os.utime(tmp_path / "genome.fa.fai", (0, 0))
    genome = write(tmp_path / "genome.fa", ">a\nACGT\n")
    with pytest.raises(InputError, match=r"genome\.fa\.fai: is a folder"):
        Genome(genome)


def test_an_index_that_says_more_than_the_file_holds(tmp_path):
    path = write(tmp_path / "genome.fa", ">a\n" + "ACGT\n" * 20)
    Genome(path)
    whole = path.read_bytes()
    write(path, whole[:50])
    os.utime(path, ns=((tmp_path / "genome.fa.fai").stat().st_mtime_ns,) * 2)
    with pytest.raises(InputError, match=r"shorter than its index .*genome\.fa\.fai"):
        Genome(path)


def test_an_index_of_another_file_is_not_believed(tmp_path):
    path = write(tmp_path / "genome.fa", ">a\nACGTACGT\n>b\nACGTACGT\n")
    write(tmp_path / "genome.fa.fai", "other\t4\t7\t4\t5\n")
    with pytest.raises(InputError, match="index"):
        Genome(path)


@pytest.mark.parametrize("text", ["a\t4\n", "nonsense\n", "a\tx\t3\t4\t5\n", b"\xff\xfe\0bad", "a\t4\t-3\t4\t5\n",
                                  f"a\t{10**25}\t3\t4\t5\n", "a\t4\t3\t4\t0\n"])
def test_a_damaged_index_is_named_with_the_cure(tmp_path, text):
    path = write(tmp_path / "genome.fa", ">a\nACGT\n")
    fai = write(tmp_path / "genome.fa.fai", text)
    with pytest.raises(InputError, match=r"damaged; remove it") as error:
        Genome(path)
    assert str(error.value).startswith(f"{fai}, row 1: ")


@pytest.mark.parametrize("contents, row, words", [
    (b"", None, "empty"), (b"\n\n", None, "empty"), (b"chr1\t0\t10\n", 1, "no FASTA"),
    (gzip.compress(b">a\nACGT\n"), None, "bgzip"), (b">", None, "no sequences"), (b">a\n\n>b\n", None, "no sequences"),
    (b">a\nACGT\n>b\n\n", 3, "sequence 'b' is empty"), (b">a\nACGT\n>b", 3, "sequence 'b' is empty"),
    (b"\xef\xbb\xbf>a\nACGT\n", 1, "byte-order mark"), (">a\nACGT\n".encode("utf-16"), None, "UTF-16"),
    (b">a\rACGT\r>b\rACGT\r", 1, "carriage returns"), (b">a\nACGT\n>b\rACGT\r", 3, "carriage returns"),
    (b">a\nACGT\nAC\nACGT\n", 4, "lines of different lengths in sequence 'a'"),
    (b">a\nACGT\n>b\nACGT\nACGTA\n", 5, "lines of different lengths in sequence 'b'"),
    (b">a\nACGT\n\nACGT\n", 4, "lines of different lengths in sequence 'a'"),
    (b">a\nACGT\nACGT\r\n", 3, "lines of different lengths in sequence 'a'"),
])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "bgzip"])
def test_files_that_are_no_genome(tmp_path, capfd, contents, row, words, packed):
    path = write(tmp_path / "genome.fa", contents)
    if packed:
        if row is None:
            return
        path = tmp_path / "genome.fa.bgz"
        pysam.tabix_compress(str(tmp_path / "genome.fa"), str(path))
    with pytest.raises(InputError) as error:
        Genome(path)
    assert words in str(error.value) and "\n" not in str(error.value)
    assert str(error.value).startswith(f"{path}, row {row}: " if row else f"{path}: ")
    assert not [found for found in tmp_path.iterdir() if found.suffix in (".fai", ".gzi")]
    assert capfd.readouterr().err == ""


def test_lines_with_other_characters_than_letters_never_give_wrong_bases(tmp_path):
    with pytest.raises(InputError, match=r"genome\.fa.*: its lines do not fit its index: remove blanks"):
        open_genome(tmp_path, ">a\nACG T\nACGTA\n>b\nAC\n", False).fetch([0], [0], 6)


def test_a_missing_genome_and_a_folder(tmp_path):
    with pytest.raises(InputError, match=r"missing\.fa: there is no such file"):
        Genome(tmp_path / "missing.fa")
    with pytest.raises(InputError, match="directory"):
        Genome(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_no_genome(tmp_path):
    os.mkfifo(tmp_path / "genome.fa")
    with pytest.raises(InputError, match=r"genome\.fa: is a pipe.*gunzip -c"):
        Genome(tmp_path / "genome.fa")


@pytest.fixture
def bgzip_genome(tmp_path):
    plain = write(tmp_path / "genome.fa", b">a\n" + bytes(random.Random(0).choices(b"ACGT", k=300_000)) + b"\n")
    pysam.tabix_compress(str(plain), str(tmp_path / "genome.fa.bgz"))
    return tmp_path / "genome.fa.bgz"


def block_ends(packed):
    ends = [0]
    while ends[-1] < len(packed):
        ends.append(ends[-1] + int.from_bytes(packed[ends[-1] + 16:ends[-1] + 18], "little") + 1)
    return ends


@pytest.mark.parametrize("index_first", [False, True])
@pytest.mark.parametrize("at_block", [False, True])
def test_a_cut_off_bgzip_file_is_named(bgzip_genome, index_first, at_block):
    if index_first:
        Genome(bgzip_genome)
    whole = bgzip_genome.read_bytes()
    write(bgzip_genome, whole[:block_ends(whole)[2] - (0 if at_block else 100)])
    for index in bgzip_genome.parent.glob("*.*i"):
        os.utime(index, ns=(bgzip_genome.stat().st_mtime_ns,) * 2)
    with pytest.raises(InputError, match=r"genome\.fa\.bgz: is cut off") as error:
        Genome(bgzip_genome)
    assert "\n" not in str(error.value)


def test_a_damaged_block_of_a_bgzip_file_is_named(bgzip_genome):
    Genome(bgzip_genome)
    packed = bytearray(bgzip_genome.read_bytes())
    middle = sum(block_ends(packed)[2:4]) // 2
    packed[middle:middle + 100] = bytes(100)
    write(bgzip_genome, bytes(packed))
    for index in bgzip_genome.parent.glob("*.*i"):
        os.utime(index, ns=(bgzip_genome.stat().st_mtime_ns,) * 2)
    with pytest.raises(InputError, match=r"genome\.fa\.bgz: a:.*damaged"):
        Genome(bgzip_genome).fetch([0], [150_000], 50)


def test_a_bgzip_file_that_is_no_fasta_is_named(tmp_path):
    plain = write(tmp_path / "genes.bed", "chr1\t0\t10\n")
    pysam.tabix_compress(str(plain), str(tmp_path / "genes.bed.gz"))
    with pytest.raises(InputError, match=r"genes.bed.gz, row 1: this is no FASTA"):
        Genome(tmp_path / "genes.bed.gz")


# The temporary file behind the loaders


@several
@given(st.lists(st.lists(st.text(max_size=6), max_size=5), max_size=6), st.data())
def test_text_spool_gives_back_any_stretch(batches, data):
    spool, texts = TextSpool(), [text for batch in batches for text in batch]
    texts = [text.encode("utf-8", "replace").decode().rstrip("\0") for text in texts]
    flat = iter(texts)
    for batch in batches:
        spool.append([next(flat) for _ in batch])
    start = data.draw(st.integers(0, len(texts)))
    stop = data.draw(st.integers(start, len(texts)))
    assert spool.read(start, stop).tolist() == texts[start:stop]


def test_spool_gives_back_any_stretch():
    spool = Spool(np.int16, (2, 3))
    rows = np.arange(60).reshape(10, 2, 3)
    spool.append(rows[:1])
    spool.append(rows[1:7])
    np.testing.assert_array_equal(spool.read(3, 7), rows[3:7])
    spool.append(rows[7:])
    np.testing.assert_array_equal(spool.read(0, 10), rows)
    assert len(spool) == 10 and spool.read(4, 4).shape == (0, 2, 3)

"""Random access to genomes, plain and bgzip, and their indices, against plain Python strings."""

import gzip
import os
import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import naive
from support.dna import LETTER, padded, several, write

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.sequences import fasta_index
from kipoi_motifrep.sequences import genome as genome_module
from kipoi_motifrep.sequences.alphabet import decode
from kipoi_motifrep.sequences.genome import Genome

chromosomes = st.lists(
    st.tuples(st.text(LETTER[:-1] + LETTER[:-1].lower(), min_size=1, max_size=90), st.integers(1, 25)),
    min_size=1,
    max_size=4,
)
queries = st.lists(st.tuples(st.integers(0, 3), st.integers(-40, 120)), min_size=1, max_size=20)


def open_genome(folder, text, packed):
    plain = write(folder / "genome.fa", text)
    if not packed:
        return Genome(plain)
    pysam.tabix_compress(str(plain), str(folder / "genome.fa.bgz"), force=True)
    return Genome(folder / "genome.fa.bgz")


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "bgzip"])
@several
@given(
    parts=chromosomes,
    newline=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    asked=queries,
    width=st.integers(0, 70),
)
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
    "at the end": ">a\nACGT\n>b\nTT\n>a\nGGGG\nGG\n",
    "between": ">a\nACGT\n>a x\nGG\n>b\nTT\n",
    "blank lines": ">a\nACGT\n\n\n>a\nGG\n\n>b\nTT\n",
    "whole file": ">a\nACGT\n>b\nTT\n" * 2,
    "without bases": ">a\nACGT\n>none\n>a\n>b\nTT\n",
    "carriage returns": ">a\r\nACGT\r\n>b\r\nTT\r\n>a\r\nGG\r\n",
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


@pytest.mark.parametrize(
    "names, asked, found",
    [
        (["chr1", "chr2"], "2", 1),
        (["1", "2"], "chr2", 1),
        (["chr1", "1"], "1", 1),
        (["chr1", "1"], "chr1", 0),
        (["chrM"], "MT", 0),
        (["MT"], "chrM", 0),
        (["M"], "chrMT", 0),
        (["chr1"], "chrM", -1),
        (["1"], "3", -1),
        (["X"], "chrX", 0),
        (["chr10"], "chr1", -1),
        (["chrUn_gl000220"], "Un_gl000220", 0),
        (["1"], "", -1),
        (["1"], "chr", -1),
        (["Chr1"], "chr1", 0),
        (["Chr1"], "1", 0),
        (["chr1"], "CHR1", 0),
    ],
)
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


@pytest.mark.parametrize(
    "text",
    [
        "a\t4\n",
        "nonsense\n",
        "a\tx\t3\t4\t5\n",
        b"\xff\xfe\0bad",
        "a\t4\t-3\t4\t5\n",
        f"a\t{10**25}\t3\t4\t5\n",
        "a\t4\t3\t4\t0\n",
    ],
)
def test_a_damaged_index_is_named_with_the_cure(tmp_path, text):
    path = write(tmp_path / "genome.fa", ">a\nACGT\n")
    fai = write(tmp_path / "genome.fa.fai", text)
    with pytest.raises(InputError, match=r"damaged; remove it") as error:
        Genome(path)
    assert str(error.value).startswith(f"{fai}, row 1: ")


@pytest.mark.parametrize(
    "contents, row, words",
    [
        (b"", None, "empty"),
        (b"\n\n", None, "empty"),
        (b"chr1\t0\t10\n", 1, "no FASTA"),
        (gzip.compress(b">a\nACGT\n"), None, "bgzip"),
        (b">", None, "no sequences"),
        (b">a\n\n>b\n", None, "no sequences"),
        (b">a\nACGT\n>b\n\n", 3, "sequence 'b' is empty"),
        (b">a\nACGT\n>b", 3, "sequence 'b' is empty"),
        (b"\xef\xbb\xbf>a\nACGT\n", 1, "byte-order mark"),
        (">a\nACGT\n".encode("utf-16"), None, "UTF-16"),
        (b">a\rACGT\r>b\rACGT\r", 1, "carriage returns"),
        (b">a\nACGT\n>b\rACGT\r", 3, "carriage returns"),
        (b">a\nACGT\nAC\nACGT\n", 4, "lines of different lengths in sequence 'a'"),
        (b">a\nACGT\n>b\nACGT\nACGTA\n", 5, "lines of different lengths in sequence 'b'"),
        (b">a\nACGT\n\nACGT\n", 4, "lines of different lengths in sequence 'a'"),
        (b">a\nACGT\nACGT\r\n", 3, "lines of different lengths in sequence 'a'"),
    ],
)
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
        ends.append(ends[-1] + int.from_bytes(packed[ends[-1] + 16 : ends[-1] + 18], "little") + 1)
    return ends


@pytest.mark.parametrize("index_first", [False, True])
@pytest.mark.parametrize("at_block", [False, True])
def test_a_cut_off_bgzip_file_is_named(bgzip_genome, index_first, at_block):
    if index_first:
        Genome(bgzip_genome)
    whole = bgzip_genome.read_bytes()
    write(bgzip_genome, whole[: block_ends(whole)[2] - (0 if at_block else 100)])
    for index in bgzip_genome.parent.glob("*.*i"):
        os.utime(index, ns=(bgzip_genome.stat().st_mtime_ns,) * 2)
    with pytest.raises(InputError, match=r"genome\.fa\.bgz: is cut off") as error:
        Genome(bgzip_genome)
    assert "\n" not in str(error.value)


def test_a_damaged_block_of_a_bgzip_file_is_named(bgzip_genome):
    Genome(bgzip_genome)
    packed = bytearray(bgzip_genome.read_bytes())
    middle = sum(block_ends(packed)[2:4]) // 2
    packed[middle : middle + 100] = bytes(100)
    write(bgzip_genome, bytes(packed))
    for index in bgzip_genome.parent.glob("*.*i"):
        os.utime(index, ns=(bgzip_genome.stat().st_mtime_ns,) * 2)
    with pytest.raises(InputError, match=r"genome\.fa\.bgz: a:.*damaged"):
        Genome(bgzip_genome).fetch([0], [150_000], 50)


@pytest.mark.parametrize("strangers", [(".fai",), (".gzi",), (".fai", ".gzi")])
def test_an_index_of_another_bgzip_file_gives_no_wrong_bases(tmp_path, strangers):
    """Both are newer than the file, and neither says which file it is of."""
    source = random.Random(1)
    for name, sizes in (("one", (70_000, 90_000, 40_000)), ("two", (50_000, 30_000, 120_000))):
        text = "".join(f">s{i}\n{''.join(source.choices('ACGT', k=n))}\n" for i, n in enumerate(sizes))
        plain = write(tmp_path / f"{name}.fa", text)
        pysam.tabix_compress(str(plain), str(tmp_path / f"{name}.fa.bgz"))
        Genome(tmp_path / f"{name}.fa.bgz")
    for suffix in strangers:
        (tmp_path / f"one.fa.bgz{suffix}").write_bytes((tmp_path / f"two.fa.bgz{suffix}").read_bytes())
    with pytest.raises(InputError, match=r"one\.fa\.bgz: does not fit its index .*; remove the index"):
        Genome(tmp_path / "one.fa.bgz")


def test_bases_that_a_library_did_not_give_are_no_n(bgzip_genome, monkeypatch):
    genome = Genome(bgzip_genome)
    assert (genome.fetch([0], [299_990], 20)[0] < 4).sum() == 10  # past the end, they are
    monkeypatch.setattr(genome._reader, "_fasta", lambda: SimpleNamespace(fetch=lambda name, first, stop: "ACG"))
    with pytest.raises(InputError, match=r"genome\.fa\.bgz: a:100-120 cannot be read; the file is damaged"):
        genome.fetch([0], [100], 20)


def test_a_bgzip_file_that_is_no_fasta_is_named(tmp_path):
    plain = write(tmp_path / "genes.bed", "chr1\t0\t10\n")
    pysam.tabix_compress(str(plain), str(tmp_path / "genes.bed.gz"))
    with pytest.raises(InputError, match=r"genes.bed.gz, row 1: this is no FASTA"):
        Genome(tmp_path / "genes.bed.gz")

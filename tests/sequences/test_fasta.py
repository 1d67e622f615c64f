"""FASTA files of sequences, and the temporary file behind the loaders, against plain Python."""

import gzip
import io
import os
import random
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import naive
from support.dna import LETTER, several, write

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.sequences.alphabet import decode
from kipoi_motifrep.sequences.fasta import read_fasta
from kipoi_motifrep.sequences.spool import Spool, TextSpool

record_texts = st.dictionaries(
    st.text("abcxyz_|.:0123456789", min_size=1, max_size=8),
    st.text(LETTER + LETTER.lower(), min_size=1, max_size=40),
    min_size=1,
    max_size=5,
)


@several
@given(
    records=record_texts,
    width=st.integers(1, 50),
    newline=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    packed=st.booleans(),
)
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


@pytest.mark.parametrize(
    "text, row, words",
    [
        ("", None, "empty"),
        ("\n\n", None, "no sequences"),
        ("ACGT\n", 1, "no FASTA"),
        ("\n\nchr1\t0\t9\n", 3, "no FASTA"),
        ("@read\nACGT\n+\nIIII\n", 1, "no FASTA file, but FASTQ"),
        ("LOCUS       NC_1 10 bp\n", 1, "but GenBank"),
        ("CLUSTAL W (1.83)\n", 1, "but an alignment"),
        ("C'A\x1a\0\0", None, "twoBitToFa"),
        (">a\nACGT\nAC-T\n", 3, "take the gaps"),
        (">a\nACGT\n>b\n>c\nA\n", 3, "'b' is empty"),
        (">a\nACGT\n>b\n", 3, "'b' is empty"),
        (">a\nACGT\nAC-T\n", 3, "'-'"),
        (">a\nACGT\n>b\nACGT\nMEEPQSDPSV\n", 5, "'E'"),
        (">a\nAC GT\n", 2, "' '"),
        (">a\nACGT\n>b\rACGT\n", 3, "carriage returns"),
        (">a\nACGT\n".encode("utf-16"), None, "UTF-16"),
        (">a\nAC\0\0GT\n", 2, "x00"),
        (">a\nAC*\n", 2, "'*'"),
        (">a\nAC\u00c9\n", 2, "no DNA letter"),
    ],
)
def test_read_fasta_says_what_is_wrong_and_where(tmp_path, text, row, words):
    path = write(tmp_path / "bad.fa", text)
    with pytest.raises(InputError) as error:
        list(read_fasta(path))
    assert str(error.value).startswith(f"{path}, row {row}: " if row else f"{path}: ")
    assert words in str(error.value) and "\n" not in str(error.value)


PACKED = gzip.compress(b">a\n" + bytes(random.Random(0).choices(b"ACGT", k=5000)), mtime=0)


@pytest.mark.parametrize(
    "contents",
    [
        PACKED[:300],
        PACKED[:-4],
        PACKED[:-8] + bytes(8),
        PACKED[:5],
        PACKED[:200] + bytes(50) + PACKED[250:],
        PACKED + b"trailing garbage",
    ],
    ids=["cut", "cut at the end", "wrong checksum", "only a header", "overwritten", "appended"],
)
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


def test_spool_reads_on_where_the_system_gives_less(monkeypatch):
    spool, rows, pread = Spool(np.int32, (3,)), np.arange(300, dtype=np.int32).reshape(100, 3), os.pread
    spool.append(rows)
    monkeypatch.setattr(os, "pread", lambda file, size, place: pread(file, min(size, 101), place))
    np.testing.assert_array_equal(spool.read(5, 95), rows[5:95])
    assert spool.read(7, 7).shape == (0, 3)
    monkeypatch.setattr(os, "pread", lambda file, size, place: b"")
    with pytest.raises(InputError, match="cut off"):
        spool.read(0, 1)

"""Intervals of a genome for networks without a loader, and coordinates in the headers of FASTA files."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.small_networks import LENGTH, network_of

import kipoi_motifrep
from kipoi_motifrep import InputError
from kipoi_motifrep.cli.program import main
from kipoi_motifrep.filters import extract_filters
from kipoi_motifrep.sequences.fasta import read_fasta

pytest.importorskip("keras")
COMPLEMENT = str.maketrans("ACGT", "TGCA")
SHIPPED = Path(__file__).parents[2] / "models/synthetic/weights/cnn_25.keras"


@pytest.fixture
def place(tmp_path):
    """A genome of 3,000 bases on two chromosomes, 12 intervals on both strands, and a small network."""
    random = np.random.default_rng(3)
    genome = {name: "".join(random.choice(list("ACGT"), 1500)) for name in ("chr1", "chrUn_HLA:02")}
    (tmp_path / "genome.fa").write_text("".join(f">{name}\n{bases}\n" for name, bases in genome.items()))
    rows = [
        (name, int(start), int(start) + LENGTH, strand)
        for name in genome
        for start, strand in zip(random.choice(1400, 6, replace=False), "+-+--+", strict=True)
    ]
    (tmp_path / "peaks.bed").write_text("".join(f"{a}\t{b}\t{c}\t.\t0\t{d}\n" for a, b, c, d in rows))
    network_of(padding="same").save(tmp_path / "network.keras")
    return tmp_path, genome, rows


def sequence(genome, name, start, end, strand="+"):
    bases = genome[name][start:end]
    return bases.translate(COMPLEMENT)[::-1] if strand == "-" else bases


def interval_sites(folder, **options):
    given = {"intervals": folder / "peaks.bed", "genome": folder / "genome.fa", "sites": True, **options}
    banks = extract_filters(folder / "network.keras", output=folder / "by_intervals", **given)
    return banks[0], (folder / "by_intervals/sites.bed").read_text()


@pytest.mark.parametrize(
    "header",
    [
        "{name}:{start}-{end}({strand})",  # bedtools getfasta -s
        "peak_{i}::{name}:{start}-{end}({strand})",  # bedtools getfasta -s -name
        "{name}:{first}-{end}({strand})",  # samtools faidx --mark-strand sign
        "hg38_dna range={name}:{first}-{end} 5'pad=0 3'pad=0 strand={strand} repeatMasking=none",  # UCSC
    ],
)
def test_headers_give_sites_the_coordinates_that_intervals_give(place, header):
    folder, genome, rows = place
    (folder / "peaks.fa").write_text(
        "".join(
            f">{header.format(i=i, name=a, start=b, first=b + 1, end=c, strand=d)}\n{sequence(genome, a, b, c, d)}\n"
            for i, (a, b, c, d) in enumerate(rows)
        )
    )
    bank, sites = interval_sites(folder, use_strand=True)
    [other] = extract_filters(
        folder / "network.keras", fasta=folder / "peaks.fa", sites=True, output=folder / "by_headers"
    )
    np.testing.assert_array_equal(bank.pwms, other.pwms)
    assert (folder / "by_headers/sites.bed").read_text() == sites
    # Each site's bases are those of the genome at its coordinates.
    width = bank.width
    for line in sites.splitlines():
        name, start, end, _, _, strand = line.split("\t")
        assert int(end) - int(start) == width and strand in "+-" and 0 <= int(start) < int(end) <= len(genome[name])


@pytest.mark.parametrize("resized", [20, 21, 40])
def test_resized_sequences_lie_where_resized_intervals_do(place, resized):
    folder, genome, rows = place
    (folder / "peaks.fa").write_text(
        "".join(f">{a}:{b}-{c}({d})\n{sequence(genome, a, b, c, d)}\n" for a, b, c, d in rows)
    )
    loaders = (
        kipoi_motifrep.SequencesDl(str(folder / "peaks.fa"), auto_resize_len=resized),
        kipoi_motifrep.IntervalsDl(
            str(folder / "peaks.bed"), str(folder / "genome.fa"), auto_resize_len=resized, use_strand=True
        ),
    )
    mine, theirs = (loader.batch(0, len(rows))["metadata"]["ranges"] for loader in loaders)
    forward = np.array([row[3] == "+" for row in rows])
    for name in ("start", "end"):
        ours, expected = getattr(mine, name), getattr(theirs, name)
        np.testing.assert_array_equal(ours[forward], expected[forward])
        # On the other strand the centre of an odd length is one base further, as it is in the sequence itself.
        assert (abs(ours - expected)[~forward] <= resized % 2).all()
    for i, (name, *_, strand) in enumerate(rows):
        start, end = int(mine.start[i]), int(mine.end[i])
        if resized <= LENGTH:
            expected = sequence(genome, name, start, end, strand)
            found = loaders[0].batch(i, i + 1)["inputs"][0].argmax(axis=1)
            assert "".join("ACGT"[base] for base in found) == expected


@pytest.mark.parametrize(
    "headers",
    [
        ["chr1:0-40", "second"],  # not of all
        ["chr1:0-40", "chr1:1-40"],  # from 0 and from 1
        ["chr1:0-50", "chr1:0-50"],  # of another length
        ["chr1", "chr2"],
    ],
)
def test_headers_that_do_not_say_it_of_all_sequences_say_nothing(headers, tmp_path):
    path = tmp_path / "x.fa"
    path.write_text("".join(f">{header}\n{'ACGT' * 10}\n" for header in headers))
    loader = kipoi_motifrep.SequencesDl(str(path))
    assert set(loader.batch(0, 2)["metadata"]) == {"id"} == set(loader.output_schema.metadata)


def test_the_schema_follows_the_last_file(tmp_path):
    (tmp_path / "x.fa").write_text(f">chr1:0-40\n{'ACGT' * 10}\n")
    (tmp_path / "y.fa").write_text(f">a\n{'ACGT' * 10}\n")
    for name, keys in (("x.fa", {"id", "ranges"}), ("y.fa", {"id"}), ("x.fa", {"id", "ranges"})):
        loader = kipoi_motifrep.SequencesDl(str(tmp_path / name))
        batch = loader.batch(0, 1)
        assert set(batch["metadata"]) == keys and loader.output_schema.compatible_with_batch(batch)


def test_regions_of_headers(tmp_path):
    texts = ["HLA:01:5-10/rc", "a::b::chr1:5-9 note", "chr1:5-10 range=chr2:1-4 strand=-", "x range=chr2:1-4 strand=-"]
    expected = [("HLA:01", 4, 1, "-"), ("chr1", 5, 0, "*"), None, ("chr2", 0, 1, "-")]
    lengths = (6, 4, 4, 4)
    (tmp_path / "x.fa").write_text("".join(f">{a}\n{'A' * n}\n" for a, n in zip(texts, lengths, strict=True)))
    assert [record.region() for record in read_fasta(tmp_path / "x.fa")] == expected


def test_the_command_reads_intervals(place, capsys):
    folder, *_ = place
    given = ["--intervals", str(folder / "peaks.bed"), "--genome", str(folder / "genome.fa")]
    out = folder / "out"
    assert main(["filters", str(folder / "network.keras"), *given, "--use-strand", "--sites", "-o", str(out)]) == 0
    _, sites = interval_sites(folder, use_strand=True)
    assert (out / "sites.bed").read_text() == sites
    parameters = json.loads((out / "parameters.json").read_text())["parameters"]
    assert set(parameters["sha256"]) == {str(folder / name) for name in ("network.keras", "peaks.bed", "genome.fa")}
    assert parameters["use_strand"] is True and parameters["fasta"] is None


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--intervals", "peaks.bed"], "intervals need the genome that they are of; give --genome FILE"),
        (["--fasta", "genome.fa", "--genome", "genome.fa"], "genome, centre and --use-strand go with intervals"),
        (["--fasta", "genome.fa", "--use-strand"], "genome, centre and --use-strand go with intervals"),
        (
            ["--intervals", "uneven.bed", "--genome", "genome.fa"],
            "uneven.bed, row 2: is 31 bp wide, and row 1 is 30; the network reads 200: give --auto-resize-len 200 to "
            "centre and resize all (1 more problem; 'kipoi-motifrep validate' lists them)",
        ),
        (
            ["--intervals", "peaks.bed", "--genome", "genome.fa"],
            "peaks.bed: the sequences are 30 bp, but the model reads 200 bp; give --auto-resize-len 200 to cut or "
            "widen them about their centres",
        ),
        (["--dataset", "x.h5", "--auto-resize-len", "9"], "--auto-resize-len goes with a FASTA file or intervals"),
    ],
)
def test_what_is_wrong_is_told_in_options(arguments, words, place, capsys, monkeypatch):
    monkeypatch.chdir(place[0])
    Path("uneven.bed").write_text("chr1\t0\t30\nchr1\t0\t31\nchr1\t0\t32\n")
    assert main(["filters", str(SHIPPED), *arguments, "-o", "out"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and words in said, said
    assert not Path("out").exists()


def test_python_is_told_in_arguments(place):
    folder, *_ = place
    (folder / "uneven.bed").write_text("chr1\t0\t41\nchr1\t0\t42\n")
    with pytest.raises(InputError, match=r"the network reads 30: give auto_resize_len=30 to centre and resize all$"):
        extract_filters(folder / "network.keras", intervals=folder / "uneven.bed", genome=folder / "genome.fa")
    (folder / "open.fa").write_text(">a\nACGTA\n>b\nACG\n")
    with pytest.raises(InputError, match=r"the network reads 30: give auto_resize_len=30 "):
        extract_filters(folder / "network.keras", fasta=folder / "open.fa")


def test_an_output_that_is_the_genome_is_refused(place):
    folder, *_ = place
    (folder / "out").mkdir()
    (folder / "out/filters.tsv").write_text((folder / "genome.fa").read_text())
    with pytest.raises(InputError, match=r"filters\.tsv: is also an input"):
        extract_filters(
            folder / "network.keras",
            intervals=folder / "peaks.bed",
            genome=folder / "out/filters.tsv",
            output=folder / "out",
        )

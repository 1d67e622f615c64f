"""Tables of intervals as other programs write them, with or without a header that tells."""

import numpy as np
import pytest

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.sequences.genome import Genome
from kipoi_motifrep.sequences.intervals import Intervals

ROWS = [("chr1", 100, 120, "+"), ("chr2", 600, 620, "-")]


@pytest.fixture
def read(tmp_path):
    letters = "".join(np.random.default_rng(0).choice(list("ACGT"), 5000))
    (tmp_path / "genome.fa").write_text(f">chr1\n{letters}\n>chr2\n{letters[:3000]}\n")
    genome = Genome(tmp_path / "genome.fa")

    def read(contents, name="rows.txt", **options):
        (tmp_path / name).write_text(contents)
        intervals = Intervals(tmp_path / name, genome, **options)
        intervals.problems.raise_first()
        return intervals.read(0, len(intervals))

    return read


def table(row, head=""):
    return head + "".join(row.format(c=c, s=s, e=e, s1=s + 1, d=d, n=f"p{i}") for i, (c, s, e, d) in enumerate(ROWS, 1))


SAM = "@HD\tVN:1.6\n@SQ\tSN:chr1\tLN:5000\n"
# Contents, how they count, and whether they have strands and names.
TABLES = {
    "SAF": (table("{n}\t{c}\t{s1}\t{e}\t{d}\n", "GeneID\tChr\tStart\tEnd\tStrand\n"), 1, True, True),
    "FIMO": (
        table(
            "M1\tX\t{c}\t{s1}\t{e}\t{d}\t9.1\t1e-5\t.2\tACGT\n",
            "motif_id\tmotif_alt_id\tsequence_name\tstart\tstop\tstrand\tscore\tp-value\tq-value\tmatched_sequence\n",
        )
        + "\n# FIMO (Find Individual Motif Occurrences): Version 5.5.5\n",
        1,
        True,
        False,
    ),
    "FIMO 4": (
        table(
            "M1\t{c}\t{s1}\t{e}\t{d}\t9.1\t1e-5\t.2\tACGT\n",
            "#pattern name\tsequence name\tstart\tstop\tstrand\tscore\tp-value\tq-value\tmatched sequence\n",
        ),
        1,
        True,
        False,
    ),
    "BioMart": (
        table("ENSG1\t{c}\t{s1}\t{e}\n", "Gene stable ID\tChromosome/scaffold name\tGene start (bp)\tGene end (bp)\n"),
        1,
        False,
        False,
    ),
    "mutations": (
        table(
            "TP53\tGRCh38\t{c}\t{s1}\t{e}\t{d}\n",
            "#version 2.4\nHugo_Symbol\tNCBI_Build\tChromosome\tStart_Position\tEnd_Position\tStrand\n",
        ),
        1,
        True,
        False,
    ),
    "ANNOVAR": (table("{c}\t{s1}\t{e}\tA\tG\n", "Chr\tStart\tEnd\tRef\tAlt\n"), 1, False, False),
    "DiffBind": (
        table("{c},{s1},{e},5.1,2.2,1e-3\n", '"Chr","Start","End","Conc","Fold","FDR"\n'),
        1,
        False,
        False,
    ),
    "GATK": (table("{c}\t{s1}\t{e}\t7\n", SAM + "CONTIG\tSTART\tEND\tCOUNT\n"), 1, False, False),
    "GTF as a data frame": (
        table("{c}\thavana\texon\t{s1}\t{e}\t.\t{d}\n", "seqname\tsource\tfeature\tstart\tend\tscore\tstrand\n"),
        1,
        True,
        False,
    ),
    "GFF without its first line": (table("{c}\tx\t{n}\t{s1}\t{e}\t.\t{d}\t.\tID=1\n"), 1, True, True),
    "GFF3 with sequences": (
        table("{c}\tx\t{n}\t{s1}\t{e}\t.\t{d}\t.\tID=1\n", "##gff-version 3\n") + "##FASTA\n>chr1\nACGT\n",
        1,
        True,
        True,
    ),
    "HOMER without a header": (table("{n}\t{c}\t{s1}\t{e}\t{d}\n"), 1, True, True),
    "Picard, whatever its suffix": (table("{c}\t{s1}\t{e}\t{d}\t{n}\n", SAM), 1, True, True),
    "regions with names": (table("{c}:{s1}-{e}\t{n}\n"), 1, False, True),
    "GRanges as text": (table("{c}:{s1}-{e}:{d}\n"), 1, True, False),
    "GRanges, R's write.csv2": (
        table('"{c}";{s1};{e};20;"{d}"\n', '"seqnames";"start";"end";"width";"strand"\n'),
        1,
        True,
        False,
    ),
    "UCSC without a header": (table("585\t{c}\t{s}\t{e}\t{n}\t0\t{d}\n"), 0, True, True),
    "repeats of UCSC": (
        table(
            "585\t{c}\t{s}\t{e}\t-9\t{d}\t{n}\n",
            "#bin\tgenoName\tgenoStart\tgenoEnd\tgenoLeft\tstrand\trepName\n",
        ),
        0,
        True,
        True,
    ),
    "CSV without a header": (table("{c},{s},{e},{n}\n"), 0, False, True),
    "pandas' CSV": (table("0,{c},{s},{e},1\n", ",chrom,start,end,label\n"), 0, False, False),
    "columns in any order": (table("{e}\t{n}\t{s}\t{c}\n", "end\tname\tstart\tchrom\n"), 0, False, True),
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_other_programs(read, capsys, kind):
    contents, first, with_strand, with_names = TABLES[kind]
    batch = read(contents, use_strand=with_strand)
    assert list(zip(batch.chromosome, batch.start, batch.end, strict=True)) == [row[:3] for row in ROWS]
    # Without a column of names they are numbers from 0, not another column of the table.
    assert batch.name.tolist() == (["p1", "p2"] if with_names else ["0", "1"])
    assert not with_strand or batch.strand.tolist() == ["+", "-"]
    assert ("counts from 1" in capsys.readouterr().err) == bool(first)


@pytest.mark.parametrize("bin", [585, 73, 1, 4681])
def test_a_number_in_front_is_a_bin_only_where_it_is_the_right_one(read, bin):
    """R numbers the rows of a table whose header may be lost, and that may count from 1."""
    if bin == 585:
        assert read(f"{bin}\tchr1\t100\t120\n").start.tolist() == [100]
    else:
        with pytest.raises(InputError, match="start 'chr1' and end '100' must be whole numbers"):
            read(f"{bin}\tchr1\t100\t120\n")


@pytest.mark.parametrize(
    "contents, name, what",
    [
        ("chr1\t100\t200\tchr2\t300\t400\tloop\t1\t+\t-\n", "loops.txt", "BEDPE, which holds pairs"),
        ("#chr1\tx1\tx2\tchr2\ty1\ty2\nchr1\t100\t200\tchr2\t300\t400\n", "loops.bed", "BEDPE, which holds pairs"),
        ("1\t100\t200\t2\t300\t400\n", "loops.bedpe", "BEDPE, which holds pairs"),
        ("psLayout version 3\n\nmatch\tmis-\n", "x.psl", "PSL"),
        ("chain 4900 chr1 5000 + 100 200 chr2 3000 + 300 400 1\n100\n", "x.chain", "chain file"),
        ("track type=wiggle_0\nfixedStep chrom=chr1 start=101 step=1\n1\n", "x.wig", "wiggle"),
        ("variableStep chrom=chr1\n101 1.0\n", "x.txt", "wiggle"),
    ],
)
def test_files_that_hold_no_intervals_are_named(read, contents, name, what):
    with pytest.raises(InputError, match=what):
        read(contents, name)


def test_columns_of_labels_are_no_pairs(read):
    assert read("chr1\t100\t200\t1\t0\t1\nchr2\t300\t400\t2\t1\t3\n").start.tolist() == [100, 300]


def test_large_numbers_as_r_writes_them(read):
    assert read("chr1\t1e+03\t1100\nchr1\t2000\t2.1e+03\n").start.tolist() == [1000, 2000]
    for start in ("1.5", "1.555e+01", "1e-03", "nan", "1e+03e", "1e3"):
        with pytest.raises(InputError, match="must be whole numbers"):
            read(f"chr1\t{start}\t1100\n")


def test_summits_of_narrow_peaks_that_are_named_bed(read):
    text = "".join(f"chr1\t{s}\t{s + 100}\tp\t0\t.\t5\t3\t2\t{at}\n" for s, at in ((100, 10), (300, 90)))
    assert (read(text, "ENCFF1.bed", length=20, centre="summit").start + 10).tolist() == [110, 390]
    assert (read(text, "ENCFF1.bed", length=20).start + 10).tolist() == [150, 350]


def test_messages_count_as_the_file_does(read):
    with pytest.raises(InputError, match="start 301 lies after end 200"):
        read("chr1\tx\tgene\t301\t200\t.\t+\t.\tg\n", "x.gff")
    with pytest.raises(InputError, match="chr2:3001-3100 starts past the end"):
        read("chr2:3001-3100\n")


@pytest.mark.parametrize("row", ["chr1\t100\t20", "chr1\t100\t200", "chr1\t100\t200\tp\t0\t+\t100\t200\t0"])
def test_a_row_of_bed_in_a_file_of_gff_is_told(read, row):
    with pytest.raises(InputError, match="row 2: "):
        read("chr1\tx\tgene\t101\t200\t.\t+\t.\tID=1\n" + row + "\n", "x.gff")


def test_a_row_without_its_chromosome_is_told(read):
    with pytest.raises(InputError, match="row 3: has only 2 of the columns"):
        read("end\tstart\tchrom\n200\t100\tchr1\n300\t200\n")

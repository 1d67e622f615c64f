"""Rows of BED files and of their relatives: as messy as they come, and counted from 0 or from 1."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.core.textfile import text_lines
from kipoi_motifrep.sequences.genome import Genome
from kipoi_motifrep.sequences.problems import Problems

ROWS_AT_ONCE = 1 << 15
SKIPPED = ("#", "track ", "browser ", "track\t", "browser\t")
_SAM_HEADER = {f"@{code}\t" for code in ("HD", "SQ", "RG", "PG", "CO")}  # Picard's lists begin with one
_ODD_STARTS = '#tb@" '  # of rows that may be none, or need mending; with nothing, which is in every text
NO_SUMMIT, NO_COLUMN = -1, 1 << 30
_START, _END = (
    re.compile(words, re.IGNORECASE) for words in (".*(start|begin).*|from|left", ".*(end|stop).*|to|right")
)
_CHROMOSOME = (
    *("chr", "chrom", "chromosome", "seqnames", "seqname", "seqid"),  # of most
    *("sequence_name", "sequence name", "chromosome/scaffold name", "genoname", "contig"),  # FIMO, BioMart, UCSC, GATK
)
_NAME = ("name", "peakid", "geneid", "repname")
_REGION = re.compile(r"(\S+):([\d,]+)-([\d,]+)(?::([-+*]))?")


class TableKind(NamedTuple):
    """Where a table has what, and how it counts.

    Attributes
    ----------
    what : str
        Its name, for people.
    chromosome, start, end, name, strand : int
        Columns, from 0.
    first : int
        What the first base of a chromosome is called. From 0, an end is not part of the
        interval; from 1, it is.
    summit : int, optional
        Column of the summit: counted from the start in narrowPeak, from ``first`` in others.
    separator : str, optional
        What stands between the columns where there are no tabs; white space by default.
    """

    what: str
    chromosome: int = 0
    start: int = 1
    end: int = 2
    name: int = 3
    strand: int = 5
    first: int = 0
    summit: int | None = None
    separator: str | None = None


BED = TableKind("BED")
NARROW_PEAK = TableKind("narrowPeak", summit=9)
GFF = TableKind("GFF", start=3, end=4, name=2, strand=6, first=1)
VCF = TableKind("VCF", end=3, name=2, strand=NO_COLUMN, first=1)  # the end follows from the reference allele
REGIONS = TableKind("a list of samtools' regions", first=1)
PICARD = TableKind("Picard's interval list", name=4, strand=3, first=1)
_BY_SUFFIX = {
    ".narrowpeak": NARROW_PEAK,
    ".gff": GFF,
    ".gff3": GFF,
    ".gtf": GFF,
    ".vcf": VCF,
    ".regions": REGIONS,
    ".region": REGIONS,
    ".interval_list": PICARD,
}
_BY_FIRST_COMMENT = {"##gff-version": GFF, "##fileformat=VCF": VCF, "@HD\t": PICARD, "@SQ\t": PICARD}
# Names of columns by which a table is known that counts from 1.
_FROM_ONE = {
    "MACS's table": {"length", "fold_enrichment"},
    "a table of GRanges": {"seqnames", "width", "strand"},
    "HOMER's peak file": {"peakid"},
    "SAF of featureCounts": {"geneid", "chr", "start", "end"},
    "sites of FIMO": {"start", "stop", "strand", "score", "p-value"},
    "a table of BioMart": {"chromosome/scaffold name"},
    "a table of GATK": {"contig", "start", "end"},
    "a table of GTF's columns": {"seqname", "source", "feature"},
    "a table of ANNOVAR": {"start", "end", "ref", "alt"},
    "DiffBind's report": {"conc", "fold", "fdr"},
    "a list of mutations (MAF)": {"hugo_symbol", "start_position"},
}
HOMER = TableKind("HOMER's peak file", chromosome=1, start=2, end=3, name=0, strand=4, first=1)
UCSC = TableKind("a table of UCSC with a bin", chromosome=1, start=2, end=3, name=4, strand=6)
# First words of files that hold no intervals of one genome, and the cure.
_WIGGLE = "is wiggle, which holds a signal and no intervals; give a file of peaks"
_NO_INTERVALS = {
    "psLayout": "is PSL, alignments of BLAT; make it BED with UCSC's pslToBed",
    "chain": "is a chain file of liftOver, which pairs two genomes; give BED",
    "fixedStep": _WIGGLE,
    "variableStep": _WIGGLE,
}


@dataclass
class BedRows:
    """Rows that are at least well-formed, counted from 0 as in BED; ``row`` counts lines from 1."""

    kind: TableKind = BED
    row: list[int] = field(default_factory=list)
    chromosome: list[str] = field(default_factory=list)
    start: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    strand: list[str] = field(default_factory=list)
    summit: list[int] = field(default_factory=list)  # NO_SUMMIT where there is none


def kind_by_suffix(path: str | os.PathLike) -> TableKind | None:
    """Tell what a file is by its name; None if that says nothing.

    Examples
    --------
    >>> kind_by_suffix("genes.GTF.gz").what, kind_by_suffix("peaks.bed")
    ('GFF', None)
    """
    return _BY_SUFFIX.get(_suffix(path))


def _suffix(path: str | os.PathLike) -> str:
    name = str(path).lower()
    for packed in (".gz", ".bgz", ".bz2", ".xz"):
        name = name.removesuffix(packed)
    return os.path.splitext(name)[1]


def read_rows(path: str | os.PathLike, genome: Genome, problems: Problems) -> Iterator[BedRows]:
    """Go through the rows of a table of intervals, some thousand at a time.

    What the table is follows from its name (GFF, VCF, narrowPeak, ...), from a comment at
    its top, from a header (MACS, GRanges, HOMER) or from the first row (GFF, HOMER and
    UCSC without their headers); all else is BED. That a table counts from 1 is said once.

    Parameters
    ----------
    path : str or path-like
        Plain or packed.
    genome : Genome
        Tells a header from an interval.
    problems : Problems
        Takes rows that are not well-formed; positions are not checked.

    Yields
    ------
    BedRows
        Consecutive rows.

    Raises
    ------
    InputError
        If the file cannot be read, is empty, or holds no intervals of one genome.
    """
    by_suffix = kind_by_suffix(path)
    kind, header_width = by_suffix or BED, 0
    rows, seen_data, header_allowed, number = BedRows(kind), False, True, 0
    may_be_regions = _suffix(path) != ".bed"
    for number, line in enumerate(text_lines(path), 1):
        text = line.rstrip()
        if text[:1] in _ODD_STARTS:
            text = text.lstrip(" ")
            if text.startswith('"'):  # as R writes it
                text = text.replace('"', "").strip(" ")
            if not text or text.startswith(SKIPPED) or text[:4] in _SAM_HEADER:
                if text.startswith("##FASTA"):  # GFF3: sequences to the end of the file
                    break
                if text and not seen_data and by_suffix is None:
                    kind = next((one for mark, one in _BY_FIRST_COMMENT.items() if text.startswith(mark)), kind)
                    # Without # it would be a header; with it, it counts only where it says more than BED does.
                    found = _kind_by_header(text.split("\t"))
                    kind = found if found and (found.first or found.chromosome) else kind
                continue
        fields = text.split("\t") if "\t" in text else text.split(kind.separator)
        if not seen_data:
            header_allowed = genome.find(fields[0]) < 0
            separator = next((mark for mark in ",;" if mark in text and "\t" not in text), None)
            names = text.split(separator) if separator else fields
            if header_allowed and (found := _kind_by_header(names)):
                if by_suffix is None:
                    kind, header_width = found._replace(separator=separator), len(names)
                continue
            if separator and genome.find(names[0]) >= 0:
                kind, fields = kind._replace(separator=separator), names
            if may_be_regions and kind is BED and len(fields) < 3 and _REGION.fullmatch(fields[0]):
                kind = REGIONS
            elif kind is BED:
                kind = _kind_by_row(fields, genome, path, number) or kind
            if header_width and len(fields) == header_width + 1:  # R's numbers of rows have no header
                kind = kind._replace(
                    **{column: getattr(kind, column) + 1 for column in ("chromosome", "start", "end", "name", "strand")}
                )
            rows = BedRows(kind)
            add = _adder(rows)
        try:
            add(number, fields)
        except (IndexError, ValueError):
            _note(number, fields, kind, problems, header_allowed and not seen_data)
            continue
        if not seen_data:
            seen_data = True
            if kind.first:
                say(f"{path}: read as {kind.what}, which counts from 1")
        if len(rows.row) == ROWS_AT_ONCE:
            yield rows
            rows = BedRows(kind)
            add = _adder(rows)
    if not number:
        raise InputError("the file is empty", path=path)
    yield rows


def _kind_by_row(fields: Sequence[str], genome: Genome, path: str | os.PathLike, number: int) -> TableKind | None:
    """Tell a table without a header by its first row; None if it is BED, or anything else."""
    if fields[0] in _NO_INTERVALS:
        raise InputError(_NO_INTERVALS[fields[0]], path=path, row=number)
    n, whole = len(fields), [field.isdecimal() for field in fields]
    pairs = whole[1:6] == [True, True, False, True, True] and genome.find(fields[3]) >= 0  # 2 is a label more often
    if pairs or _suffix(path) == ".bedpe":
        raise InputError(
            f"is BEDPE, which holds pairs of intervals; take one side of each: cut -f 1-3 {path}", path=path, row=number
        )
    if n > 2 and whole[1] and whole[2]:
        # Ten columns are those of narrowPeak, whatever its name is: ENCODE calls it .bed.
        return NARROW_PEAK if n == 10 and re.fullmatch(r"-1|\d+", fields[9]) else None
    if n > 6 and whole[3] and whole[4] and fields[6] in ("+", "-", "."):
        return GFF
    if n > 3 and whole[2] and whole[3] and genome.find(fields[1]) >= 0:
        if n > 4 and fields[4] in ("+", "-"):
            return HOMER
        # UCSC's bin (Kent et al. 2002 Genome Res 12:996) follows from start and end; any other number is R's.
        start, last = int(fields[2]), int(fields[3]) - 1
        bins = ((17, 585), (20, 73), (23, 9), (26, 1), (29, 0))
        smallest = (first + (start >> shift) for shift, first in bins if start >> shift == last >> shift)
        return UCSC if fields[0] == str(next(smallest, None)) else None
    return None


def _kind_by_header(names: Sequence[str]) -> TableKind | None:
    """Find the columns of a table by their names; None if these are not the names of columns of intervals."""
    names = [name.strip("\"'# ").lower() for name in names]
    if names and names[0].startswith("peakid"):  # HOMER's has its command behind it
        names[0] = "peakid"
    start, end = (next((i for i, name in enumerate(names) if kind.fullmatch(name)), None) for kind in (_START, _END))
    chromosome = next((i for i, name in enumerate(names) if name in _CHROMOSOME), None)
    if (start, end) == (1, 2):
        chromosome = chromosome or 0  # whatever its name is
    if chromosome is None or start is None or end is None or start == end:
        return None
    what = next((what for what, marks in _FROM_ONE.items() if marks <= {*names}), "")

    # Columns that nobody names are where BED has them, if the others are.
    as_bed = not what and (chromosome, start, end) == (0, 1, 2)

    def place(wanted: Sequence[str], otherwise: int) -> int:
        return next((names.index(name) for name in wanted if name in names), otherwise)

    return TableKind(
        what or "BED",
        chromosome,
        start,
        end,
        place(_NAME, 3 if as_bed else NO_COLUMN),
        place(["strand"], 5 if as_bed else NO_COLUMN),
        int(bool(what)),
        place(["abs_summit"], 0) or None,
    )


def _adder(rows: BedRows) -> Callable[[int, list[str]], None]:
    """Make the function that adds a row; it raises IndexError or ValueError where one is not well-formed."""
    kind = rows.kind
    _, chromosome, start_column, end_column, name, strand, first, summit, _ = kind
    # Looked up once, for there may be millions of rows.
    add_row, add_chromosome, add_start = rows.row.append, rows.chromosome.append, rows.start.append
    add_end, add_name, add_strand = rows.end.append, rows.name.append, rows.strand.append

    def add(number: int, fields: list[str]) -> None:
        if kind is REGIONS:
            found = _REGION.fullmatch(fields[0].replace(",", ""))
            fields = [*found.groups("")[:3], "".join(fields[1:]), "", found[4] or ""] if found else []
        elif kind is GFF and (feature := _feature(fields)):
            add_row(number)
            add_chromosome(feature[0])
            add_start(feature[1])
            add_end(feature[2])
            add_name(feature[3])
            add_strand(feature[4])
            return
        text = fields[start_column]
        start = (int(text) if text.isdecimal() else _whole(text)) - first
        text = fields[end_column]
        end = int(text) if text.isdecimal() else start + len(text) if kind is VCF else _whole(text)
        where = fields[chromosome]  # before anything is added: a short row may have none
        add_row(number)
        add_chromosome(where)
        add_start(start)
        add_end(end)
        n = len(fields)
        add_name(fields[name] if n > name else "")
        add_strand(fields[strand] if n > strand else "")
        if summit is not None:
            rows.summit.append(_summit(fields, summit, first, start))

    return add


def _feature(fields: list[str]) -> tuple[str, int, int, str, str] | None:
    """Read a feature of GFF or GTF; None where pybedtools takes the row for none.

    What it does not take is read by its columns, so that the row's fault can be named.
    """
    import pybedtools

    try:
        found = pybedtools.create_interval_from_list([*fields])  # which makes bytes of the list's texts
    except (pybedtools.MalformedBedLineError, OverflowError):
        return None
    if found.file_type != "gff":  # it takes rows of BED as well, and counts them from 0
        return None
    return found.chrom, found.start, found.end, fields[GFF.name], found.strand


def _note(number: int, fields: list[str], kind: TableKind, problems: Problems, may_be_header: bool) -> None:
    if fields[0].lower() in ("track", "browser"):  # SKIPPED has the usual spelling
        return
    if kind is REGIONS:
        problems.add(number, f"{fields[0][:40]!r} is no region such as chr1:101-300; correct the row or take it out")
    elif len(fields) <= max(kind.chromosome, kind.start, kind.end):
        problems.add(
            number,
            f"has only {len(fields)} of the columns that {kind.what} needs: chromosome, start and "
            "end, separated by tabs",
        )
    else:
        problems.add(
            number,
            f"start {fields[kind.start]!r} and end {fields[kind.end]!r} must be whole numbers; "
            "correct the row or take it out" + (" (put # before a header)" if may_be_header else ""),
        )


def _summit(fields: list[str], column: int, first: int, start: int) -> int:
    text = fields[column] if column < len(fields) else ""
    if not text.isdecimal():  # narrowPeak has -1 where no summit was called
        return NO_SUMMIT
    return int(text) - 1 if first else start + int(text)


def _whole(text: str) -> int:
    try:
        return int(text.replace("_", "x"))  # int() alone reads 1_000
    except ValueError:
        # R writes 100000 as 1e+05.
        if not re.fullmatch(r"\d(\.\d+)?e\+\d\d", text) or not float(text).is_integer():
            raise
        return int(float(text))

"""``kipoi-motifrep dataset``: real data into a dataset file."""

from __future__ import annotations

import argparse

SUMMARY = "Make a dataset file from peaks and a genome, from a table of sequences, or from the DeepSEA bundle."
EXAMPLE = """  kipoi-motifrep dataset peaks CEBPB=cebpb.narrowPeak.gz MAX=max.bed --genome hg38.fa \\
      --valid chr7 --test chr8 chr9 -o peaks.h5
  kipoi-motifrep dataset table sequences.tsv.gz --valid chr20 --test chr19 -o table.h5
  kipoi-motifrep dataset deepsea deepsea_train_bundle.v0.9.tar.gz --download -o deepsea.h5"""

PEAKS_SUMMARY = "Peak files of several TFs and a genome to labelled windows, by DeepSEA's rule."
PEAKS_EXAMPLE = """  kipoi-motifrep dataset peaks CEBPB=cebpb.bed.gz MAX=max_1.bed MAX=max_2.bed --genome hg38.fa \\
      --blacklist hg38-blacklist.v2.bed.gz --valid chr7 --test chr8 chr9 -o peaks.h5
  kipoi-motifrep dataset peaks --list peaks.tsv --genome chr20.fa --chromosomes chr20 \\
      --valid chr20:30000000-36000000 --test chr20:40000000-52000000 --negatives 1 -o chr20.h5"""
TABLE_SUMMARY = "A table of sequences with labels, or FASTA with a table of labels."
TABLE_EXAMPLE = """  kipoi-motifrep dataset table sites.tsv.gz --masked 2 --leave-out ARID3A --positive-only \\
      --valid chr20 --test chr19 -o sites.h5
  kipoi-motifrep dataset table labels.csv --fasta sequences.fa.gz --labels GATA1 TAL1 -o cells.h5"""
DEEPSEA_SUMMARY = "Columns of the DeepSEA training bundle; samples with at least one of the labels."
DEEPSEA_EXAMPLE = """  kipoi-motifrep dataset deepsea deepsea_train_bundle.v0.9.tar.gz --download -o deepsea.h5
  kipoi-motifrep dataset deepsea deepsea_train/ --columns CEBPB=602 MAX=635 -o two.h5"""

HELD_OUT = "chromosomes (chr8), ranges (chr20:30000000-36000000), a fraction (0.1), or none"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three builders and their options."""
    builders = parser.add_subparsers(dest="builder", required=True, metavar="BUILDER")
    for name, summary, example, add, build in (
        ("peaks", PEAKS_SUMMARY, PEAKS_EXAMPLE, _add_peaks, _run_peaks),
        ("table", TABLE_SUMMARY, TABLE_EXAMPLE, _add_table, _run_table),
        ("deepsea", DEEPSEA_SUMMARY, DEEPSEA_EXAMPLE, _add_deepsea, _run_deepsea),
    ):
        sub = builders.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"example:\n{example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add(sub)
        sub.add_argument("-o", "--output", required=True, metavar="FILE", help="the dataset file to write (HDF5)")
        sub.set_defaults(build=build)


def _add_held_out(parser: argparse.ArgumentParser) -> None:
    from kipoi_motifrep.datasets import HELD_OUT_BLOCK, HELD_OUT_TEST, HELD_OUT_VALID

    parser.add_argument(
        "--valid",
        nargs="+",
        default=[HELD_OUT_VALID],
        metavar="WHERE",
        help=f"held out for validation: {HELD_OUT} (default: {HELD_OUT_VALID})",
    )
    parser.add_argument(
        "--test",
        nargs="+",
        default=[HELD_OUT_TEST],
        metavar="WHERE",
        help=f"held out for the test, likewise (default: {HELD_OUT_TEST})",
    )
    parser.add_argument(
        "--block",
        type=int,
        default=HELD_OUT_BLOCK,
        metavar="BP",
        help=f"fractions are held out in whole blocks of so many bases (default: {HELD_OUT_BLOCK})",
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn (default: 0)")


def _add_peaks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "peaks",
        nargs="*",
        metavar="NAME=FILE",
        help="a TF and a peak file of it (BED, narrowPeak, MACS, GFF, ...; plain or packed); several "
        "files may have one name",
    )
    parser.add_argument("--list", metavar="FILE", help="table of names and peak files, tab-separated")
    parser.add_argument("--genome", required=True, metavar="FILE", help="the genome (FASTA, plain or bgzip)")
    parser.add_argument(
        "--chromosomes",
        nargs="+",
        metavar="NAME",
        help="use these only and skip peaks on others (default: all of the genome)",
    )
    parser.add_argument("--blacklist", metavar="FILE", help="regions that no window may touch (BED, ...)")
    parser.add_argument("--bin", type=int, default=200, metavar="BP", help="width of the labelled bins (default: 200)")
    parser.add_argument(
        "--fraction",
        type=float,
        default=0.5,
        help="a bin is positive when a peak covers more than this part of it (default: 0.5)",
    )
    parser.add_argument(
        "--merge", action="store_true", help="first join peaks of a TF that overlap or touch (for replicates)"
    )
    parser.add_argument(
        "--window",
        type=int,
        default=1000,
        metavar="BP",
        help="width of the sequences, centred on their bins (default: 1000)",
    )
    parser.add_argument(
        "--negatives",
        default="0",
        metavar="RATIO",
        help="so many windows without any peak for each with one, matched in GC content; "
        "or all, for every bin (default: 0)",
    )
    _add_held_out(parser)


def _add_table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE", help="TSV or CSV, plain or gzip, - for standard input")
    parser.add_argument("--fasta", metavar="FILE", help="the sequences, if not in the table; by name, else by order")
    columns = parser.add_argument_group("columns, by header or by number from 1 (default: found by header and content)")
    columns.add_argument("--sequence", metavar="COLUMN", help="the sequence")
    columns.add_argument(
        "--region",
        metavar="COLUMN",
        help="where it lies, as chr1:100-300; needed to hold out chromosomes (also found: chrom, start, end)",
    )
    columns.add_argument("--name", metavar="COLUMN", help="its name (default: the region)")
    columns.add_argument("--labels", nargs="+", metavar="COLUMN", help="one label each")
    columns.add_argument("--digits", metavar="COLUMN", help="all labels in one text, a digit each")
    columns.add_argument(
        "--label-names",
        nargs="+",
        metavar="NAME",
        help="names of the labels (default: from the header; that of --digits is cut at _ , ; or |)",
    )
    columns.add_argument("--split-column", metavar="COLUMN", help="says train, valid or test of each row")
    parser.add_argument(
        "--masked",
        nargs="+",
        default=[],
        metavar="CODE",
        help="what else than an empty field, -1, NA and . means unknown, for example 2",
    )
    parser.add_argument("--leave-out", nargs="+", default=[], metavar="LABEL", help="labels to leave out")
    parser.add_argument(
        "--min-positives", type=int, default=0, metavar="N", help="leave out labels with fewer positives (default: 0)"
    )
    parser.add_argument("--positive-only", action="store_true", help="keep only rows with at least one positive label")
    parser.add_argument(
        "--length",
        type=int,
        metavar="BP",
        help="cut or pad all sequences about their centre (default: all must have one length)",
    )
    _add_held_out(parser)


def _add_deepsea(parser: argparse.ArgumentParser) -> None:
    from kipoi_motifrep.datasets import BUNDLE_URL

    parser.add_argument("bundle", metavar="BUNDLE", help="folder with train.mat, valid.mat and test.mat, or the tar.gz")
    parser.add_argument(
        "--columns",
        nargs="+",
        metavar="[NAME=]NUMBER",
        help="label columns, counted from 0, or ranges as 0-918 (default: the paper's 12)",
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="fetch the tar.gz to BUNDLE first, going on where an earlier transfer stopped",
    )
    parser.add_argument("--url", default=BUNDLE_URL, help=f"where from (default: {BUNDLE_URL})")


def run(args: argparse.Namespace) -> None:
    """Build, and say what the file holds."""
    from kipoi_motifrep.core.outputs import check_output_file
    from kipoi_motifrep.core.progress import say, tell
    from kipoi_motifrep.datasets.hdf5 import open_dataset
    from kipoi_motifrep.datasets.sources import summary

    options = {name: value for name, value in vars(args).items() if name not in ("command", "builder", "run", "build")}
    check_output_file(args.output, [value for name, value in options.items() if name != "output"])
    args.build(args, options)
    line, table = summary(args.output)
    say(line)
    tell(table)
    for name, split in open_dataset(args.output).splits.items():
        if not len(split):
            say(f"note: the split {name!r} is empty, and training needs all three")


def _splitter(args: argparse.Namespace):
    from kipoi_motifrep.datasets.splits import Splitter

    return Splitter(args.valid, args.test, block=args.block, seed=args.seed)


def _run_peaks(args: argparse.Namespace, options: dict[str, object]) -> None:
    from kipoi_motifrep.core.errors import InputError
    from kipoi_motifrep.datasets.from_peaks import ALL, Rule, build_from_peaks, parse_tracks

    try:
        negatives = ALL if args.negatives == ALL else float(args.negatives)
    except ValueError as error:
        raise InputError(f"--negatives is {args.negatives!r}; it must be a number or all") from error
    build_from_peaks(
        args.output,
        parse_tracks(args.peaks, args.list),
        args.genome,
        rule=Rule(args.bin, args.fraction, args.window, negatives, args.seed, args.merge),
        chromosomes=args.chromosomes,
        blacklist=args.blacklist,
        splitter=_splitter(args),
        options=options,
    )


def _run_table(args: argparse.Namespace, options: dict[str, object]) -> None:
    from kipoi_motifrep.datasets.from_table import build_from_table
    from kipoi_motifrep.datasets.table_columns import ColumnChoice

    columns = ColumnChoice(
        args.sequence, args.region, args.name, args.labels, args.digits, args.label_names, args.split_column
    )
    build_from_table(
        args.output,
        args.table,
        args.fasta,
        columns=columns,
        masked=args.masked,
        leave_out=args.leave_out,
        min_positives=args.min_positives,
        positive_only=args.positive_only,
        length=args.length,
        splitter=_splitter(args),
        seed=args.seed,
        options=options,
    )


def _run_deepsea(args: argparse.Namespace, options: dict[str, object]) -> None:
    from kipoi_motifrep.datasets.download import download
    from kipoi_motifrep.datasets.from_deepsea import build_from_bundle, parse_columns

    columns = parse_columns(args.columns)
    if args.download:
        download(args.url, args.bundle)
    build_from_bundle(args.output, args.bundle, columns, options=options)

"""``kipoi-motifrep interpret``: from a model to a report."""

from __future__ import annotations

import argparse

from kipoi_motifrep.cli import filters, match

SUMMARY = "What a network's filters learned: PWMs, JASPAR matches, figures, and a report to read."
EXAMPLE = """\
  kipoi-motifrep interpret models/synthetic/cnn_25 --dataset synthetic.h5 --truth synthetic -o results/
  kipoi-motifrep interpret network.keras --fasta peaks.fa -o results/
  kipoi-motifrep interpret network.keras --intervals peaks.bed --genome hg38.fa --auto-resize-len 200 -o results/
  kipoi-motifrep interpret MODEL --dataloader_args intervals_file=peaks.bed fasta_file=hg38.fa -o results/"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The command's own parser.
    """
    filters.add_inputs(parser)
    filters.add_rule(parser)
    filters.add_sites(parser)
    match.add_database(parser)
    match.add_exclude(parser)
    match.add_threshold(parser)
    parser.add_argument(
        "--fdr",
        type=float,
        default=0.05,
        metavar="Q",
        help="call filters with a false discovery rate up to this (default: 0.05)",
    )
    parser.add_argument(
        "--truth",
        metavar="FILE",
        help="which motifs are in the data: synthetic, synthetic-as-published, invivo, or a table of "
        "labels and matrix ids",
    )
    add_measurements(parser)
    parser.add_argument(
        "--labels",
        metavar="A,B,...",
        help="names of the outputs, or a file with one a line (default: the model's or dataset's)",
    )
    parser.add_argument("--name", help="of the network, in the report (default: that of the model or its file)")
    parser.add_argument("--seed", type=int, default=0, help="of shuffles and random weights (default: 0)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads for matching (default: the machine's)")
    filters.add_workers(parser)
    parser.add_argument("--force", action="store_true", help="do all steps again, also those that are up to date")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder for report.html and all other files"
    )


def add_measurements(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what is measured of each filter, beside its matches.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Any command's parser.
    """
    parser.add_argument(
        "--null",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compare with shuffled filters, which calls need, and the untrained network (default: yes)",
    )
    parser.add_argument(
        "--importance",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="measure what each filter does to the outputs (default: yes)",
    )
    parser.add_argument(
        "--plant",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="plant the motifs of called filters in shuffled sequences (default: yes)",
    )


def run(args: argparse.Namespace) -> None:
    """Run the command.

    Parameters
    ----------
    args : argparse.Namespace
        Parsed arguments.
    """
    from kipoi_motifrep.core.progress import say, tell
    from kipoi_motifrep.pipeline import interpret

    given = filters.gathered(args)
    # On the command line "all" is a word; for the function it is None.
    for name in ("taxon", "collection"):
        given[name] = match.names(given[name])
    found = interpret(**given)
    for note in found.report.notes:
        say(f"note: {note}")
    tell(found.report.sentence)
    tell(str(found.page))

"""``kipoi-motifrep baseline``."""

from __future__ import annotations

import argparse

SUMMARY = "How well known motifs alone predict a data set's labels: the floor that a network has to beat."
EXAMPLE = """  kipoi-motifrep baseline chip.h5 -o baseline.tsv
  kipoi-motifrep baseline chip.h5 --database JASPAR2016 --truth factors.tsv -o baseline.tsv"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    from kipoi_motifrep.cli.match import add_database

    parser.add_argument("dataset", metavar="DATASET", help="dataset file (HDF5, from 'simulate' or 'dataset')")
    add_database(parser, default=None)
    parser.add_argument(
        "--truth",
        metavar="FILE",
        help="which matrices stand for which label: synthetic, invivo, or a table of labels and matrix "
        "ids (default: those of the factor that the label names)",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="table of the labels' test AUROC and AUPR; its parameters go beside it (FILE.json)",
    )


def run(args: argparse.Namespace) -> None:
    """Scan, write and say how it went."""
    import numpy as np

    from kipoi_motifrep.cli.match import names
    from kipoi_motifrep.core.errors import a_few
    from kipoi_motifrep.core.progress import counted, say
    from kipoi_motifrep.training.baseline import SHOWN_LABELS, scan_baseline

    results = scan_baseline(
        args.dataset,
        database=args.database,
        taxon=names(args.taxon),
        collection=names(args.collection),
        truth=args.truth,
        output=args.output,
    )
    without = [one.label for one in results if one.motif is None]
    if without:
        cure = "name some with --truth" if args.truth is None else f"{args.truth} names none that is there"
        say(f"no matrix for {counted(len(without), 'label')} ({a_few(without, SHOWN_LABELS)}); {cure}")
    judged = [one for one in results if not np.isnan(one.auroc)]
    if judged:
        auroc, aupr = (np.mean([getattr(one, name) for one in judged]) for name in ("auroc", "aupr"))
        say(f"{args.output}: mean over {len(judged)} of {len(results)} labels: AUROC {auroc:.3f}, AUPR {aupr:.3f}")
    else:
        say(f"{args.output}: no label with a matrix has both classes in the test split, so there is no AUROC")

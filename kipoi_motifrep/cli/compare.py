"""``kipoi-motifrep compare``."""

from __future__ import annotations

import argparse

SUMMARY = "Lay several interpreted networks side by side, on one page."
EXAMPLE = """  kipoi-motifrep compare results/cnn_2 results/cnn_25 -o compare.html"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("folders", metavar="DIR", nargs="+", help="folders that 'interpret' wrote")
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="compare.html", help="the page to write (default: compare.html)"
    )


def run(args: argparse.Namespace) -> None:
    """Write the page."""
    from kipoi_motifrep.core.progress import say
    from kipoi_motifrep.report.comparison import write_comparison

    say(f"{write_comparison(args.folders, args.output)}: written")

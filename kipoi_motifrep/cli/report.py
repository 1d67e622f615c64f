"""``kipoi-motifrep report``."""

from __future__ import annotations

import argparse

SUMMARY = "Make the page of an interpreted network again, from its interpretation.json."
EXAMPLE = """  kipoi-motifrep report results/cnn_25
  kipoi-motifrep report results/cnn_25 -o for_a_colleague.html"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("folder", metavar="DIR", help="folder that 'interpret' wrote")
    parser.add_argument("-o", "--output", metavar="FILE", help="the page to write (default: DIR/report.html)")


def run(args: argparse.Namespace) -> None:
    """Write the page."""
    from kipoi_motifrep.core.progress import say
    from kipoi_motifrep.report.page import write_report

    say(f"{write_report(args.folder, args.output)}: written")

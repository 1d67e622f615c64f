"""``kipoi-motifrep demo``."""

from __future__ import annotations

import argparse

SUMMARY = "Show the main job on shipped data: predict, then interpret a trained network, with a report to read."
EXAMPLE = """  kipoi-motifrep demo
  kipoi-motifrep demo -o my_demo"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "-o", "--output", default="motifrep_demo", metavar="DIR", help="folder for the results (default: motifrep_demo)"
    )


def run(args: argparse.Namespace) -> None:
    """Run the demo and print its lines as they come."""
    from kipoi_motifrep.core.progress import tell
    from kipoi_motifrep.zoo.demo import run_demo

    for line in run_demo(args.output):
        tell(line)

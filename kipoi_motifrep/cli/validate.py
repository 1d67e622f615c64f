"""``kipoi-motifrep validate``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kipoi_motifrep.sequences.problems import Problem

SUMMARY = "Check a BED file against a genome before a long run: all that is wrong, by row."
EXAMPLE = """  kipoi-motifrep validate --intervals peaks.bed --genome hg38.fa
  kipoi-motifrep validate --intervals peaks.bed.gz --genome hg38.fa --auto-resize-len 200 --use-strand"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--intervals", required=True, metavar="BED", help="BED file, or a relative of it such as GFF; plain or packed"
    )
    parser.add_argument("--genome", "--fasta", required=True, metavar="FILE", help="the genome (FASTA, plain or bgzip)")
    add_reading(parser)
    parser.add_argument(
        "--outside",
        default="average",
        choices=["average", "zeros", "refuse"],
        help="bases beyond a chromosome's ends: padded (average, zeros) or refused (default: average)",
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say how intervals become sequences, as they are called in Kipoi's loaders.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Any command's parser.
    """
    parser.add_argument(
        "--auto-resize-len", type=int, metavar="BP", help="cut or widen each to this length about its centre"
    )
    parser.add_argument(
        "--centre",
        choices=["middle", "summit"],
        help="of intervals (default: the summit in .narrowPeak files, else the middle)",
    )
    parser.add_argument("--use-strand", action="store_true", help="read intervals of the - strand from it")


def run(args: argparse.Namespace) -> int:
    """Print the problems; status 2 if there are any."""
    from kipoi_motifrep.cli.program import build_parser, in_options
    from kipoi_motifrep.core.errors import a_few
    from kipoi_motifrep.core.progress import counted, tell
    from kipoi_motifrep.sequences.validate import validate

    found = validate(
        args.intervals,
        args.genome,
        auto_resize_len=args.auto_resize_len,
        use_strand=args.use_strand,
        outside=args.outside,
        centre=args.centre,
    )
    # Hundreds of rows may have one problem; that widths differ is one, whichever they are.
    alike: dict[str, list[Problem]] = {}
    parser = build_parser()
    for problem in found.problems:
        alike.setdefault(problem.cure or problem.message, []).append(problem)
    for problems in alike.values():
        rows, messages = [problem.row for problem in problems], {problem.message for problem in problems}
        first = problems[0].message + (f"; {problems[0].cure}" if problems[0].cure else "")
        tell(
            f"{args.intervals}, row{'s' * (len(rows) > 1)} {a_few(rows)}"
            f"{': ' if len(messages) == 1 else ', the first of which '}{in_options(first, parser, args)}"
        )
    if found.n_problems:
        hidden = found.n_problems - len(found.problems)
        tell(f"{args.intervals}: {counted(found.n_problems, 'problem')}" + (f", {hidden} not shown" if hidden else ""))
        return 2
    tell(f"{args.intervals}: {counted(found.n, 'interval')} of {found.width} bp, nothing wrong")
    if found.n_padded:
        tell(f"  {found.n_padded} reach beyond their chromosome and will be padded")
    if found.n_ambiguous:
        tell(f"  {found.n_ambiguous} contain letters other than A, C, G, T")
    return 0

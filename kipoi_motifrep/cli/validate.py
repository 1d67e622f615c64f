"""``kipoi-motifrep validate``."""

from __future__ import annotations

import argparse

SUMMARY = "Check a BED file against a genome before a long run: all that is wrong, by row."
EXAMPLE = """  kipoi-motifrep validate --intervals peaks.bed --fasta hg38.fa
  kipoi-motifrep validate --intervals peaks.bed.gz --fasta hg38.fa --auto-resize-len 200 --use-strand"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--intervals", required=True, metavar="BED", help="BED file, or a relative of it such as GFF; plain or packed"
    )
    parser.add_argument("--fasta", required=True, metavar="FASTA", help="genome, plain or bgzip")
    parser.add_argument("--auto-resize-len", type=int, metavar="BP", help="as the dataloader's auto_resize_len")
    parser.add_argument(
        "--centre",
        choices=["middle", "summit"],
        help="as the dataloader's centre (default: the summit in .narrowPeak files, else the middle)",
    )
    parser.add_argument("--use-strand", action="store_true", help="as the dataloader's use_strand")
    parser.add_argument(
        "--outside",
        default="average",
        choices=["average", "zeros", "refuse"],
        help="bases beyond a chromosome's ends: padded (average, zeros) or refused (default: average)",
    )


def run(args: argparse.Namespace) -> int:
    """Print the problems; status 2 if there are any."""
    from kipoi_motifrep.core.errors import a_few
    from kipoi_motifrep.core.progress import counted, tell
    from kipoi_motifrep.sequences.validate import validate

    found = validate(
        args.intervals,
        args.fasta,
        auto_resize_len=args.auto_resize_len,
        use_strand=args.use_strand,
        outside=args.outside,
        centre=args.centre,
    )
    rows: dict[str, list[int]] = {}  # of each message: hundreds of rows may have one problem
    for problem in found.problems:
        rows.setdefault(problem.message, []).append(problem.row)
    for message, where in rows.items():
        tell(f"{args.intervals}, row{'s' * (len(where) > 1)} {a_few(where)}: {message}")
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

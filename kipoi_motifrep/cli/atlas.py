"""``kipoi-motifrep atlas``: many models interpreted, and one page that leads to them."""

from __future__ import annotations

import argparse
import os

from kipoi_motifrep.cli import filters, interpret, match
from kipoi_motifrep.cli.validate import add_reading

SUMMARY = "Interpret many models, and write one page of what their filters hold; go on where an earlier run stopped."
EXAMPLE = """\
  kipoi-motifrep atlas a.keras b.keras models/synthetic/cnn_25 --fasta peaks.fa -o atlas/
  kipoi-motifrep atlas --models models.txt --intervals peaks.bed --genome hg38.fa --jobs 8 -o atlas/
  kipoi-motifrep atlas --models models.tsv --scheduler tcp://head:8786 -o atlas/"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The command's own parser.
    """
    parser.add_argument("models", nargs="*", metavar="MODEL", help="names or folders of Kipoi models, or files")
    parser.add_argument(
        "--models",
        dest="listed",
        metavar="FILE",
        help="a model a line; or a table with a header, model and other options of interpret (dataset, arch, ...)",
    )
    parser.add_argument("--source", help="Kipoi source of the models (default: dir for a model here, else kipoi)")
    sequences = parser.add_mutually_exclusive_group()  # not required: a table may give each model its own
    sequences.add_argument("--fasta", metavar="FILE", help="FASTA file of sequences, brought to each network's length")
    sequences.add_argument("--intervals", metavar="BED", help="intervals of a genome, brought to each network's length")
    parser.add_argument("--genome", metavar="FILE", help="the genome of --intervals (FASTA, plain or bgzip)")
    add_reading(parser)
    sequences.add_argument("--dataset", metavar="FILE", help="HDF5 dataset, as simulate and dataset write it")
    match.add_database(parser)
    parser.add_argument(
        "--fdr", type=float, default=0.05, metavar="Q", help="of the filters that count (default: 0.05)"
    )
    interpret.add_measurements(parser)
    parser.add_argument("--seed", type=int, default=0, help="of shuffles and random weights (default: 0)")
    filters.add_workers(parser)
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder for index.html, motifs.meme and a folder a model"
    )


def run(args: argparse.Namespace) -> int:
    """Interpret, write the page, and print where it is; status 2 if a model failed."""
    from kipoi_motifrep.core.outputs import check_output_file
    from kipoi_motifrep.core.progress import tell
    from kipoi_motifrep.pipeline.atlas import FILES, PAGE, atlas, read_models

    for name in FILES:
        check_output_file(os.path.join(args.output, name), args.listed)
    given = {name: value for name, value in vars(args).items() if name not in ("command", "run", "models", "listed")}
    given.update({name: match.names(given[name]) for name in ("taxon", "collection")})
    models = [*args.models, *(read_models(args.listed) if args.listed else [])]
    found = atlas(models, given.pop("output"), **given)
    tell(f"{args.output}/{PAGE}")
    return 2 if any(one.error for one in found) else 0

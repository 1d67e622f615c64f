"""``kipoi-motifrep scan``: predictions along a genome."""

from __future__ import annotations

import argparse

from kipoi_motifrep.cli import filters

SUMMARY = "Predictions along a genome, as Parquet, zarr or bigWig; go on where an earlier run stopped."
EXAMPLE = """\
  kipoi-motifrep scan models/synthetic/cnn_25 --genome hg38.fa -o cnn_25.parquet
  kipoi-motifrep scan network.keras --genome hg38.fa --chromosomes chr20 --both-strands mean --jobs 4 -o chr20.bw
  kipoi-motifrep scan MODEL --genome hg38.fa --intervals genes.bed --scheduler tcp://head:8786 -o genes.bw"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The command's own parser.
    """
    filters.add_model(parser)
    parser.add_argument("--genome", required=True, metavar="FA", help="FASTA file, plain or bgzip")
    parser.add_argument(
        "--intervals",
        "--regions",
        dest="regions",
        metavar="BED",
        help="only bins that overlap an interval of this file",
    )
    parser.add_argument("--chromosomes", "--chromosome", nargs="+", metavar="NAME", help="only these chromosomes")
    parser.add_argument("--bin", type=int, default=200, metavar="BP", help="width of a bin (default: 200)")
    parser.add_argument(
        "--stride", type=int, default=100, metavar="BP", help="from one bin's start to the next (default: 100)"
    )
    parser.add_argument(
        "--both-strands", choices=["mean", "max"], help="predict both strands; give their mean or the larger one"
    )
    filters.add_layout(parser)
    parser.add_argument("--alphabet", help="order of the bases in it (default: the loader's, else ACGT)")
    parser.add_argument("--labels", metavar="A,B,...", help="names of the outputs, or a file with one a line")
    parser.add_argument("--batch-size", type=int, default=1024, metavar="N", help="bins a batch (default: 1024)")
    filters.add_workers(parser)
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="FILE.parquet, one table; FILE.zarr, an array a chromosome; or FILE.bw, a bigWig an output; finished "
        "shards wait in FILE.shards/",
    )


def run(args: argparse.Namespace) -> None:
    """Run the command.

    Parameters
    ----------
    args : argparse.Namespace
        Parsed arguments.
    """
    from kipoi_motifrep.core.progress import tell
    from kipoi_motifrep.pipeline.scan import scan

    given = filters.gathered(args)
    for path in scan(**given):
        tell(str(path))

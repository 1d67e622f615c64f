"""``kipoi-motifrep plant``: what a motif does to the predictions when it is there."""

from __future__ import annotations

import argparse

from kipoi_motifrep.cli import filters

SUMMARY = "What motifs do to a network's outputs when they are planted in background sequences."
EXAMPLE = """\
  kipoi-motifrep plant models/synthetic/cnn_25 --dataset synthetic.h5 -o planted/
  kipoi-motifrep plant network.keras --fasta peaks.fa --motifs filters/filters_trimmed.meme -o planted/
  kipoi-motifrep plant models/synthetic/cnn_25 --motifs jaspar.meme --background random -o planted/"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The command's own parser.
    """
    filters.add_inputs(parser, required=False)
    parser.add_argument(
        "--motifs", metavar="FILE", help="motif file of any format (default: the network's own filters, trimmed)"
    )
    parser.add_argument(
        "--background",
        default="shuffled",
        metavar="WHAT",
        help="shuffled (the sequences, dinucleotides kept), random, or a FASTA file taken as it is (default: shuffled)",
    )
    parser.add_argument(
        "--composition",
        type=float,
        nargs=4,
        metavar=("A", "C", "G", "T"),
        help="probabilities of the bases in random backgrounds (default: 0.25 each)",
    )
    parser.add_argument(
        "--length", type=int, metavar="BP", help="of random backgrounds, where the model takes any length"
    )
    parser.add_argument(
        "--backgrounds", type=int, metavar="N", help="how many (default: 64; down to 8 for hundreds of motifs)"
    )
    parser.add_argument(
        "--partners",
        type=int,
        default=4,
        metavar="N",
        help="plant the N strongest motifs in pairs, too, along their distance (default: 4; 0: none)",
    )
    parser.add_argument(
        "--step", type=int, metavar="BP", help="distances of pairs: every BP bases (default: some from 8 to 200)"
    )
    parser.add_argument(
        "--labels", metavar="NAMES", help="names of the outputs, with commas between them (default: the model's)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of backgrounds, sites and places (default: 0)")
    filters.add_workers(parser)
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder for planted.tsv, planted_pairs.tsv and planted.h5"
    )


def run(args: argparse.Namespace) -> None:
    """Run the command.

    Parameters
    ----------
    args : argparse.Namespace
        Parsed arguments.
    """
    from kipoi_motifrep.core.progress import counted, say
    from kipoi_motifrep.representation.plant import plant

    given = filters.gathered(args)
    found = plant(**given)
    say(
        f"{args.output}: {counted(len(found.motifs), 'motif')} planted in {found.backgrounds}; "
        f"{counted(len(found.outputs), 'output')}, {', '.join(dict.fromkeys(found.units))}"
    )

"""``kipoi-motifrep simulate``."""

from __future__ import annotations

import argparse

SUMMARY = "Make the paper's synthetic task: sequences with known motifs, in one HDF5 file."
EXAMPLE = """  kipoi-motifrep simulate --published -o synthetic.h5   # the paper's very sequences
  kipoi-motifrep simulate -n 100000 --seed 7 -o more.h5"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the dataset file to write (HDF5)")
    parser.add_argument("-n", "--number", type=int, metavar="N", help="number of sequences (default: 25000)")
    parser.add_argument("--seed", type=int, help="seed of the random numbers (default: 0)")
    parser.add_argument("--published", action="store_true", help="the published data set, bit for bit")


def run(args: argparse.Namespace) -> None:
    """Simulate and write.

    Raises
    ------
    InputError
        If what was published is asked for with a number or a seed of its own.
    """
    from kipoi_motifrep.core.errors import InputError
    from kipoi_motifrep.core.outputs import check_output_file
    from kipoi_motifrep.core.progress import say
    from kipoi_motifrep.datasets import simulate

    if args.published and (args.number is not None or args.seed is not None):
        raise InputError("--published fixes the number and the seed; leave out --number and --seed")
    check_output_file(args.output)
    if args.published:
        number, seed = simulate.N_SEQUENCES, simulate.PUBLISHED_SEED
        data = simulate.simulate_published()
    else:
        number = simulate.N_SEQUENCES if args.number is None else args.number
        seed = args.seed or 0
        data = simulate.simulate(number, seed)
    counts = simulate.write_simulated(
        args.output, data, {"command": "simulate", "published": args.published, "number": number, "seed": seed}
    )
    say(
        f"{args.output}: {number} sequences of {simulate.LENGTH} bp, {len(simulate.LABEL_NAMES)} labels ("
        + ", ".join(f"{n} {split}" for split, n in counts.items())
        + ")"
    )

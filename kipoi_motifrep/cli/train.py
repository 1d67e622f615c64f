"""``kipoi-motifrep train``."""

from __future__ import annotations

import argparse

SUMMARY = "Train networks of the paper's architectures on a dataset file; go on where an earlier run stopped."
EXAMPLE = """  kipoi-motifrep train synthetic.h5 --architecture cnn_2 cnn_25 --out runs
  kipoi-motifrep train synthetic.h5 --architecture all --trials 5 --jobs 2 --out runs
  KERAS_BACKEND=jax kipoi-motifrep train synthetic.h5 --architecture cnn_25 --out runs"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("dataset", metavar="DATASET", help="dataset file (HDF5, from 'simulate' or 'dataset')")
    parser.add_argument("-o", "--out", required=True, metavar="DIR",
                        help="folder for DIR/ARCHITECTURE/trial_N: weights, history, test accuracy")
    parser.add_argument("--architecture", nargs="+", default=["cnn_25"], metavar="NAME",
                        help="one or several of the paper's architectures, or all (default: cnn_25)")
    add_old_names(parser)
    parser.add_argument("--trials", type=int, default=1, help="initialisations of each architecture (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sweep (default: 0)")
    parser.add_argument("--jobs", type=int, default=1,
                        help="networks trained side by side, one thread each if several (default: 1)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="train on the workers of this Dask scheduler instead")
    parser.add_argument("--epochs", type=int, default=100, help="at most so many (default: 100)")
    parser.add_argument("--patience", type=int, default=20,
                        help="stop after so many epochs without a lower validation loss (default: 20)")
    parser.add_argument("--batch-size", type=int, default=100, help="sequences a step (default: 100)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="of Adam (default: 0.001)")
    parser.add_argument("--first-activation", default="relu", choices=["relu", "exponential"],
                        help="after the first convolution (default: relu)")


def add_old_names(parser: argparse.ArgumentParser) -> None:
    """Accept ``--variant`` and ``--variants``, as ``--architecture`` was called before, without a word in the help."""
    parser.add_argument("--variant", "--variants", dest="architecture", nargs="+", default=argparse.SUPPRESS,
                        help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Train, and print a line about each network."""
    from kipoi_motifrep.training.sweep import plan, report, run_sweep
    from kipoi_motifrep.training.train import Protocol

    protocol = Protocol(batch_size=args.batch_size, epochs=args.epochs, patience=args.patience,
                        learning_rate=args.learning_rate, first_activation=args.first_activation)
    failed = 0
    runs = plan(args.architecture, args.trials, args.seed)
    for result in run_sweep(runs, args.dataset, args.out, protocol, args.jobs, args.scheduler):
        report(result)
        failed += result.contents is None
    return 2 if failed else 0

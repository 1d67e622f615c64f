"""``kipoi-motifrep train``, and the options that it shares with ``experiment``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kipoi_motifrep.training.runs import Protocol

SUMMARY = "Train networks of the paper's architectures on a dataset file; go on where an earlier run stopped."
EXAMPLE = """  kipoi-motifrep train synthetic.h5 --architecture cnn_2 cnn_25 -o runs
  kipoi-motifrep train synthetic.h5 --architecture all --trials 5 --jobs 2 -o runs
  KERAS_BACKEND=jax kipoi-motifrep train synthetic.h5 --architecture cnn_25 -o runs"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("dataset", metavar="DATASET", help="dataset file (HDF5, from 'simulate' or 'dataset')")
    parser.add_argument(
        "-o",
        "--output",
        "--out",
        required=True,
        metavar="DIR",
        help="folder for DIR/ARCHITECTURE/trial_N: weights, history, test accuracy",
    )
    add_training_arguments(parser, architecture="cnn_25", trials=1)
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="networks trained side by side, one thread each (default: 1)"
    )


def add_training_arguments(parser: argparse.ArgumentParser, architecture: str, trials: int) -> None:
    """Declare what to train and how; `architecture` and `trials` are the defaults."""
    parser.add_argument(
        "--architecture",
        nargs="+",
        default=[architecture],
        metavar="NAME",
        help=f"one or several of the paper's architectures, or all (default: {architecture})",
    )
    # Its names before, accepted without a word.
    parser.add_argument(
        "--variant", "--variants", dest="architecture", nargs="+", default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )
    parser.add_argument(
        "--trials", type=int, default=trials, help=f"initialisations of each architecture (default: {trials})"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the sweep (default: 0)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="train on the workers of this Dask scheduler instead")
    # The defaults are those that the recorded networks of the paper were trained with.
    parser.add_argument("--epochs", type=int, default=100, help="at most so many (default: 100)")
    parser.add_argument(
        "--patience",
        type=int,
        default=20,
        help="stop after so many epochs without a lower validation loss (default: 20)",
    )
    parser.add_argument("--batch-size", type=int, default=100, help="sequences a step (default: 100)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="of Adam (default: 0.001)")
    parser.add_argument(
        "--first-activation",
        default="relu",
        choices=["relu", "exponential"],
        help="after the first convolution (default: relu)",
    )
    # Off by default, so that networks are comparable with the paper's.
    parser.add_argument(
        "--augment-reverse-complement",
        action="store_true",
        help="show each training sequence on a strand drawn anew in each epoch; not in the paper",
    )
    parser.add_argument(
        "--weight-rare-labels",
        action="store_true",
        help="let the positives and the negatives of each label count the same in the loss; not in the paper",
    )
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="fit each label's probabilities to the validation split at the end; not in the paper",
    )


def protocol_of(args: argparse.Namespace) -> Protocol:
    """Put together how to train."""
    from kipoi_motifrep.training.runs import Protocol

    return Protocol(
        batch_size=args.batch_size,
        epochs=args.epochs,
        patience=args.patience,
        learning_rate=args.learning_rate,
        first_activation=args.first_activation,
        augment_reverse_complement=args.augment_reverse_complement,
        weight_rare_labels=args.weight_rare_labels,
        calibrate=args.calibrate,
    )


def run(args: argparse.Namespace) -> None:
    """Train, and print a line about each network."""
    from kipoi_motifrep.training.sweep import plan, report, run_sweep

    runs, errors = plan(args.architecture, args.trials, args.seed), list[str]()
    for result in run_sweep(runs, args.dataset, args.output, protocol_of(args), args.jobs, args.scheduler):
        report(result)
        if result.contents is None:
            errors.append(result.error)
    fail_for(errors)


def fail_for(errors: Sequence[str]) -> None:
    """End with an error if some networks failed.

    Parameters
    ----------
    errors : sequence of str
        Why, of each that did.

    Raises
    ------
    InputError
        With the first reason.
    """
    from kipoi_motifrep.core.errors import InputError
    from kipoi_motifrep.core.progress import counted

    if errors:
        raise InputError(f"{counted(len(errors), 'network')} failed; the first: {errors[0]}")

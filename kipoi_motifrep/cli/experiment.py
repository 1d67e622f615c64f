"""``kipoi-motifrep experiment``."""

from __future__ import annotations

import argparse

SUMMARY = "Run the paper's experiment: train, interpret and tabulate its networks; go on where it stopped."
EXAMPLE = """  kipoi-motifrep experiment --task synthetic --variants cnn_2 cnn_25 --trials 3 --jobs 2 -o sweep
  kipoi-motifrep experiment --variants all --trials 5 -o sweep                 # the paper's table
  kipoi-motifrep experiment --variants cnn_2 cnn_4 --first-activation exponential -o sweep
  kipoi-motifrep experiment --task chip.h5 --truth factors.tsv -o in_vivo"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("-o", "--out", required=True, metavar="DIR",
                        help="folder for units/ (a small record of each network), networks/, tables and figures")
    parser.add_argument("--task", default="synthetic", metavar="synthetic|FILE",
                        help="the published synthetic task, or a dataset file (default: synthetic)")
    parser.add_argument("--variants", nargs="+", default=["all"], metavar="NAME", help="(default: all)")
    parser.add_argument("--trials", type=int, default=5, help="initialisations of each variant (default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sweep (default: 0)")
    parser.add_argument("--jobs", type=int, metavar="N",
                        help="networks trained side by side (default: the number of cores, at most 8)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="train on the workers of this Dask scheduler instead")
    parser.add_argument("--first-activation", default="relu", choices=["relu", "exponential"],
                        help="after the first convolution (default: relu)")
    parser.add_argument("--batch-size", type=int, default=100, help="sequences a step (default: 100)")
    parser.add_argument("--epochs", type=int, default=100, help="at most so many (default: 100)")
    parser.add_argument("--patience", type=int, default=20,
                        help="stop after so many epochs without a lower validation loss (default: 20)")
    parser.add_argument("--truth", metavar="FILE",
                        help="labels and their matrix ids; invivo: the paper's 12 factors (the synthetic task has its "
                             "own; others: default none)")
    parser.add_argument("--tables-only", action="store_true", help="train nothing; tables and figures of what is there")


def run(args: argparse.Namespace) -> int:
    """Run what is missing, then write tables and figures."""
    from pathlib import Path

    from kipoi_motifrep.core.progress import say
    from kipoi_motifrep.training.experiment.plots import write_figures
    from kipoi_motifrep.training.experiment.record import read_records
    from kipoi_motifrep.training.experiment.tabulate import markdown, write_tables

    failed = 0 if args.tables_only else _run_units(args, Path(args.out))
    records = read_records(args.out)
    rows = write_tables(records, args.out)
    say(f"{args.out}: table.tsv, networks.tsv")
    for path in write_figures(records, args.out):
        say(str(path))
    print(markdown(rows), end="")
    return 2 if failed else 0


def _run_units(args: argparse.Namespace, out) -> int:
    import os

    from kipoi_motifrep.core.progress import say
    from kipoi_motifrep.training.experiment.run import Experiment, run_experiment
    from kipoi_motifrep.training.experiment.tabulate import FIRST_LAYER
    from kipoi_motifrep.training.train import Protocol

    protocol = Protocol(batch_size=args.batch_size, epochs=args.epochs, patience=args.patience,
                        first_activation=args.first_activation)
    experiment = Experiment(out, args.task, tuple(args.variants), args.trials, args.seed,
                            args.jobs or min(os.cpu_count() or 1, 8), protocol, args.truth,
                            args.scheduler)
    failed = 0
    for unit, record, error in run_experiment(experiment):
        failed += record is None
        name = f"{unit.variant} trial {unit.trial}"
        if record is None:
            say(f"{name}: failed: {error}")
            continue
        figures = record.figures[FIRST_LAYER]["trained"]
        auroc = record.training["test"]["auroc"]  # None where no label has both classes
        accuracy = "" if auroc is None else f"AUROC {auroc:.3f}, "
        say(f"{name}: {accuracy}match {figures['matched']:.2f}, localist index {figures['index']:.2f}")
    return failed

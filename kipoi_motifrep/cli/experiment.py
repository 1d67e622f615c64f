"""``kipoi-motifrep experiment``."""

from __future__ import annotations

import argparse

from kipoi_motifrep.cli.train import add_training_arguments, fail_for, protocol_of

SUMMARY = "Run the paper's experiment: train, interpret and tabulate its networks; go on where it stopped."
EXAMPLE = """  kipoi-motifrep experiment --task synthetic --architecture cnn_2 cnn_25 --trials 3 --jobs 2 -o sweep
  kipoi-motifrep experiment --architecture all --trials 5 -o sweep              # the paper's table
  kipoi-motifrep experiment --architecture cnn_2 cnn_4 --first-activation exponential -o sweep
  kipoi-motifrep experiment --task chip.h5 --truth factors.tsv -o in_vivo"""
MOST_JOBS = 8  # by default; each takes about 1 GB of memory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "-o",
        "--output",
        "--out",
        required=True,
        metavar="DIR",
        help="folder for units/ (a small record of each network), networks/, tables and plots",
    )
    parser.add_argument(
        "--task",
        default="synthetic",
        metavar="synthetic|FILE",
        help="the published synthetic task, or a dataset file (default: synthetic)",
    )
    add_training_arguments(parser, architecture="all", trials=5)
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help=f"networks trained side by side, one thread each (default: the number of cores, at most {MOST_JOBS})",
    )
    parser.add_argument(
        "--truth",
        metavar="FILE",
        help="labels and their matrix ids; invivo: the paper's 12 factors (the synthetic task has its "
        "own; others: default none)",
    )
    parser.add_argument("--tables-only", action="store_true", help="train nothing; tables and plots of what is there")


def run(args: argparse.Namespace) -> None:
    """Run what is missing, then write tables and plots."""
    from kipoi_motifrep.core.errors import InputError
    from kipoi_motifrep.core.progress import say, tell
    from kipoi_motifrep.training.experiment.plots import write_plots
    from kipoi_motifrep.training.experiment.record import read_records
    from kipoi_motifrep.training.experiment.tabulate import markdown, write_tables

    errors = [] if args.tables_only else _run_missing(args)
    try:
        records = read_records(args.output)
    except InputError:
        fail_for(errors)  # why there is none
        raise
    rows = write_tables(records, args.output)
    say(f"{args.output}: table.tsv, networks.tsv")
    for path in write_plots(records, args.output):
        say(str(path))
    tell(markdown(rows).rstrip("\n"))
    fail_for(errors)


def _run_missing(args: argparse.Namespace) -> list[str]:
    """Run the networks without a record, print a line about each, and say why some failed."""
    import os
    from pathlib import Path

    from kipoi_motifrep.core.progress import say
    from kipoi_motifrep.training.experiment.running import Experiment, run_experiment
    from kipoi_motifrep.training.experiment.tabulate import FIRST_LAYER

    experiment = Experiment(
        Path(args.output),
        args.task,
        tuple(args.architecture),
        args.trials,
        args.seed,
        args.jobs or min(os.cpu_count() or 1, MOST_JOBS),
        protocol_of(args),
        args.truth,
        args.scheduler,
    )
    errors = list[str]()
    for run, record, error in run_experiment(experiment):
        name = f"{run.architecture} trial {run.trial}"
        if record is None:
            say(f"{name}: failed: {error}")
            errors.append(error)
            continue
        metrics = record.metrics[FIRST_LAYER]["trained"]
        auroc = record.training["test"]["auroc"]  # None where no label has both classes
        accuracy = "" if auroc is None else f"AUROC {auroc:.3f}, "
        say(f"{name}: {accuracy}match {metrics['matched']:.2f}, localist index {metrics['index']:.2f}")
    return errors

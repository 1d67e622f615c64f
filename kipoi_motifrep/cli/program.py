"""Entry points: the ``kipoi-motifrep`` program and Kipoi's plugin hook."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from kipoi_motifrep import __version__
from kipoi_motifrep.core.errors import InputError, one_line

COMMANDS = ("demo", "interpret", "filters", "match", "report", "compare", "validate", "simulate", "dataset", "baseline",
            "train", "experiment", "package")


def build_parser(program: str = "kipoi-motifrep") -> argparse.ArgumentParser:
    """Make the parser with all its subcommands.

    Parameters
    ----------
    program : str
        Name shown in usage lines.

    Returns
    -------
    argparse.ArgumentParser
        The parsed arguments carry the command's function as ``run``.
    """
    parser = argparse.ArgumentParser(program, description="What did the first layer of a genomic CNN learn?")
    parser.add_argument("--version", action="version", version=f"kipoi-motifrep {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        command = importlib.import_module(f"kipoi_motifrep.cli.{name}")
        sub = subparsers.add_parser(name, help=command.SUMMARY, description=command.SUMMARY,
                                    epilog=f"example:\n{command.EXAMPLE}",
                                    formatter_class=argparse.RawDescriptionHelpFormatter)
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None, program: str = "kipoi-motifrep") -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Command line without the program's name; ``sys.argv[1:]`` by default.
    program : str
        Name shown in usage and error lines.

    Returns
    -------
    int
        Exit status: 0, or 2 for bad input.
    """
    try:
        try:
            args = build_parser(program).parse_args(arguments)
            _check_output(args)
            return args.run(args) or 0
        finally:
            sys.stdout.flush()  # here, where its errors are caught
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; that is no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (InputError, OSError) as error:
        print(f"{program}: error: {one_line(error)}", file=sys.stderr)
        return 2
    except MemoryError as error:
        print(f"{program}: error: not enough memory ({one_line(error)}); ask for less at a time", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{program}: stopped", file=sys.stderr)
        return 130


def _check_output(args: argparse.Namespace) -> None:
    if "" in (getattr(args, "output", None), getattr(args, "out", None)):
        raise InputError("the name of the output is empty (a shell variable that is not set?); name a file or folder")


def cli_main(command: str, raw_args: Sequence[str]) -> None:
    """Kipoi's plugin hook: ``kipoi motifrep ...`` ends here.

    Parameters
    ----------
    command : str
        Always ``"motifrep"``.
    raw_args : sequence of str
        What follows it on the command line.
    """
    sys.exit(main(raw_args, program=f"kipoi {command}"))

"""Entry points: the ``kipoi-motifrep`` program and Kipoi's plugin hook."""

from __future__ import annotations

import argparse
import difflib
import importlib
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NoReturn

from kipoi_motifrep import __version__
from kipoi_motifrep.core.errors import InputError, one_line, printable

COMMANDS = (
    "demo",
    "interpret",
    "atlas",
    "filters",
    "scan",
    "match",
    "plant",
    "report",
    "compare",
    "validate",
    "simulate",
    "dataset",
    "baseline",
    "train",
    "experiment",
    "evaluate",
    "package",
)
# What timeout, Slurm, Docker and a closing terminal send before they kill.
ENDING_SIGNALS = ("SIGTERM", "SIGHUP")


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, with the command that was meant."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {printable(' '.join(message.split()))}; for its usage: {self.prog} --help\n")

    def parse_known_args(self, args=None, namespace=None):
        """Name options that there are none of before arguments that are missing: a slip is often why they are."""
        words = sys.argv[1:] if args is None else args
        options = list(self._option_string_actions)
        unknown = []
        for word in words:
            if word == "--" or (self._subparsers and not word.startswith("-")):
                break  # what follows is a subcommand's
            name = word.partition("=")[0]
            if name.startswith("--") and not any(option.startswith(name) for option in options):
                unknown.append(word)
        found = namespace
        if not unknown:
            found, unknown = super().parse_known_args(words, namespace)
        if unknown:
            near = difflib.get_close_matches(unknown[0].partition("=")[0], options, 1)
            cure = f"; did you mean {near[0]}?" if near else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{cure}")
        return found, unknown

    def _check_value(self, action: argparse.Action, value: str) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            near = difflib.get_close_matches(value, action.choices, 1)
            cure = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(action.choices)}"
            self.error(f"there is no {str(action.metavar).lower()} {value!r}; {cure}")
        super()._check_value(action, value)


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

    Examples
    --------
    >>> build_parser().parse_args(["report", "results"]).folder
    'results'
    """
    parser = _Parser(program, description="What did the first layer of a genomic CNN learn?")
    parser.add_argument("--version", action="version", version=f"kipoi-motifrep {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        command = importlib.import_module(f"kipoi_motifrep.cli.{name}")
        sub = subparsers.add_parser(
            name,
            help=command.SUMMARY,
            description=command.SUMMARY,
            epilog=f"example:\n{command.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser


class _Stopped(SystemExit):
    """A signal has asked the program to end; a SystemExit, so that nothing takes it for a failure to go on after."""

    def __init__(self, number: int):
        super().__init__(128 + number)
        self.status = 128 + number


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
        Exit status: 0; 2 for bad input; 128 and the signal's number if it was stopped by one.

    Raises
    ------
    SystemExit
        After ``--help`` and ``--version``, and on wrong usage.
    """
    _open_streams()
    try:
        with _signals_unwind():
            try:
                return _run(sys.argv[1:] if arguments is None else arguments, program)
            finally:
                sys.stdout.flush()  # here, where its errors are caught
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; that is no error.
        _discard_output()
        return 0
    except (InputError, OSError) as error:
        _complain(f"{program}: error: {one_line(error)}")
        return 2
    except MemoryError as error:
        _complain(f"{program}: error: not enough memory ({one_line(error)}); ask for less at a time")
        return 2
    except (KeyboardInterrupt, _Stopped) as stopped:
        _complain(f"{program}: stopped")
        return stopped.status if isinstance(stopped, _Stopped) else 128 + signal.SIGINT


def _run(arguments: Sequence[str], program: str) -> int:
    parser = build_parser(program)
    if not arguments:
        parser.exit(2, parser.format_help())
    args = parser.parse_args(arguments)
    for name, value in vars(args).items():
        if value == "" or (isinstance(value, list) and "" in value):
            cure = "name a file or folder" if name == "output" else "give it, or leave the option out"
            raise InputError(f"the name of the {name} is empty (a shell variable that is not set?); {cure}")
    from kipoi_motifrep.core.disks import full_disk, quiet_after_full_disks
    from kipoi_motifrep.core.scratch import own_temporaries

    quiet_after_full_disks()
    try:
        with own_temporaries():
            return args.run(args) or 0
    except InputError as error:
        if full_disk(error):
            raise
        raise InputError(in_options(str(error), parser, args)) from error


def _parser_of(parser: argparse.ArgumentParser, args: argparse.Namespace) -> argparse.ArgumentParser:
    """Find the parser of the command, or of its part, that was asked for."""
    while subparsers := [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]:
        parser = subparsers[0].choices[getattr(args, subparsers[0].dest)]
    return parser


def in_options(text: str, parser: argparse.ArgumentParser, args: argparse.Namespace) -> str:
    """Write the arguments that an error speaks of, as ``name=value`` or by their names, as a command's options.

    Functions do not know whether they were called from Python or from a command line.

    Parameters
    ----------
    text : str
        The error.
    parser : argparse.ArgumentParser
        The whole program's.
    args : argparse.Namespace
        What it read.

    Returns
    -------
    str
        The same with ``--name value``.

    Examples
    --------
    >>> words = ["validate", "--intervals", "x.bed", "--genome", "x.fa"]
    >>> in_options("give auto_resize_len=9 to resize", build_parser(), build_parser().parse_args(words))
    'give --auto-resize-len 9 to resize'
    """
    parser = _parser_of(parser, args)
    # What a model's own loader is told is no option of ours.
    loaders = set() if getattr(args, "dataloader_args", None) is None else {"auto_resize_len", "centre", "use_strand"}
    for action in parser._actions:
        if action.option_strings and action.dest not in loaders:
            option = next(one for one in action.option_strings if one.startswith("--"))
            value = " " if action.nargs != 0 else ""
            text = re.sub(rf"(?<![\w-]){action.dest}={'' if value else r'(True|False)'}", option + value, text)
            text = re.sub(rf"(^|: ){action.dest}(?= is |: )", rf"\1{option}", text)
            if "_" in action.dest:
                text = re.sub(rf"(?<![\w./-]){action.dest}(?![\w=./])", option, text)
    return text


def _open_streams() -> None:
    """Give closed standard streams (``>&-``) a place to go, and names that are no text a form to be shown in.

    The number of a closed stream would go to the next file that is opened, and
    what libraries print there into that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))
        elif number and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def _signals_unwind() -> Iterator[None]:
    """Let signals that end the program unwind it as Ctrl-C does, so that it leaves nothing half-written behind."""

    def stop(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # a second one shall not cut the cleaning up short
        raise _Stopped(number)

    former = {}
    if threading.current_thread() is threading.main_thread():  # no other may set handlers
        for number in (getattr(signal, name) for name in ENDING_SIGNALS if hasattr(signal, name)):
            if signal.getsignal(number) is signal.SIG_DFL:  # under nohup, SIGHUP is ignored and stays so
                former[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _complain(line: str) -> None:
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)
    try:
        sys.stdout.flush()
    except OSError:  # such as a full disk; Python would say so again, in two lines of its own
        _discard_output()


def _discard_output() -> None:
    with suppress(OSError, ValueError):  # a stream of a test or a notebook has no number
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def cli_main(command: str, raw_args: Sequence[str]) -> NoReturn:
    """Kipoi's plugin hook: ``kipoi motifrep ...`` ends here.

    Parameters
    ----------
    command : str
        Always ``"motifrep"``.
    raw_args : sequence of str
        What follows it on the command line.

    Raises
    ------
    SystemExit
        Always, with the status of :func:`main`.

    Examples
    --------
    >>> cli_main("motifrep", ["--version"])
    Traceback (most recent call last):
    ...
    SystemExit: 0
    """
    sys.exit(main(raw_args, program=f"kipoi {command}"))

"""The command line: argparse only, a module a command, no logic.

Each command's module has ``SUMMARY`` (one line), ``EXAMPLE`` (what ``--help`` shows),
``add_arguments(parser)`` and ``run(args)``. Heavy imports happen inside ``run``.
"""

from kipoi_motifrep.cli.program import build_parser, cli_main, main

__all__ = ["build_parser", "cli_main", "main"]

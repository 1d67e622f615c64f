"""Write commands.md from the program's own help: ``python docs/make_commands.py``."""

import argparse
import os
from pathlib import Path

PAGE = Path(__file__).parent / "commands.md"
HEAD = """# Commands

<!-- Written by docs/make_commands.py; do not edit. -->

Every command ends with status 0, with 2 after one line that says what is wrong, or with 130 when it is interrupted.
Kipoi's own commands (`kipoi predict`, `kipoi test`, ...) are described in [Kipoi's documentation](https://kipoi.org/docs).
"""


def page() -> str:
    """Give the text of the page."""
    os.environ["COLUMNS"] = "110"  # argparse wraps lines by it
    from kipoi_motifrep.cli.program import build_parser

    return HEAD + "".join(section(name, parser, level) for name, parser, level in parsers(build_parser(), 2))


def parsers(parser: argparse.ArgumentParser, level: int):
    """Go through a parser's subcommands, and theirs."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                yield sub.prog.partition(" ")[2] or name, sub, level
                yield from parsers(sub, level + 1)


def section(name: str, parser: argparse.ArgumentParser, level: int) -> str:
    """Give a subcommand's heading and help."""
    return f"\n{'#' * level} {name}\n\n```text\n{parser.format_help().rstrip()}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

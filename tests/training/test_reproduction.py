"""The page of the reproduction: its commands are those of the program."""

import re
import shlex
from pathlib import Path

import pytest

from kipoi_motifrep.cli.program import build_parser

PAGE = Path(__file__).parents[2] / "docs/REPRODUCTION.md"
# Shown in blocks of text, because their data is too large to be run by the tests of the documents.
COMMANDS = [
    command
    for block in re.findall(r"```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for command in re.sub(r"\s*\\\n\s*", " ", block).strip().splitlines()
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_is_understood(command):
    program, *arguments = shlex.split(command)
    assert program == "kipoi-motifrep"
    assert build_parser().parse_args(arguments).command == arguments[0]


def test_all_tasks_are_made_and_trained_by_commands():
    exponential = ["experiment", "package"]
    better = ["dataset", "experiment", "experiment", "package", "evaluate", "baseline"]
    assert [command.split()[1] for command in COMMANDS] == [*exponential, *better, *["dataset", "experiment"] * 2]

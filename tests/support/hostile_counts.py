"""Counts of hostile trials, gathered from all processes of a run of the tests and written by the first of them."""

import json
from collections import Counter
from pathlib import Path

import pytest

COUNTS = pytest.StashKey[dict]()
NAME = "hostile_counts"


def pytest_sessionfinish(session):
    """Send this process's counts to the one that began the tests; there, write those of all."""
    config = session.config
    counts = config.stash.get(COUNTS, {})
    if hasattr(config, "workeroutput"):
        config.workeroutput[NAME] = {what: dict(found) for what, found in counts.items()}
    elif counts and (path := config.getoption("--hostile-counts")):
        text = json.dumps({what: dict(sorted(found.items())) for what, found in sorted(counts.items())}, indent=1)
        Path(path).write_text(text + "\n")


@pytest.hookimpl(optionalhook=True)  # pytest-xdist's
def pytest_testnodedown(node):
    """Add the counts of a process that has ended."""
    counts = node.config.stash.setdefault(COUNTS, {})
    for what, found in getattr(node, "workeroutput", {}).get(NAME, {}).items():
        counts.setdefault(what, Counter()).update(found)

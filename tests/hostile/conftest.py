"""Counts of what was tried, kept for docs/reliability.md."""

import json
from collections import Counter
from pathlib import Path

import pytest

COUNTS = pytest.StashKey[dict]()


@pytest.fixture
def rounds(request):
    """So many times as much as usual, with other random numbers."""
    return request.config.getoption("--hostile-rounds")


@pytest.fixture
def count(request):
    """Add a trial to the counts of this run: ``count(what, how it went)``."""
    counts = request.config.stash.setdefault(COUNTS, {})

    def add(what, outcome, n=1):
        counts.setdefault(what, Counter())[outcome] += n

    return add


def pytest_sessionfinish(session):
    path, counts = session.config.getoption("--hostile-counts"), session.config.stash.get(COUNTS, None)
    if path and counts:
        text = json.dumps({what: dict(sorted(found.items())) for what, found in sorted(counts.items())}, indent=1)
        Path(path).write_text(text + "\n")

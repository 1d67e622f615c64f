"""Counts of what was tried, kept for docs/reliability.md."""

from collections import Counter

import pytest
from support.hostile_counts import COUNTS


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

"""What all tests share: the checkout, a cache of their own, and one process's fair share of the machine."""

import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
pytest_plugins = ["support.hostile_counts"]

# The same examples in each run, so that a failure is a change's own; a slow machine is none.
# pytest --hypothesis-profile=explore draws new ones.
hypothesis.settings.register_profile("same", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None, derandomize=False)
hypothesis.settings.load_profile("same")

CHECKOUT = Path(__file__).parent.parent


def pytest_addoption(parser):
    parser.addoption("--hostile-rounds", type=int, default=1, help="times as many hostile trials (default: 1)")
    parser.addoption("--hostile-counts", metavar="FILE", help="write the counts of hostile trials there, as JSON")


def pytest_make_parametrize_id(config, val, argname):
    """Name cases of bytes and long texts by argument: processes must agree on the names, and gzip holds the time."""
    return argname if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 60) else None


@pytest.fixture(scope="session")
def checkout():
    return CHECKOUT


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Keep the tests away from the user's cache."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(scope="session")
def run_python():
    """Run ``python ARGUMENTS`` in the checkout, or another folder, and give back what it said."""

    def run(*arguments, cwd=CHECKOUT, **options):
        return subprocess.run(
            [sys.executable, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False, **options
        )

    return run


@pytest.fixture
def one_problem():
    """Assert that a failed program ended with one kind line, status 2 and no traceback."""

    def check(done, *words):
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr + done.stdout
        lines = [line for line in done.stderr.splitlines() if "error:" in line]
        assert len(lines) == 1, done.stderr
        assert done.stderr.strip().splitlines()[-1] == lines[0]
        for word in words:
            assert word in lines[0]

    return check

"""A Dask cluster, as a user would have it: two workers, at work in a folder of their own."""

import os
from contextlib import contextmanager

import pytest


@contextmanager
def two_workers(folder):
    distributed = pytest.importorskip("distributed")
    before = os.getcwd()
    os.chdir(folder)
    try:
        with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
            yield cluster.scheduler_address
    finally:
        os.chdir(before)

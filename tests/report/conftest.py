"""Reports that several files of these tests look at."""

import json

import pytest
from support.reports import EVIL, Page, everywhere, example

from kipoi_motifrep.report import Report
from kipoi_motifrep.report.page import report_page


@pytest.fixture(scope="module")
def report():
    return example()


@pytest.fixture(scope="module")
def page(report):
    return Page(report_page(report))


@pytest.fixture(scope="module")
def evil(report):
    """A report with markup in every text."""
    values = json.loads(json.dumps(everywhere(report, EVIL), default=lambda part: everywhere(part, EVIL)))
    values["network"]["url"] = "javascript:alert(1)"
    return Report.from_json(json.dumps({"format": 1, **values}))

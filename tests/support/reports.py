"""Reports of made-up networks, and what tests ask of a page."""

import dataclasses
from html.parser import HTMLParser

import numpy as np

from kipoi_motifrep.report.schema import (
    Citation,
    DatabaseSummary,
    FilterGroup,
    FilterRow,
    GroupMember,
    HeatMap,
    KnownMotifRow,
    MatchRow,
    Metric,
    NetworkSummary,
    NullModel,
    PartnerRow,
    PlantedRow,
    Planting,
    Report,
    SitesRow,
)

FACTORS = ("Arid3a", "CEBPB", "FOSL1", "Gabpa", "MAFK", "MAX", "MEF2A", "NFYB", "SP1", "SRF", "STAT1", "YY1")
OUTPUTS = FACTORS
EVIL = "<script>alert(1)</script>\"'&amp;"


def pwm(rng, width):
    return rng.dirichlet(np.full(4, 0.3), width)


def match(rng, name, number, rank=0, width=12):
    return MatchRow(
        f"MA{number:04d}.1",
        name,
        10.0 ** -rng.uniform(2, 12),
        1e-4,
        1e-9,
        int(rng.integers(-3, 4)),
        "+-"[rank % 2],
        9,
        pwm(rng, width),
        f"{name}-related factors",
        "some class",
        "JASPAR2026",
        float(rng.uniform(0.3, 1)),
        name if rank == 0 else None,
    )


def planted_rows(rng, n_outputs):
    """A motif planted in every way that `plant` has."""
    ways = [(form, "centre", strand, 1) for form in ("sampled", "consensus") for strand in "+-"]
    ways += [("sampled", "anywhere", strand, 1) for strand in "+-"]
    ways += [("sampled", "anywhere", "+", copies) for copies in (2, 3, 4)]
    return tuple(
        PlantedRow(*way, rng.normal(scale=2, size=n_outputs), rng.uniform(0.05, 0.3, n_outputs)) for way in ways
    )


def partner_row(rng, name, output):
    distances = [sign * (12 + gap) for sign in (-1, 1) for gap in (0, 1, 2, 5, 10, 20, 40, 60)]
    n = len(distances)
    return PartnerRow(name, output, "-", sorted(distances), rng.normal(size=n), rng.uniform(0.05, 0.3, n))


def sites_row(rng, n_examples=10, width=19):
    """Sequences by largest activation, sites along the sequence, and the highest of these."""
    examples = [
        (f"chr{i}:100-300", int(rng.integers(-3, 180)), "".join(rng.choice([*"ACGT"], width)), 5 - 0.25 * i)
        for i in range(n_examples)
    ]
    return SitesRow(rng.poisson(np.geomspace(2000, 1, 40)), 0.125, 2.5, rng.poisson(20, 50), examples)


def filter_row(rng, i, n_outputs, n_matches):
    if i % 10 == 9:
        return FilterRow(
            f"filter{i}",
            np.full((19, 4), 0.25),
            (0, 19),
            0,
            0.0,
            0.0,
            "dead",
            importance=np.zeros(n_outputs),
            correlation=[np.nan] * n_outputs,
        )
    factor = i % 12
    matches = [
        match(rng, FACTORS[(factor + j) % 12], 100 + factor + j, j) for j in range(0 if i % 7 == 6 else n_matches)
    ]
    coverage = matches[0].coverage if matches else None
    return FilterRow(
        f"filter{i}",
        pwm(rng, 19),
        (3, 15),
        int(rng.integers(1, 5000)),
        rng.uniform(),
        rng.uniform(0, 5),
        "active",
        matches,
        0,
        None if coverage is None else "whole" if coverage > 0.7 else "partial",
        coverage,
        FACTORS[factor] if matches else None,
        1 if i < 3 else None,
        rng.normal(scale=0.1, size=n_outputs),
        rng.uniform(-1, 1, n_outputs),
        OUTPUTS[factor : factor + 1],
        rng.normal(scale=0.1, size=(19, 4)),
        planted_rows(np.random.default_rng(i), n_outputs) if matches else (),
        partner_row(np.random.default_rng(i), f"filter{i ^ 1}", OUTPUTS[0]) if i < 4 and n_outputs else None,
        sites=sites_row(np.random.default_rng(i)),
    )


def example(n=20, n_matches=4, outputs=OUTPUTS, seed=0, name="synthetic/cnn_25"):
    rng = np.random.default_rng(seed)
    rows = [filter_row(rng, i, len(outputs), n_matches) for i in range(n)]
    matched = np.mean([bool(row.matches) for row in rows])
    return Report(
        NetworkSummary(
            name,
            n,
            19,
            "models/synthetic/cnn_25",
            "conv1",
            "(L, 4), ACGT",
            "5,000 sequences of 200 bp",
            5000,
            "one convolution reads DNA",
            "A network.",
            "https://kipoi.org/models/",
        ),
        rows,
        f"{int(matched * n)} of {n} filters match.",
        (
            Metric(
                "matched",
                "Filters that match",
                matched,
                "Tomtom E up to 0.1.",
                "fraction",
                n,
                [(0.07, 0.03, 0.13), (0.1, None, None)],
            ),
            Metric("covered", "Factors found", 11, "", "count", 12, [None, (0.5, 0, 1)]),
            Metric("index", "Localist index", 0.8123, "Mean coverage."),
        ),
        (NullModel("shuffled columns", "Columns in random order.", 100), NullModel("untrained network")),
        outputs,
        [
            FilterGroup(
                1, [GroupMember("filter0"), GroupMember("filter1", -2, "-"), GroupMember("filter2", 3)], "Arid3a"
            )
        ],
        (HeatMap("Importance", [row.importance for row in rows], "Change of each output."),),
        [KnownMotifRow("Arid3a", ("MA0151.1",), ("filter0", "filter12"), 0.9), KnownMotifRow("YY1")],
        DatabaseSummary("JASPAR2026 CORE vertebrates", "JASPAR2026", 1019, "ab" * 32),
        {"threshold": 0.5, "databases": ["JASPAR2026"], "force": False},
        {"numpy": "1.26.4"},
        [Citation("Koo PK, Eddy SR (2019).", "The method", "https://doi.org/10.1371/journal.pcbi.1007560")],
        ["Only 20 sequences."],
        "2026-01-01",
        Planting(64, "64 of the sequences, shuffled with their dinucleotides kept", ("logit",) * len(outputs)),
    )


class Page(HTMLParser):
    """Everything that a test asks of a page."""

    VOID = frozenset(("meta", "link", "input", "br", "img", "hr"))

    def __init__(self, html):
        super().__init__()
        self.tags, self.stack, self.text, self.styles, self.scripts = [], [], [], [], []
        self.feed(html)
        self.close()
        assert self.stack == [], f"not closed: {self.stack}"
        self.ids = [attributes["id"] for _, attributes in self.tags if "id" in attributes]

    def handle_starttag(self, tag, attributes):
        if tag == "td" and self.stack and self.stack[-1] == "td":  # the end tag may be left out
            self.stack.pop()
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if self.stack[-1] == "td" and tag == "tr":
            self.stack.pop()
        assert self.stack.pop() == tag

    def handle_data(self, data):
        where = self.stack[-1] if self.stack else ""
        {"style": self.styles, "script": self.scripts}.get(where, self.text).append(data)

    def all(self, tag, **wanted):
        return [
            attributes
            for name, attributes in self.tags
            if name == tag and all(attributes.get(key) == value for key, value in wanted.items())
        ]


def everywhere(value, text, keep=("status", "extent", "style", "orientation", "key", "form", "place")):
    """The same report with `text` after every text in it."""
    if dataclasses.is_dataclass(value):
        return {
            f.name: getattr(value, f.name) if f.name in keep else everywhere(getattr(value, f.name), text)
            for f in dataclasses.fields(value)
        }
    if isinstance(value, tuple):
        return [everywhere(item, text) for item in value]
    if isinstance(value, dict):
        return {key + text: everywhere(item, text) for key, item in value.items()}
    return value + text if isinstance(value, str) else value

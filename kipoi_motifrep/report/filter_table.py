"""The table of the filters: a row each, and what is folded below it.

The rows are nearly all of a page, so f-strings write them, not a template. Text is escaped where it goes in, by
`escape` or `_data`; numbers are written by functions that take nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from kipoi_motifrep.core.statuses import DEAD
from kipoi_motifrep.report import charts, drawings, numbers
from kipoi_motifrep.report.schema import KINDS, FamilyMember, FilterRow, MatchRow, PlantedRow, Report

SHOWN_MATCHES = 10  # of a filter with all their numbers, the first included; of others the names
_JASPAR_ID = re.compile(r"[A-Z]{2,3}\d{4}\.\d+")


@dataclass(frozen=True)
class FilterColumn:
    """A column of the table.

    Parameters
    ----------
    title : str
        Its header.
    key : str, optional
        ``data-`` attribute of its cells that it is sorted by.
    explanation : str, optional
        Of the header.
    number : bool, default True
        Whether it holds numbers.
    down : bool, default False
        Whether it is sorted from the largest first.
    """

    title: str
    key: str = ""
    explanation: str = ""
    number: bool = True
    down: bool = False

    def header(self) -> str:
        """Write the header cell; by the first column the table is sorted already."""
        title = f'<abbr title="{self.explanation}">{self.title}</abbr>' if self.explanation else self.title
        return (
            '<th scope="col"'
            + (" class=num" if self.number else "")
            + (_data("sort", self.key) if self.key else "")
            + (" data-down" if self.down else "")
            + (' aria-sort="ascending"' if self is FILTER else "")
            + f">{title}</th>"
        )

    def cell(self, value: float | None, write: Callable[[float], str], below: str = "", more: str = "") -> str:
        """Write a number, with `below` in small print and `more` attributes."""
        if value is None:
            return f'<td class="num none" data-label="{self.title}">{numbers.NONE}</td>'
        small = f"<span class=small>{below}</span>" if below else ""
        return f'<td class=num data-label="{self.title}"{_data(self.key, value)}{more}>{write(value)}{small}</td>'

    def effect(self, change: float | None, output: str) -> str:
        """Write how much an output is raised or lowered; sorted by its size, read by its direction."""
        if change is None:
            return self.cell(None, numbers.change)
        way, verb = ("up", "raises") if change > 0 else ("down", "lowers") if change < 0 else ("none", "leaves")
        more = _data(f"{self.key}-change", change) + _data(f"{self.key}-output", output)
        return self.cell(
            abs(change),
            lambda _: f'<span class="{way}">{numbers.change(change)}</span>',
            f"{verb} {escape(output)}",
            more,
        )


FILTER = FilterColumn("Filter", "n", number=False)
PICTURE = FilterColumn("Filter over match", number=False)
MATCH = FilterColumn("Match", "name", number=False)
E_VALUE = FilterColumn("E", "e", "Expected number of matches as good by chance; below it the false discovery rate q")
CHANCE = FilterColumn(
    "Chance",
    "chance",
    "Share of the filter's own shuffles with a match as good; below it the false discovery rate up to this filter",
)
COVERAGE = FilterColumn("Coverage", "coverage", "Part of the match's information that the filter holds", down=True)
SITES = FilterColumn("Sites", "sites", "Windows that the PWM was made from", down=True)
IMPORTANCE = FilterColumn(
    "Importance",
    "importance",
    "How much the filter, against itself at its mean, raises or lowers the output it speaks for, else the one it "
    "changes most",
    down=True,
)
PLANTED = FilterColumn(
    "Planted", "planted", "Largest change of an output when the filter's motif is planted", down=True
)
SPEAKS_FOR = FilterColumn("Speaks for", "for", "Outputs that the filter goes together with", number=False)
COLUMNS = (FILTER, PICTURE, MATCH, E_VALUE, CHANCE, COVERAGE, SITES, IMPORTANCE, PLANTED, SPEAKS_FOR)
FURTHER = "".join(
    f"<th>{title}</th>" for title in ("Match", "Motif", "Family", "E", "q", "Offset", "Strand", "Overlap", "Coverage")
)


def filter_table(report: Report, ids: Mapping[str, str]) -> str:
    """Write the table of the filters.

    Parameters
    ----------
    report : Report
    ids : mapping of str to str
        Address on the page of each filter.

    Returns
    -------
    str
        A ``<table>``, in which all text is escaped.
    """
    rows, outputs, named = report.filters, report.outputs, named_outputs(report)
    there = {
        CHANCE: any(row.p_chance is not None for row in rows),
        IMPORTANCE: any(largest(row.importance, outputs) for row in rows),
        PLANTED: any(row.planted for row in rows),
        SPEAKS_FOR: bool(named),
    }
    columns = [column for column in COLUMNS if there.get(column, True)]
    bodies = []
    for i, (row, logo, folded) in enumerate(
        zip(rows, drawings.row_logos(rows), drawings.folded_logos(rows), strict=True), 1
    ):
        cells = _cells(i, row, logo, report)
        own = [str(named[name]) for name in row.speaks_for if name in named]
        bodies.append(
            f'<tbody id="{ids[row.name]}" data-kind="{row.kind}"'
            + (' class="chance"' if row.like_chance else "")
            + ("" if row.called is None else _data("called", "yes" if row.called else "no"))
            + (_data("for", " ".join(own)) if own else "")
            + f"><tr>{''.join([cells[column] for column in columns])}</tr>"
            + ("" if row.status == DEAD else _more(row, folded, report, ids, len(columns)))
            + "</tbody>"
        )
    return (
        '<table class="filters" id="filter-table">'
        '<caption class="hidden">The filters, their logos and what they resemble</caption>'
        f"<thead><tr>{''.join(column.header() for column in columns)}</tr></thead>\n" + "\n".join(bodies) + "\n</table>"
    )


def named_outputs(report: Report) -> dict[str, int]:
    """List, with their places, the outputs that some filter speaks for.

    Parameters
    ----------
    report : Report

    Returns
    -------
    dict of str to int
    """
    named = {name for row in report.filters for name in row.speaks_for}
    return {name: i for i, name in enumerate(report.outputs) if name in named}


def largest(values: Sequence[float | None] | None, names: Sequence[str]) -> tuple[float, str] | None:
    """Find the value of the largest size, and whose it is.

    Examples
    --------
    >>> largest((0.5, None, -2.0), ("a", "b", "c"))
    (-2.0, 'c')
    """
    known = [(value, name) for value, name in zip(values or (), names, strict=False) if value is not None]
    return max(known, key=lambda pair: abs(pair[0]), default=None)


def target_url(match: MatchRow, database: str = "") -> str:
    """Address of a motif's page at JASPAR.

    Parameters
    ----------
    match : MatchRow
    database : str, default ""
        Database of the report, for matches that name none.

    Returns
    -------
    str
        Empty if the motif is not from JASPAR.

    Examples
    --------
    >>> target_url(MatchRow("MA0139.1", "CTCF", 1e-9, 1e-7, 1e-12, 0, "+", 19, ((1, 0, 0, 0),), database="JASPAR2026"))
    'https://jaspar.elixir.no/matrix/MA0139.1/'
    """
    if "jaspar" in (match.database or database).lower() and _JASPAR_ID.fullmatch(match.target_id):
        return f"https://jaspar.elixir.no/matrix/{match.target_id}/"
    return ""


def _data(name: str, value: object) -> str:
    return f' data-{name}="{escape(str(value))}"'


def _cells(i: int, row: FilterRow, logo: str, report: Report) -> dict[FilterColumn, str]:
    """Write the cells of one filter."""
    match, outputs = row.match, report.outputs
    word = row.status if row.kind == "silent" else KINDS[row.kind][0]
    chance = (
        ' <span class="mark none" title="Its own columns in random order get a match as good">like chance</span>'
        if row.like_chance
        else ""
    )
    names = "" if match is None else _data("name", match.name) + _data("motif", match.target_id)
    q_value = f"q {numbers.significant(match.q_value)}" if match and match.q_value is not None else ""
    q_data = _data("q", match.q_value) if q_value and match else ""
    bar = "" if row.coverage is None else f'<i class="bar" style="--part:{100 * row.coverage:.0f}%"></i>'
    planted = largest(row.planted[0].change, outputs) if row.planted else None
    # Of the output that the row speaks for, where it does: it may change another a little more.
    effects = zip(row.importance or (), outputs, strict=False)
    own = [(change, output) for change, output in effects if change is not None and output in row.speaks_for[:1]]
    important = own[0] if own else largest(row.importance, outputs)
    first = _data("for", row.speaks_for[0]) if row.speaks_for else ""
    return {
        FILTER: f'<th scope="row" data-n="{i}">{escape(row.name)} <span class="mark {row.kind}">{word}</span>{chance}'
        "</th>",
        PICTURE: f'<td class="picture">{logo}</td>',
        MATCH: f'<td data-label="Match"{names}>{_match_words(row, report)}</td>',
        E_VALUE: E_VALUE.cell(match.e_value if match else None, numbers.significant, q_value, q_data),
        CHANCE: CHANCE.cell(
            row.p_chance,
            numbers.significant,
            f"FDR {numbers.significant(row.fdr)}",
            "" if row.fdr is None else _data("fdr", row.fdr),
        ),
        COVERAGE: COVERAGE.cell(row.coverage, lambda one: numbers.percent(one) + bar),
        SITES: SITES.cell(row.n_sites, numbers.count, f"{numbers.percent(row.fraction_firing)} of sequences"),
        IMPORTANCE: IMPORTANCE.effect(*(important or (None, ""))),
        PLANTED: PLANTED.effect(*(planted or (None, ""))),
        SPEAKS_FOR: f'<td data-label="Speaks for"{first}>{escape(", ".join(row.speaks_for)) or numbers.NONE}</td>',
    }


def _match_words(row: FilterRow, report: Report) -> str:
    match, best = row.match, row.best
    if match is None or best is None:
        silent = "never fires" if row.status == DEAD else "no informative position"
        return f"<span class=none>{silent if row.kind == 'silent' else 'none'}</span>"
    true = (
        f'<span class="true" title="Stands for {escape(row.true)}, which is in the data">true</span>'
        if row.true
        else ""
    )
    words = f"<b>{escape(match.name)}</b> {_link(match, report)} {true}"
    words += f"<span class=small>{escape(match.family or match.tf_class)}</span>"
    if best is not match:
        words += (
            f"<span class=small>lowest E: {escape(best.name)} {_link(best, report)}, "
            f"{numbers.significant(best.e_value)}</span>"
        )
    return words


def _link(match: MatchRow, report: Report) -> str:
    url = target_url(match, report.database.name if report.database else "")
    name = escape(match.target_id)
    return f'<a href="{url}">{name}</a>' if url else name


def _more(
    row: FilterRow, folded: Sequence[tuple[str, str]], report: Report, ids: Mapping[str, str], n_columns: int
) -> str:
    """Write what is folded below a row."""
    further = max(0, sum(1 + len(match.members) for match in row.matches) - 1) + row.n_more
    # Matches of one family count once, where all are there to be counted.
    families = max(0, len(row.matches) - 1) + bool(row.match and row.match.members)
    parts = [f"{further:,} further {'match' if further == 1 else 'matches'}"] if further else []
    if families < further and not row.n_more:
        parts[0] += f" of {families} {'family' if families == 1 else 'families'}"
    parts += ["sites"] if row.sites else []
    parts += ["effects"] if row.planted else []
    summary = ", ".join([*parts, "weights"] if row.kernel else parts) or "more"
    figures = "".join(
        [
            f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"
            for caption, picture in (*folded, *_charts(row, report, ids))
        ]
    )
    # For the script that copies the motif: A, C and G in ten-thousandths; T is the rest.
    pwm = ";".join([f"{10_000 * a:.0f},{10_000 * c:.0f},{10_000 * g:.0f}" for a, c, g, _ in row.trimmed])
    correlation = largest(row.correlation, report.outputs)
    facts = f"Largest activation {numbers.significant(row.maximum, 3)}"
    if correlation:
        facts += f"; correlates most with {escape(correlation[1])} ({numbers.signed(correlation[0])})"
    if row.group is not None:
        facts += f"; group {row.group:d}"
    return (
        f'<tr class="more"><td colspan="{n_columns}"><details{_data("pwm", pwm)}>'
        f"<summary>{summary[0].upper()}{summary[1:]}</summary>"
        f'<div class="views">{figures}<div>{_further(row, report) if further else ""}</div>{_examples(row)}</div>'
        f"<p class=small>{facts}.</p></details></td></tr>"
    )


def _further(row: FilterRow, report: Report) -> str:
    """Write the further matches; names in an element of class ``found`` are what a reader can look for."""
    # End tags of cells may be left out: there are thousands.
    lines = [
        f"<tr><td>{escape(match.name)}<td>{_link(match, report)}"
        f"<td>{escape(match.family or match.tf_class)}{_members(match.members)}"
        f"<td>{numbers.significant(match.e_value)}"
        f"<td>{numbers.significant(match.q_value)}<td>{numbers.plain(match.offset)}"
        f"<td>{'+' if match.orientation == '+' else numbers.MINUS}<td>{match.overlap:d}"
        f"<td>{numbers.percent(match.coverage)}</tr>"
        for match in row.matches[1:SHOWN_MATCHES]
    ]
    alike = f'<div class="small found">{_members(row.match.members)}</div>' if row.match and row.match.members else ""
    table = (
        f'<table class="plain further"><caption class="hidden">Further matches of {escape(row.name)}</caption>'
        f'<thead><tr>{FURTHER}</tr></thead><tbody class="found">{"".join(lines)}</tbody></table>'
    )
    unnamed = row.n_more - len(row.more)
    more: list[FamilyMember | MatchRow] = [*row.matches[SHOWN_MATCHES:], *row.more]
    rest = f'<div class="small found">{_members(more, "more, of further families")}</div>' if more else ""
    if unnamed:
        rest += f"<p class=small>and {unnamed:,} more, in the table of matches beside this page</p>"
    return alike + (table if lines else "") + rest


def _members(members: Sequence[FamilyMember | MatchRow], what: str = "more of this family") -> str:
    if not members:
        return ""
    named = [f"{escape(one.name)} {escape(one.target_id)} ({numbers.significant(one.e_value)})" for one in members]
    return f"<details class=small><summary>{len(members):,} {what}</summary>{', '.join(named)}</details>"


def _examples(row: FilterRow) -> str:
    """Write the highest sites under one another; bases that were not matched are small."""
    if row.sites is None or not row.sites.examples:
        return ""
    start, stop = row.trim
    lines = [
        f"{bases[:start].lower()}{bases[start:stop]}{bases[stop:].lower()} {numbers.significant(value, 3):>6} "
        f"{name}, base {first + 1:,}"
        for name, first, bases, value in row.sites.examples
    ]
    return (
        f"<figure class=sites><pre>{escape(chr(10).join(lines))}</pre>"
        "<figcaption>Its highest sites: activation, sequence, first base</figcaption></figure>"
    )


def _charts(row: FilterRow, report: Report, ids: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Caption and drawing of each chart of a filter."""
    sites, partner = row.sites, row.partner
    if sites is not None and len(sites.heights) > 1 and sites.bin_width > 0:
        caption = f"Sequences by largest activation; line: sites are above {numbers.significant(sites.level)}"
        yield caption, charts.heights_chart(sites, row.name)
    if sites is not None and any(sites.places):
        yield "Sites along the sequences", charts.places_chart(sites, row.name, report.network.length)
    if row.planted and report.outputs:
        names, chart = charts.planted_chart(row.planted, report.outputs, row.name)
        beside = escape("\n".join(name if len(name) < 16 else f"{name[:14]}\u2026" for name in names))
        units = f" ({escape(', '.join(sorted(set(report.planting.units))))})" if report.planting else ""
        caption = f"Planted: change of each output{units}{_ways(row.planted, report.outputs)}"
        yield caption, f"<div class=beside><pre>{beside}</pre>{chart}</div>"
    if partner is not None and partner.distances:
        turned = " reversed" if partner.orientation == "-" else ""
        caption = f'With <a href="#{ids[partner.name]}">{escape(partner.name)}</a>{turned}: effect on '
        caption += f"{escape(partner.output)} beyond the sum of both, by distance"
        yield caption, charts.partner_chart(partner, row.name)


def _ways(planted: Sequence[PlantedRow], outputs: Sequence[str]) -> str:
    """Say what other ways of planting do to the output that the first one changes most."""
    first, most = planted[0], largest(planted[0].change, outputs)
    if most is None:
        return ""
    said = [f"; {escape(most[1])} {numbers.change(most[0])}"]
    for one in planted[1:]:
        change = one.change[outputs.index(most[1])]
        words = [one.form] if one.form != first.form else []
        words += [one.place] if one.place != first.place and one.copies == 1 else []
        words += [f"{one.copies:d} copies"] if one.copies > 1 else []
        if one.orientation == first.orientation and change is not None:
            said.append(f"{' '.join(words)} {numbers.change(change)}")
    return ", ".join(said)

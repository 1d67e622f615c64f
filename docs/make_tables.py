"""Put the tables of results into REPRODUCTION.md: ``python docs/make_tables.py``.

Each table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``, and is made from
``results/*/table.tsv`` and ``planted.tsv``.
"""

import re
from pathlib import Path
from statistics import mean, stdev

from kipoi_motifrep.core.tables import read_table

DOCS = Path(__file__).parent
PAGE = DOCS / "REPRODUCTION.md"
BLOCK = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)

SHOWN = ("cnn_1", "cnn_2", "cnn_25", "cnn_50", "cnn_100")

# The authors' recorded single run: AUROC, AUPR, filters with any match, with a true match, factors covered.
RECORDED = {
    "cnn_2": (".968", ".880", 9, 0, 0),
    "cnn_4": (".952", ".855", 17, 4, 3),
    "cnn_10": (".970", ".888", 30, 29, 12),
    "cnn_25": (".966", ".884", 30, 30, 12),
    "cnn_50": (".965", ".871", 30, 29, 12),
    "cnn_100": (".961", ".862", 29, 29, 12),
    "cnn_50_2": (".950", ".865", 29, 28, 11),
    "cnn9_4": (".958", ".858", 4, 0, 0),
    "cnn9_25": (".961", ".858", 28, 28, 12),
    "cnn3_2": (".968", ".876", 10, 0, 0),
    "cnn3_50": (".652", ".247", 5, 0, 0),
}


def page(text: str) -> str:
    """Give the page with its tables as they should be."""
    unknown = {name for _, name, _ in BLOCK.findall(text)} - TABLES.keys()
    if unknown:
        raise SystemExit(f"{PAGE}: no table is called {', '.join(sorted(unknown))}")
    return BLOCK.sub(lambda found: found[1] + TABLES[found[2]]() + found[3], text)


def rows(group: str, layer: str = "conv1", activation: str = "relu") -> list[dict[str, str]]:
    """Read a table's rows of one kind."""
    return [
        row
        for row in read_table(DOCS / "results" / group / "table.tsv")
        if (row["layer"], row["first_activation"]) == (layer, activation)
    ]


def called(group: str, row: dict[str, str], column: str, decimals: int = 0, times: float = 100) -> str:
    """Write mean ± SD, over the runs of a row, of the part of the filters that is called, from ``called.tsv``."""
    values = [
        int(one[column]) / int(one["filters"]) * times
        for one in read_table(DOCS / "results" / group / "called.tsv")
        if all(one[name] == row[name] for name in ("variant", "first_activation", "layer"))
    ]
    if not values:
        return "-"
    spread = [stdev(values)] if len(values) > 1 else []
    return " ± ".join(number(value, decimals) for value in (mean(values), *spread))


def number(value: float | str, decimals: int = 3, times: float = 1) -> str:
    """Write a number of a table; fractions without the zero before the point."""
    if value == "":
        return "-"
    text = f"{float(value) * times:.{decimals}f}"
    return text[1:] if decimals > 1 and text.startswith("0") else text


def spread(row: dict[str, str], column: str, decimals: int = 3, times: float = 1) -> str:
    """Write mean ± SD."""
    return " ± ".join(
        number(row[name], decimals, times) for name in (column, f"{column}_sd") if row[name] or name == column
    )


def markdown(header: list[str], cells: list[list[object]]) -> str:
    """Write a Markdown table."""
    lines = [header, ["---"] * len(header), *cells]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def reproduced() -> str:
    """Lay recorded networks beside ours."""
    header = [
        "network",
        "runs",
        "AUROC recorded",
        "ours",
        "AUPR recorded",
        "ours",
        "match / true / TFs recorded",
        "match",
        "true",
        "TFs",
        "called",
        "called, true",
        "index",
        "chance",
    ]
    found = {row["variant"]: row for row in rows("synthetic")}
    cells = []
    for name, (auroc, aupr, *counts) in RECORDED.items():
        row = found[name]
        n = int(row["filters"])
        cells.append(
            [
                name,
                row["trials"],
                auroc,
                spread(row, "auroc"),
                aupr,
                spread(row, "aupr"),
                " / ".join(map(str, counts)),
                spread(row, "match", 1, n),
                spread(row, "true_match", 1, n),
                spread(row, "tfs_covered", 1),
                called("synthetic", row, "called", 1, n),
                called("synthetic", row, "called_true", 1, n),
                spread(row, "localist_index", 2),
                number(row["shuffled_match"], 1, n),
            ]
        )
    return markdown(header, cells)


def fractions(group: str, chosen: list[dict[str, str]], names: list[str] | None = None) -> str:
    """Tabulate networks of ours alone; matches in per cent of the filters."""
    header = [
        "network",
        "runs",
        "filters",
        "AUROC",
        "AUPR",
        "match, %",
        "true, %",
        "TFs",
        "called, %",
        "called, true, %",
        "index",
        "shuffled: match, %",
        "untrained: match, %",
    ]
    return markdown(
        header,
        [
            [
                names[i] if names else row["variant"],
                row["trials"],
                row["filters"],
                spread(row, "auroc"),
                spread(row, "aupr"),
                spread(row, "match", 0, 100),
                spread(row, "true_match", 0, 100),
                spread(row, "tfs_covered", 1),
                called(group, row, "called"),
                called(group, row, "called_true"),
                spread(row, "localist_index", 2),
                spread(row, "shuffled_match", 0, 100),
                number(row["untrained_match"], 0, 100),
            ]
            for i, row in enumerate(chosen)
        ],
    )


def others() -> str:
    """Tabulate architectures without a recorded network."""
    return fractions("synthetic", [row for row in rows("synthetic") if row["variant"] not in RECORDED])


def deeper() -> str:
    """Tabulate second and third layers."""
    chosen = [row for layer in ("conv2", "conv3") for row in rows("synthetic", layer)]
    chosen.sort(key=lambda row: row["variant"])
    return fractions("synthetic", chosen, [f"{row['variant']}, {row['layer']}" for row in chosen])


def exponential(group: str) -> str:
    """Lay networks with an exponential first layer beside the same with ReLU."""
    relu = {row["variant"]: row for row in rows(group)}
    chosen, names = [], []
    for row in rows(group, activation="exponential"):
        chosen += [relu[row["variant"]], row]
        names += [f"{row['variant']}, ReLU", f"{row['variant']}, exponential"]
    return fractions(group, chosen, names)


def factors() -> str:
    """Lay networks on ChIP-seq labels beside a scan with the best known matrix."""
    group = DOCS.parent / "models" / "invivo"
    results = {(row["model"], row["figure"]): row for row in read_table(group / "results.tsv")}
    floor = read_table(group / "baseline.tsv")
    cells = []
    for row in floor:
        label = row["label"]
        cells.append(
            [
                label,
                row["positives"],
                f"{row['matrix']} {row['name']}",
                pair(row["auroc"], row["aupr"]),
                *(pair(*(results[name, figure][label] for figure in ("auroc", "aupr"))) for name in SHOWN),
            ]
        )
    judged = [row for row in floor if row["auroc"]]
    means = [sum(float(row[figure]) for row in judged) / len(judged) for figure in ("auroc", "aupr")]
    cells.append(
        [
            "mean",
            "",
            "",
            pair(*means),
            *(pair(*(results[name, figure]["mean"] for figure in ("auroc", "aupr"))) for name in SHOWN),
        ]
    )
    return markdown(["factor", "test positives", "best matrix", "its scan", *SHOWN], cells)


def planted(group: str) -> str:
    """Lay what each factor's planted motif does to its own output beside each other, for several networks."""
    found = {(row["model"], row["factor"]): row for row in read_table(DOCS / "results" / group / "planted.tsv")}
    names = list(dict.fromkeys(name for name, _ in found))
    cells: list[list[object]] = []
    for factor in dict.fromkeys(factor for _, factor in found):
        shown = [found[name, factor] for name in SHOWN]
        cells.append(
            [
                f"{factor}, {shown[0]['matrix']}",
                *(
                    f"{number(row['change'], 1)} ± {number(row['error'], 1)}"
                    + (f" ({row['other']} {number(row['other_change'], 1)})" if row["rank"] != "1" else "")
                    for row in shown
                ),
                f"{sum(found[name, factor]['rank'] == '1' for name in names)} of {len(names)}",
            ]
        )
    return markdown(["planted", *SHOWN, "own output most, networks"], cells)


def best(regions: str) -> str:
    """Lay the networks of models/invivo_best beside the scan and the paper's protocol, factor by factor.

    `regions` is ``all`` for all open regions, ``with_factor`` for those with at least one.
    """
    folder = DOCS / "results" / "k562_best"
    floor = read_table(folder / f"baseline_{regions}.tsv")
    measured = [row for kind in ("paper", "accuracy") for row in read_table(folder / f"{kind}_{regions}.tsv")]
    found = {(row["model"], row["figure"]): row for row in measured}
    names = list(dict.fromkeys(model for model, _ in found))
    titles = [
        name.removeprefix("models/invivo_best/")
        .replace("models/invivo/cnn_100", "cnn_100, the paper's protocol")
        .replace("mean of all", "mean of the four")
        for name in names
    ]
    cells = [
        [
            row["label"],
            row["positives"],
            pair(row["auroc"], row["aupr"]),
            *(pair(*(found[name, figure][row["label"]] for figure in ("auroc", "aupr"))) for name in names),
        ]
        for row in floor
    ]
    means = [sum(float(row[figure]) for row in floor) / len(floor) for figure in ("auroc", "aupr")]
    cells.append(
        [
            "mean",
            "",
            pair(*means),
            *(pair(*(found[name, figure]["mean"] for figure in ("auroc", "aupr"))) for name in names),
        ]
    )
    errors = [number(found[name, "calibration_error"]["mean"]) for name in names]
    cells.append(["calibration error", "", "-", *errors])
    return markdown(["factor", "test positives", "scan", *titles], cells)


def recipes() -> str:
    """Lay ways of training side by side, on the validation regions."""
    chosen = read_table(DOCS / "results" / "k562_best" / "recipes.tsv")
    found = {(row["recipe"], row["model"], row["figure"]): row["mean"] for row in chosen}
    names = list(dict.fromkeys((row["recipe"], row["model"]) for row in chosen))
    return markdown(
        ["recipe", "network", "AUROC / AUPR", "calibration error"],
        [
            [
                *name,
                pair(*(found[*name, figure] for figure in ("auroc", "aupr"))),
                number(found[*name, "calibration_error"]),
            ]
            for name in names
        ],
    )


def pair(auroc: float | str, aupr: float | str) -> str:
    """Write AUROC / AUPR."""
    return f"{number(auroc)} / {number(aupr)}"


TABLES = {
    "synthetic": reproduced,
    "factors": factors,
    "others": others,
    "deeper": deeper,
    "exponential": lambda: exponential("synthetic"),
    "k562_exponential": lambda: exponential("k562"),
    "k562": lambda: fractions("k562", rows("k562")),
    "chr20": lambda: fractions("chr20", rows("chr20")),
    "planted": lambda: planted("synthetic"),
    "k562_planted": lambda: planted("k562"),
    "best_all": lambda: best("all"),
    "best_with_factor": lambda: best("with_factor"),
    "recipes": recipes,
}

if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

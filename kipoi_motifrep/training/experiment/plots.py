"""Pictures of an experiment: plots with matplotlib where it is installed, logos always."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np

from kipoi_motifrep.core.outputs import replacing, write_text
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.datasets.simulate import MOTIFS, RELEASE
from kipoi_motifrep.motifs import Motif, jaspar, write_motifs
from kipoi_motifrep.motifs.logos import AXIS_STYLE, COLUMN, HEIGHT, glyph_outlines, information_logo
from kipoi_motifrep.motifs.tomtom import tomtom
from kipoi_motifrep.training.architectures import ARCHITECTURES
from kipoi_motifrep.training.experiment.record import LayerRecord, RunRecord
from kipoi_motifrep.training.experiment.tabulate import COLUMNS, FIRST_LAYER, TableRow, tabulate

# Networks of the paper's main figure: filter width -> architectures by growing pooling.
SERIES = {
    19: ("cnn_1", "cnn_2", "cnn_4", "cnn_10", "cnn_25", "cnn_50", "cnn_100"),
    9: ("cnn9_4", "cnn9_25"),
    3: ("cnn3_2", "cnn3_50"),
}
AUROC_TICKS = (0.1, 0.3, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995)
SIDE_BY_SIDE = ("cnn_2", "cnn_25")
# Okabe & Ito's colours, told apart by all.
COLOURS = {19: "#0072B2", 9: "#D55E00", 3: "#009E73"}


def write_plots(records: Sequence[RunRecord], folder: str | os.PathLike) -> list[Path]:
    """Write all plots that the records allow.

    Parameters
    ----------
    records : sequence of RunRecord
        Of one task.
    folder : str or path-like
        ``figures/`` is made in it.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    folder = Path(folder) / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    first = {record.architecture: record for record in reversed(records) if record.first_activation == "relu"}
    written = list(_logo_grids(first, folder))
    if importlib.util.find_spec("matplotlib") is None:
        say("plots are left out: matplotlib is not installed (pip install 'kipoi_motifrep[plot]')")
        return written
    rows = [row for row in tabulate(records) if row.layer == FIRST_LAYER]
    return [*written, *_plots(rows, folder)]


def _plots(rows: Sequence[TableRow], folder: Path) -> list[Path]:
    import matplotlib

    # Plots are made without pyplot, which would change the user's backend and keep them.
    with matplotlib.rc_context({"svg.hashsalt": "kipoi_motifrep", "font.size": 9, "axes.spines.top": False,
                                "axes.spines.right": False}):
        return [_pooling_plot([row for row in rows if row.first_activation == "relu"], folder / "match_by_pooling.svg"),
                _accuracy_plot(rows, folder / "accuracy_and_match.svg")]


def _values(row: TableRow, name: str) -> tuple[float, float]:
    place = [column.name for column in COLUMNS].index(name)
    return row.mean[place], np.nan_to_num(row.sd[place])


def _pooling_plot(rows: Sequence[TableRow], path: Path) -> Path:
    """Paper's main figure: filters with a (true) match against the width of the first pooling."""
    from matplotlib.figure import Figure

    by_name = {row.architecture: row for row in rows}
    panels = {"match": "any JASPAR motif"}
    if any(not np.isnan(_values(row, "true_match")[0]) for row in rows):
        panels["true_match"] = "a motif in the data"
    figure = Figure(figsize=(0.5 + 3.5 * len(panels), 3.2), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (column, title) in zip(axes, panels.items(), strict=True):
        for width, architectures in SERIES.items():
            there = [by_name[name] for name in architectures if name in by_name]
            if not there:
                continue
            pools = [ARCHITECTURES[row.architecture].convs[0].pool for row in there]
            mean, sd = np.array([_values(row, column) for row in there]).T
            axis.errorbar(pools, mean, sd, color=COLOURS[width], marker="o", capsize=2, label=f"filter width {width}")
        if column == "match" and rows:
            chance = np.array([_values(row, "shuffled_match")[0] for row in rows])
            axis.axhspan(chance.min(), chance.max(), color="0.88", zorder=0, label="shuffled filters")
            axis.legend(frameon=False, fontsize=8)
        axis.set(xscale="log", xlabel="max-pooling after the first layer", title=f"match to {title}",
                 ylim=(-0.03, 1.03))
        axis.set_xticks([1, 2, 4, 10, 25, 50, 100], [1, 2, 4, 10, 25, 50, 100])
        axis.minorticks_off()
    axes[0].set_ylabel("fraction of first-layer filters")
    return _save(figure, path)


def _accuracy_plot(rows: Sequence[TableRow], path: Path) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axis = figure.subplots()
    points: list[tuple[float, float, str]] = []
    for row in rows:
        (x, x_sd), (y, y_sd) = _values(row, "localist_index"), _values(row, "auroc")
        exponential = row.first_activation != "relu"
        colour = COLOURS.get(ARCHITECTURES[row.architecture].convs[0].width, "0.4")
        axis.errorbar(x, y, y_sd, x_sd, color=colour, marker="^" if exponential else "o", capsize=0, elinewidth=0.7)
        points.append((x, y, row.architecture + (" exp" if exponential else "")))
    axis.set(xlabel="localist index (0: parts, 1: whole motifs)", ylabel="mean test AUROC", xlim=(-0.03, 1.05))
    if points:
        _spread_near_one(axis, [y for _, y, _ in points])
    figure.draw_without_rendering()  # places are known from here on
    _label(axis, points)
    return _save(figure, path)


def _spread_near_one(axis, values: Sequence[float]) -> None:
    """Scale an axis of AUROCs by their logit, so that the good ones are told apart."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    shown = [value for value in values if 0 < value < 1] or [0.5]
    axis.set_yscale("logit")
    axis.set_ylim(1 - 1.25 * (1 - min(shown)), 1 - 0.85 * (1 - max(shown)))
    axis.yaxis.set_major_locator(FixedLocator(AUROC_TICKS))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _label(axis, points: Sequence[tuple[float, float, str]], size: float = 7) -> None:
    """Write names beside points, each where it hides no other name and no point, if there is such a place."""
    to_points = 72 / axis.figure.dpi
    places = [axis.transData.transform((x, y)) * to_points for x, y, _ in points]
    taken = [(x - 3, y - 3, x + 3, y + 3) for x, y in places]
    for (x, y), (*point, text) in zip(places, points, strict=True):
        width = 0.58 * size * len(text)
        boxes = {offset: (x + offset[0], y + offset[1], x + offset[0] + width, y + offset[1] + size)
                 for offset in ((5, 2), (5, -9), (-5 - width, 2), (-5 - width, -9), (-width / 2, 9), (-width / 2, -16),
                                (5, 11), (5, -18), (-5 - width, 11), (-5 - width, -18))}
        free = [offset for offset, box in boxes.items() if not any(_overlap(box, other) for other in taken)]
        chosen = free[0] if free else next(iter(boxes))
        taken.append(boxes[chosen])
        axis.annotate(text, point, xytext=chosen, textcoords="offset points", fontsize=size)


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    """Say whether two boxes (left, bottom, right, top) do."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _save(figure, path: Path) -> Path:
    with replacing(path) as temporary:
        figure.savefig(temporary, metadata={"Date": None})
    return path


def _logo_grids(first: dict[str, RunRecord], folder: Path) -> Iterator[Path]:
    for name in SIDE_BY_SIDE:
        if name in first:
            path = folder / f"filters_{name}.svg"
            write_text(path, _filter_grid(first[name].layers[0]))
            yield path
    if not first or any(record.task != "synthetic" for record in first.values()):
        return
    planted = jaspar.load(RELEASE, versions="all").index
    best = {label: {name: _best_filter(record.layers[0], label, planted[matrix]) for name, record in first.items()}
            for label, matrix in MOTIFS.items()}
    path = folder / "planted_motifs_and_filters.svg"
    write_text(path, _recovery_grid(best, {label: planted[MOTIFS[label]] for label in MOTIFS}, list(first)))
    yield path
    found = [replace(motif, name=f"{label}_{name}", alt_name=motif.name) for label, by_network in best.items()
             for name, motif in by_network.items() if motif is not None]
    path = folder / "planted_motifs_and_filters.meme"
    write_motifs([*(planted[MOTIFS[label]] for label in MOTIFS), *found], path)
    yield path


def _best_filter(layer: LayerRecord, label: str, planted: Motif) -> Motif | None:
    """Find the filter that holds most of a planted motif, among those that match it, on the motif's strand."""
    candidates = [i for i, found in enumerate(layer.labels) if found == label]
    if not candidates:
        return None
    chosen = max(candidates, key=lambda i: layer.coverage[i])
    motif = layer.motifs()[chosen]
    [hit] = tomtom([motif], [planted], evalue=np.inf, qvalues=False)
    return motif.reverse_complement() if hit["orientation"] == "-" else motif


def _filter_grid(layer: LayerRecord, columns: int = 3) -> str:
    cells = []
    for i, motif in enumerate(layer.motifs()):
        hit = next((hit for hit in layer.hits if hit.query == i), None)
        cells.append((f"filter {i}: " + (layer.labels[i] or hit.target if hit else "no match"), motif))
    return _grid([cells[i:i + columns] for i in range(0, len(cells), columns)])


def _recovery_grid(best: dict[str, dict[str, Motif | None]], planted: dict[str, Motif], networks: list[str]) -> str:
    shown = [name for name in ARCHITECTURES if name in networks and any(best[label][name] for label in best)]
    return _grid([[(f"{label} planted", planted[label]), *((name, best[label][name]) for name in shown)]
                  for label in planted])


def _grid(rows: Sequence[Sequence[tuple[str, Motif | None]]]) -> str:
    """Lay captioned logos out in rows and columns."""
    width = COLUMN * max((motif.width for row in rows for _, motif in row if motif), default=1) + 30
    height, caption = HEIGHT + 45, 30
    parts = []
    for y, row in enumerate(rows):
        for x, (text, motif) in enumerate(row):
            left, top = x * width + 10, y * height
            parts.append(f'<text x="{left}" y="{top + caption - 8}" font-size="18">{escape(text)}</text>')
            if motif is not None:
                parts.append(information_logo(motif, text).drawing(left, top + caption, "xlink:href"))
    total = (max(map(len, rows)) * width, len(rows) * height)
    return ('<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" '
            f'xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {total[0]} {total[1]}" width="{total[0] // 2}" '
            f'font-family="sans-serif" role="img">{glyph_outlines()}<style>{AXIS_STYLE}</style>'
            f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n')

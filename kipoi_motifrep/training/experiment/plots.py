"""Pictures of an experiment: plots with matplotlib where it is installed, grids of logos always."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kipoi_motifrep.core.outputs import replacing, write_text
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.datasets.simulate import MOTIFS, RELEASE
from kipoi_motifrep.motifs import Motif, jaspar, write_motifs
from kipoi_motifrep.motifs.logos import AXIS_STYLE, COLUMN, HEIGHT, glyph_outlines, information_logo
from kipoi_motifrep.motifs.tomtom import tomtom
from kipoi_motifrep.training.architectures import ARCHITECTURES
from kipoi_motifrep.training.experiment.record import LayerRecord, RunRecord
from kipoi_motifrep.training.experiment.tabulate import FIRST_LAYER, TableRow, tabulate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Networks of the paper's main figure: filter width -> architectures by growing pooling.
SERIES = {
    19: ("cnn_1", "cnn_2", "cnn_4", "cnn_10", "cnn_25", "cnn_50", "cnn_100"),
    9: ("cnn9_4", "cnn9_25"),
    3: ("cnn3_2", "cnn3_50"),
}
AUROC_TICKS = (0.1, 0.3, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995)
SIDE_BY_SIDE = ("cnn_2", "cnn_25")  # parts and whole motifs: all filters of one network of each
# Okabe & Ito's colours, told apart by all.
COLOURS = {19: "#0072B2", 9: "#D55E00", 3: "#009E73"}
LABEL_SIZE = 7  # points
ACTIVATIONS = {"relu": "ReLU", "exponential": "exponential first layer"}


def write_plots(records: Sequence[RunRecord], folder: str | os.PathLike) -> list[Path]:
    """Write all plots and grids of logos that the records allow.

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
    # Of each architecture the first trial.
    first = {record.architecture: record for record in reversed(records) if record.first_activation == "relu"}
    written = list(_write_grids(first, folder))
    if importlib.util.find_spec("matplotlib") is None:
        say("plots are left out: matplotlib is not installed (pip install 'kipoi_motifrep[plot]')")
        return written
    import matplotlib

    rows = [row for row in tabulate(records) if row.layer == FIRST_LAYER]
    # Without pyplot, which would change the user's backend and keep the figures.
    with matplotlib.rc_context(
        {"svg.hashsalt": "kipoi_motifrep", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    ):
        for name, figure in (
            ("match_by_pooling.svg", _pooling_plot(rows)),
            ("accuracy_and_match.svg", _accuracy_plot(rows)),
        ):
            with replacing(folder / name) as temporary:
                figure.savefig(temporary, metadata={"Date": None})  # the same file each time
            written.append(folder / name)
    return written


def _pooling_plot(rows: Sequence[TableRow]) -> Figure:
    """Paper's main figure: filters with a (true) match against the width of the first pooling."""
    from matplotlib.figure import Figure

    by_name = {row.architecture: row for row in rows if row.first_activation == "relu"}
    panels = {"match": "any JASPAR motif"}
    if any(not np.isnan(row.of("true_match")[0]) for row in by_name.values()):
        panels["true_match"] = "a motif in the data"
    figure = Figure(figsize=(0.5 + 3.5 * len(panels), 3.2), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (column, title) in zip(axes, panels.items(), strict=True):
        for width, names in SERIES.items():
            there = [by_name[name] for name in names if name in by_name]
            if there:
                pools = [ARCHITECTURES[row.architecture].convs[0].pool for row in there]
                mean, sd = np.transpose([row.of(column) for row in there])
                axis.errorbar(
                    pools,
                    mean,
                    np.nan_to_num(sd),
                    color=COLOURS[width],
                    marker="o",
                    capsize=2,
                    label=f"filter width {width}",
                )
        if column == "match" and by_name:
            chance = [row.of("shuffled_match")[0] for row in by_name.values()]
            axis.axhspan(min(chance), max(chance), color="0.88", zorder=0, label="shuffled filters")
            axis.legend(frameon=False, fontsize=8)
        axis.set(
            xscale="log", xlabel="max-pooling after the first layer", title=f"match to {title}", ylim=(-0.03, 1.03)
        )
        axis.set_xticks([1, 2, 4, 10, 25, 50, 100], [1, 2, 4, 10, 25, 50, 100])
        axis.minorticks_off()
    axes[0].set_ylabel("fraction of first-layer filters")
    return figure


def _accuracy_plot(rows: Sequence[TableRow]) -> Figure:
    """Accuracy against the localist index, a panel a first activation, a point an architecture."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    activations = list(dict.fromkeys(row.first_activation for row in rows)) or ["relu"]
    figure = Figure(figsize=(1 + 5.5 * len(activations), 5.5), layout="constrained")
    axes = figure.subplots(1, len(activations), sharex=True, sharey=True, squeeze=False)[0]
    points: list[list[tuple[float, float, str]]] = []
    shown = []
    for axis, activation in zip(axes, activations, strict=True):
        points.append([])
        for row in rows:
            if row.first_activation != activation:
                continue
            (x, x_sd), (y, y_sd) = (np.nan_to_num(row.of(name)) for name in ("localist_index", "auroc"))
            colour = COLOURS.get(ARCHITECTURES[row.architecture].convs[0].width, "0.4")
            axis.errorbar(x, y, y_sd, x_sd, marker="o", capsize=0, color=colour, elinewidth=0.7)
            points[-1].append((x, y, row.architecture))
            shown += [one for one in (y - y_sd, y, y + y_sd) if 0 < one < 1]
        axis.set(xlabel="localist index (0: parts, 1: whole motifs)", title=ACTIVATIONS.get(activation, activation))
    # On a scale of the AUROC's logit the good ones are told apart.
    axes[0].set(ylabel="mean test AUROC", xlim=(-0.03, 1.05), yscale="logit")
    axes[0].set_ylim(1 - 1.25 * (1 - min(shown, default=0.5)), 1 - 0.85 * (1 - max(shown, default=0.5)))
    axes[0].yaxis.set_major_locator(FixedLocator(AUROC_TICKS))
    axes[0].yaxis.set_minor_locator(NullLocator())
    axes[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    figure.draw_without_rendering()  # places are known from here on
    for axis, named in zip(axes, points, strict=True):
        _label(axis, named)
    return figure


def _label(axis: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Write a name beside each point.

    Point by point, ten places around it are tried in order: the first one whose box covers no point and no name so far
    is taken, or else the first of all.
    """
    figure = axis.get_figure(root=True)
    assert figure is not None
    places = [axis.transData.transform((x, y)) * 72 / figure.dpi for x, y, _ in points]
    taken = [(x - 3, y - 3, x + 3, y + 3) for x, y in places]  # left, bottom, right, top
    for (x, y), (*point, text) in zip(places, points, strict=True):
        width = 0.58 * LABEL_SIZE * len(text)  # of the average letter
        left = -5 - width
        offsets = [
            (5.0, 2.0),
            (5, -9),
            (left, 2),
            (left, -9),
            (-width / 2, 9),
            (-width / 2, -16),
            (5, 11),
            (5, -18),
            (left, 11),
            (left, -18),
        ]
        boxes = [(x + dx, y + dy, x + dx + width, y + dy + LABEL_SIZE) for dx, dy in offsets]
        free = [
            i
            for i, box in enumerate(boxes)
            if not any(
                box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3] for other in taken
            )
        ]
        chosen = free[0] if free else 0
        taken.append(boxes[chosen])
        axis.annotate(
            text, (point[0], point[1]), xytext=offsets[chosen], textcoords="offset points", fontsize=LABEL_SIZE
        )


def _write_grids(first: Mapping[str, RunRecord], folder: Path) -> Iterator[Path]:
    """Write the filters of two networks, and, of synthetic data, each planted motif beside what networks hold of it."""
    for name in SIDE_BY_SIDE:
        if name in first:
            path = folder / f"filters_{name}.svg"
            write_text(path, _filter_grid(first[name].layers[0]))
            yield path
    if not first or any(record.task != "synthetic" for record in first.values()):
        return
    matrices = jaspar.load(RELEASE, versions="all").index
    planted = {label: matrices[matrix] for label, matrix in MOTIFS.items()}
    best = {
        label: {name: _best_filter(record.layers[0], label, motif) for name, record in first.items()}
        for label, motif in planted.items()
    }
    path = folder / "planted_motifs_and_filters.svg"
    networks = [name for name in ARCHITECTURES if any(filters.get(name) for filters in best.values())]
    write_text(
        path,
        _grid(
            [
                [(f"{label} planted", planted[label]), *((name, filters[name]) for name in networks)]
                for label, filters in best.items()
            ]
        ),
    )
    yield path
    path = folder / "planted_motifs_and_filters.meme"
    found = [
        replace(motif, name=f"{label}_{name}", alt_name=motif.name)
        for label, filters in best.items()
        for name, motif in filters.items()
        if motif is not None
    ]
    write_motifs([*planted.values(), *found], path)
    yield path


def _best_filter(layer: LayerRecord, label: str, planted: Motif) -> Motif | None:
    """Find the filter that holds most of a planted motif, among those that match it, on the motif's strand."""
    candidates = [i for i, found in enumerate(layer.labels) if found == label]
    if not candidates:
        return None
    motif = layer.motifs()[max(candidates, key=lambda i: layer.coverage[i])]
    [hit] = tomtom([motif], [planted], evalue=np.inf, qvalues=False)
    return motif.reverse_complement() if hit["orientation"] == "-" else motif


def _filter_grid(layer: LayerRecord, columns: int = 3) -> str:
    targets = {hit.query: hit.target for hit in reversed(layer.hits)}  # a filter's best hit comes first
    cells: list[tuple[str, Motif | None]] = [
        (f"filter {i}: {(layer.labels[i] or targets[i]) if i in targets else 'no match'}", motif)
        for i, motif in enumerate(layer.motifs())
    ]
    return _grid([cells[i : i + columns] for i in range(0, len(cells), columns)])


def _grid(rows: Sequence[Sequence[tuple[str, Motif | None]]]) -> str:
    """Lay captioned logos out in rows and columns, as an SVG file."""
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
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {total[0]} {total[1]}" width="{total[0] // 2}" '
        f'font-family="sans-serif" role="img">{glyph_outlines()}<style>{AXIS_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )

"""Write the cards of the groups in models/, and draw predictions along a real locus: ``python docs/make_cards.py``.

``models/GROUP/README.md`` is the card that ``kipoi-motifrep package`` writes; ``docs/models/GROUP.md`` is the same with
pictures. The locus is the example stretch of human chromosome 20 that comes with the package; reliability curves are
made from the records in ``results/``.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np

from kipoi_motifrep.core.tables import read_table
from kipoi_motifrep.networks.keras_files import load_keras
from kipoi_motifrep.sequences.alphabet import one_hot
from kipoi_motifrep.sequences.genome import Genome
from kipoi_motifrep.zoo.card import CARD_FILE, write_card
from kipoi_motifrep.zoo.description import read_info
from kipoi_motifrep.zoo.shipped import EXAMPLES

matplotlib.use("svg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).parent
MODELS = DOCS.parent / "models"
# Networks whose probabilities along a genome mean something, and which of each group is drawn.
DRAWN = {"invivo_best": "cnn_100_exp"}
# Reliability curves: titles, files of results/ and names in them.
RELIABILITY = {
    "invivo_best": {
        "cnn_100_exp": ("k562_best/accuracy_all.tsv.reliability.tsv", "models/invivo_best/cnn_100_exp"),
        "cnn_100, the paper's protocol": ("k562_best/paper_all.tsv.reliability.tsv", "models/invivo/cnn_100"),
    }
}
STRETCH_START = 30_000_000  # of the example sequence in chr20, hg19
STEP, SHOWN_BP, N_LABELS = 20, 4000, 4


def predictions_along(weights: Path) -> tuple[np.ndarray, np.ndarray]:
    """Predict the windows of the stretch: starts (n,), and probabilities (n, T)."""
    genome, model = Genome(EXAMPLES / "hg19_chr20_200kb.fa"), load_keras(weights)
    length = model.input_shape[1]
    starts = np.arange(0, genome.lengths[0] - length + 1, STEP)
    parts = [
        model.predict_on_batch(one_hot(genome.fetch(np.zeros(len(part), int), part, length)))
        for part in np.array_split(starts, -(-len(starts) // 1000))
    ]
    return starts + length // 2, np.concatenate(parts)


def draw(weights: Path, labels: list[str], out: Path) -> str:
    """Draw the part of the stretch with the highest sum of its best labels' peaks; say where it is."""
    centres, probabilities = predictions_along(weights)
    n = SHOWN_BP // STEP
    first = max(
        range(0, len(centres) - n, n // 4), key=lambda i: np.sort(probabilities[i : i + n].max(axis=0))[-2:].sum()
    )
    shown = slice(first, first + n)
    best = np.argsort(-probabilities[shown].max(axis=0))[:N_LABELS]
    figure, axes = plt.subplots(N_LABELS, 1, figsize=(8, 4), sharex=True, layout="constrained")
    for axis, label in zip(axes, best, strict=True):
        axis.fill_between((STRETCH_START + centres[shown]) / 1000, probabilities[shown, label], lw=0, color="#3b6ea8")
        axis.set(ylim=(0, 1), yticks=(0, 1))
        axis.set_ylabel(labels[label], rotation=0, ha="right", va="center")
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("chr20 (hg19), kb")
    figure.savefig(out, metadata={"Date": None})
    plt.close(figure)
    start = STRETCH_START + centres[first]
    return f"chr20:{start:,}-{start + SHOWN_BP:,} (hg19)"


def draw_reliability(panels: Mapping[str, tuple[str, str]], out: Path) -> None:
    """Draw how often predictions come true against what they are: each label thin, all together thick."""
    figure, axes = plt.subplots(1, len(panels), figsize=(8, 4), sharey=True, layout="constrained")
    for axis, (title, (file, model)) in zip(axes, panels.items(), strict=True):
        bins: dict[str, list[tuple[float, float, float]]] = {}
        for row in read_table(DOCS / "results" / file):
            if row["model"] == model:
                numbers = (float(row[name]) for name in ("sequences", "predicted", "positive"))
                bins.setdefault(row["label"], []).append((*numbers,))
        axis.plot((0, 1), (0, 1), color="#999999", lw=0.8, ls="--")
        for one in bins.values():
            axis.plot(*np.array(one)[:, 1:].T, color="#3b6ea8", lw=0.6, alpha=0.5)
        together = np.concatenate([np.array(one) for one in bins.values()])
        tenth = np.minimum((together[:, 1] * 10).astype(int), 9)
        mean = [np.average(together[tenth == i, 1:], axis=0, weights=together[tenth == i, 0]) for i in np.unique(tenth)]
        axis.plot(*np.transpose(mean), color="#3b6ea8", lw=2, marker="o", ms=4)
        axis.set(title=title, xlabel="predicted probability", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("fraction that is positive")
    figure.savefig(out, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Write all cards, or those of the groups that are named."""
    plt.rcParams["svg.hashsalt"] = "cards"  # the same picture, the same bytes
    (DOCS / "models").mkdir(exist_ok=True)
    for group in [MODELS / name for name in sys.argv[1:]] or sorted(MODELS.iterdir()):
        write_card(group, group.name, read_info(group / "info.yaml").card, former=group)
        card = (group / CARD_FILE).read_text(encoding="utf-8")
        if group.name in DRAWN:
            header = (group / "results.tsv").read_text(encoding="utf-8").splitlines()[0].split("\t")
            network = DRAWN[group.name]
            where = draw(group / "weights" / f"{network}.keras", header[3:], DOCS / "models" / f"{group.name}.svg")
            card += f"""
## A locus

Predictions of {network} every {STEP} bp of {where}: the {N_LABELS} labels with the highest ones. Whether the chromatin
is open there, the network does not know.

![Predictions of {network} along the locus, a track a factor]({group.name}.svg)
"""
        if group.name in RELIABILITY:
            draw_reliability(RELIABILITY[group.name], DOCS / "models" / f"{group.name}_reliability.svg")
            card += f"""
## Reliability

How often predictions for the test regions come true, by tenths: each factor thin, all together thick.

![Fraction of positive regions against the predicted probability]({group.name}_reliability.svg)
"""
        (DOCS / "models" / f"{group.name}.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()

"""The model card of a group: its ``README.md``, from what the author says and the tables beside it.

After Mitchell et al. (2019), Model cards for model reporting: what the networks are for and what not, the data, how
well they do label by label, their limits, how to run them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import write_text
from kipoi_motifrep.core.tables import read_table

MARK = "<!-- Written by 'kipoi-motifrep package'; the text is in info.yaml, under card. -->"
CARD_FILE = "README.md"
SPECIAL = re.compile(r"[\\`*{}\[\]<>|#@]")


def model_card(
    name: str, networks: Sequence[Mapping[str, str]], results: Sequence[Mapping[str, str]], text: str = ""
) -> str:
    """Write the card of a group.

    Parameters
    ----------
    name : str
        Of the group.
    networks : sequence of mapping of str to str
        Rows of ``models.tsv``.
    results : sequence of mapping of str to str
        Rows of ``results.tsv``; empty if accuracies are not known.
    text : str
        What the author says, in Markdown.

    Returns
    -------
    str
        Markdown.

    Examples
    --------
    >>> row = {"model": "m", "weights": "m.keras", "architecture": "30 filters", "parameters": "12"}
    >>> print(model_card("mine", [row], []).split("## ")[1].strip())
    Networks
    <BLANKLINE>
    | network | architecture | parameters |
    | --- | --- | --- |
    | m | 30 filters | 12 |
    """
    columns = [
        (column, title)
        for column, title in zip(
            ("model", "architecture", "parameters", "auroc", "aupr"),
            ("network", "architecture", "parameters", "AUROC", "AUPR"),
            strict=True,
        )
        if column in networks[0]
    ]
    parts = [MARK, f"# {name}", text.strip(), "## Networks"]
    parts.append(_table([title for _, title in columns], [[row[column] for column, _ in columns] for row in networks]))
    for figure, title in (("auroc", "AUROC"), ("aupr", "AUPR")):
        rows = [row for row in results if row["figure"] == figure]
        if rows:
            labels = [column for column in rows[0] if column not in ("model", "figure", "mean")]
            values = [[row["model"], *(row[label] or "-" for label in labels)] for row in rows]
            parts += [f"## {title} of the test sequences", _table(["network", *labels], values)]
    first = networks[0]["model"]
    parts += [
        "## Run them",
        f"""```text
kipoi predict {name}/{first} --source dir \\
    --dataloader_args='{{"intervals_file": "peaks.bed", "fasta_file": "genome.fa"}}' -o predictions.tsv
kipoi-motifrep interpret {name}/{first} --dataloader_args intervals_file=peaks.bed fasta_file=genome.fa -o results
```""",
        f'In Python: `kipoi.get_model("{name}/{first}", source="dir").predict_on_batch(x)`, with one-hot sequences '
        "(n, length, 4) in the order A, C, G, T.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_card(folder: Path, name: str, text: str, *, former: Path) -> None:
    """Write the card beside the tables of a group.

    Parameters
    ----------
    folder : pathlib.Path
        Holds ``models.tsv`` and, where accuracies are known, ``results.tsv``.
    name : str
        Of the group.
    text : str
        What the author says, in Markdown.
    former : pathlib.Path
        Where the group will be.

    Raises
    ------
    InputError
        If a file of that name is there that somebody has written by hand.
    """
    there = former / CARD_FILE
    if there.is_file() and not there.read_text(encoding="utf-8", errors="replace").startswith(MARK):
        raise InputError("is not of this program's making; move its text into info.yaml, under card", path=there)
    results = folder / "results.tsv"
    card = model_card(name, read_table(folder / "models.tsv"), read_table(results) if results.exists() else [], text)
    write_text(folder / CARD_FILE, card)


def plain_markdown(text: str) -> str:
    r"""Give a text that Markdown shows as it is, on one line.

    Parameters
    ----------
    text : str
        Any.

    Returns
    -------
    str
        With a backslash before what means something.

    Examples
    --------
    >>> print(plain_markdown("max_pool <2>\n|b|"))
    max_pool \<2\> \|b\|
    """
    return SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head, *lines = ([plain_markdown(one) for one in row] for row in (titles, *rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))

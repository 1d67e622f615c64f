"""Write the counts of the last hostile campaign into reliability.md.

First ``python -m pytest -m hostile --dist load --hostile-counts docs/results/reliability.json``, then this.
"""

import json
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE, COUNTS = FOLDER / "reliability.md", FOLDER / "results/reliability.json"
BEGIN, END = "<!-- counts: written by docs/make_reliability.py -->\n", "<!-- end of the counts -->\n"


def table(counts: dict[str, dict[str, int]]) -> str:
    """Give a row for each kind of trial: how many there were, and how they went."""
    rows = [
        f"| {what} | {sum(found.values()):,} | {'; '.join(f'{n:,} {how}' for how, n in found.items())} |"
        for what, found in counts.items()
    ]
    return "\n".join(["| tried | times | how it went |", "|---|---|---|", *rows]) + "\n"


def page() -> str:
    """Give the text of the page with the counts as they are on the disk."""
    text, counts = PAGE.read_text(encoding="utf-8"), json.loads(COUNTS.read_text(encoding="utf-8"))
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    return f"{before}{BEGIN}\n{table(counts)}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

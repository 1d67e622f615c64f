"""Write the table of networks.md from the architectures of the tests: ``python docs/make_networks.py``."""

import re
import sys
from pathlib import Path

PAGE = Path(__file__).parent / "networks.md"
BEGIN, END = "<!-- Written by docs/make_networks.py; do not edit. -->\n", "<!-- End of what is written. -->"
HEAD = "| network | after | form | what is read |\n|---|---|---|---|\n"


def row(name: str, source: str, network) -> str:
    """Give the line of one network, which was opened."""
    (bank,) = network.banks
    notes = f"; {'; '.join(bank.notes)}" if bank.notes else ""
    read = f"{bank.n_filters} filters over {bank.layout}: {bank.geometry}; after {bank.activation}{notes}"
    return f"| {name} | {source} | {network.framework} | {read} |"


def page(text: str) -> str:
    """Give the page with its table made anew."""
    tests = Path(__file__).parent.parent / "tests"
    sys.path[:0] = [str(tests), str(tests / "networks")]
    from networks.test_architectures import ALL, opened

    rows = [row(name, opened_as[-1], opened_as[0]) for name, opened_as in ((one[0], opened(*one)) for one in ALL)]
    return re.sub(f"{BEGIN}.*?{END}", lambda _: BEGIN + HEAD + "\n".join(rows) + "\n" + END, text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

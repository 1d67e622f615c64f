"""The pages of docs/ as a site, what is generated in them, the notebook, and the citation."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
import types

import pytest
import yaml
from support.documents import CHECKOUT

import kipoi_motifrep

DOCS = CHECKOUT / "docs"
NOTEBOOK = DOCS / "notebook.ipynb"
TOMTOM_COLUMNS = (
    "Query_ID",
    "Target_ID",
    "Optimal_offset",
    "p-value",
    "E-value",
    "q-value",
    "Overlap",
    "Query_consensus",
    "Target_consensus",
    "Orientation",
)


def config():
    return yaml.safe_load((CHECKOUT / "mkdocs.yml").read_text())


def pages_in(navigation):
    for entry in navigation:
        for value in entry.values():
            yield from pages_in(value) if isinstance(value, list) else [value]


def test_every_page_is_in_the_navigation_once():
    listed = sorted(pages_in(config()["nav"]))
    there = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))
    assert listed == [path for path in there if not path.startswith("results/")]


def script(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_commands_are_those_of_the_program(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert (DOCS / "commands.md").read_text() == script("make_commands").page(), "run python docs/make_commands.py"


def test_the_tables_of_the_reproduction_are_those_of_the_results():
    text, tables = (DOCS / "REPRODUCTION.md").read_text(), script("make_tables")
    assert text == tables.page(text), "run python docs/make_tables.py"
    assert {name for _, name, _ in tables.BLOCK.findall(text)} == tables.TABLES.keys()


def test_the_counts_of_the_campaign_are_those_of_its_last_run():
    assert (DOCS / "reliability.md").read_text() == script("make_reliability").page(), "run docs/make_reliability.py"


def test_the_python_page_has_every_public_name():
    listed = re.findall(r"^::: (\S+)$", (DOCS / "api.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(
        f"kipoi_motifrep.{module}.{name}" for name, module in kipoi_motifrep._PUBLIC.items()
    )


def test_the_file_formats_are_those_that_are_written():
    from kipoi_motifrep.filters import writing
    from kipoi_motifrep.motifs import matches as matching
    from kipoi_motifrep.report.schema import FILE_NAME
    from kipoi_motifrep.representation import importance, plant
    from kipoi_motifrep.representation.metrics import METRICS

    text = (DOCS / "formats.md").read_text()
    for name in (
        *matching.COLUMNS,
        *writing.COLUMNS,
        *importance.COLUMNS,
        *plant.COLUMNS,
        *plant.PAIR_COLUMNS,
        *plant.FILES,
        *METRICS,
        FILE_NAME,
        *TOMTOM_COLUMNS,
        *writing.SiteLines.HEADER.split(),
    ):
        assert re.search(rf"(?<![\w/]){re.escape(name)}(?![\w/])", text), f"formats.md does not speak of {name}"


def test_the_site_builds(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    api = (tmp_path / "site/api/index.html").read_text()
    assert "Find out what a network" in api and ":func:" not in api
    for page in (tmp_path / "site").rglob("*.html"):
        loaded = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?:[^\"]+)\"", page.read_text())
        assert not loaded, f"{page.name} loads {loaded} from elsewhere"


def test_the_citation_file():
    cited = yaml.safe_load((CHECKOUT / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0" and cited["version"] == kipoi_motifrep.__version__
    assert {"title", "message", "authors", "license"} <= set(cited)
    assert cited["preferred-citation"]["doi"] == "10.1371/journal.pcbi.1007560"
    for work in (cited["preferred-citation"], *cited["references"]):
        assert {"type", "title", "authors", "year", "doi"} <= set(work)


def test_the_changelog_speaks_of_this_version():
    assert f"## {kipoi_motifrep.__version__}\n" in (DOCS / "changelog.md").read_text()


# The notebook


def code_cells():
    return [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_is_stored_without_outputs():
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code_cells())


class Shown(list):
    """Stands for IPython's display: keeps what is shown."""

    def module(self):
        display = types.ModuleType("IPython.display")
        display.HTML, display.SVG, display.display = str, str, self.append
        return {"IPython": types.ModuleType("IPython"), "IPython.display": display}


def test_the_notebooks_code_runs(tmp_path, monkeypatch, capsys):
    shown, names = Shown(), {}
    for name, module in shown.module().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.chdir(tmp_path)
    for number, cell in enumerate(code_cells(), 1):
        exec(compile(ast.parse("".join(cell["source"])), f"cell {number}", "exec"), names)
    out = capsys.readouterr().out
    assert "cnn_2 is distributed: " in out and "cnn_25 is localist: " in out
    assert sum("<svg" in one for one in shown) >= 15
    assert (tmp_path / "notebook_results/compare.html").is_file()
    assert (tmp_path / "notebook_results/cnn_25/report.html").is_file()


@pytest.mark.slow
def test_the_notebook_runs_in_jupyter(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/svg+xml" in output.get("data", {}) for output in outputs) >= 15

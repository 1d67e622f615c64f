"""The README and the pages of docs/: what they show runs, and their links lead somewhere."""

import re
import shutil
from urllib.parse import unquote

import pytest
from support.documents import (
    CHECKOUT,
    NOT_RUN,
    SHORTENED,
    SLOW,
    add_examples_files,
    blocks,
    commands,
    headings,
    help_examples,
    run_command,
    run_page,
    why_not,
    workspace,
)

PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
RUN_ELSEWHERE = ("pipelines",)  # by test_pipelines.py, which looks at the results, too
README = CHECKOUT / "README.md"
LONG = [CHECKOUT / f"docs/howto/{name}.md" for name in ("train", "contribute")]  # these are in the README, too


def name_of(page):
    return str(page.relative_to(CHECKOUT))


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    """A folder with the reader's files, and two networks interpreted."""
    from kipoi_motifrep import interpret

    folder = workspace(tmp_path_factory.mktemp("docs") / "workspace")
    for name in ("cnn_2", "cnn_25"):
        interpret(
            str(CHECKOUT / f"models/synthetic/{name}"),
            source="dir",
            dataset=folder / "small.h5",
            output=folder / f"results/{name}",
            null=False,
            importance=False,
        )
    return folder


RUNNING = [
    page
    for page in PAGES
    if page.parent.name not in RUN_ELSEWHERE and any(one.language in ("bash", "python") for one in blocks(page))
]


@pytest.mark.parametrize("page", [page for page in RUNNING if page not in LONG], ids=name_of)
def test_what_a_page_shows_runs(page, stand_ins, tmp_path, monkeypatch):
    run_in_a_copy(page, stand_ins, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("page", [README, *LONG], ids=name_of)
def test_what_a_page_shows_runs_and_takes_long(page, stand_ins, tmp_path, monkeypatch):
    folder = run_in_a_copy(page, stand_ins, tmp_path, monkeypatch, slow=True)
    made = "export/PULL_REQUEST.md" if page.name == "contribute.md" else "sweep/networks.tsv"
    assert (folder / made).exists()


def run_in_a_copy(page, stand_ins, tmp_path, monkeypatch, slow=False):
    folder = tmp_path / "workspace"
    shutil.copytree(stand_ins, folder, symlinks=True)
    run_page(page, folder, monkeypatch, slow)
    if page == README:
        for made in (
            "results/mine/report.html",
            "filters/filters.meme",
            "matches/tomtom.tsv",
            "compare.html",
            "predictions.tsv",
            "runs/cnn_25/trial_0/network.keras",
            "results/chip/report.html",
            "my_models/model-template.yaml",
            "export",
            "synthetic.h5",
        ):
            assert (folder / made).exists(), f"nothing made {made}"
    return folder


@pytest.mark.slow
def test_the_examples_of_the_commands_help_run(stand_ins, tmp_path, monkeypatch):
    folder = tmp_path / "workspace"
    shutil.copytree(stand_ins, folder, symlinks=True)
    add_examples_files(folder)
    monkeypatch.chdir(folder)
    for command in help_examples():
        if why_not(command) is None:
            run_command(command, folder, "an example of a command's help")


@pytest.mark.parametrize(
    "wrong",
    [
        "```bash\nkipoi-motifrep validate --intervals none.bed --fasta hg38.fa\n```",
        "```bash\nkipoi predict models/none --source dir -o x.tsv\n```",
        "```bash\nls none\n```",
        "```python\n1 / 0\n```",
        "```python\nimport numpy as np\nx = np.ones((2, 3))  # (n, 4)\n```",
    ],
)
def test_a_page_that_shows_what_fails_is_noticed(wrong, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(wrong)
    monkeypatch.setattr("support.documents.CHECKOUT", tmp_path)
    with pytest.raises((AssertionError, ZeroDivisionError, ValueError, OSError)):
        run_page(page, tmp_path, monkeypatch)


def test_the_list_of_what_is_not_run_is_short_and_in_use():
    shown = [
        command for page in PAGES for block in blocks(page) if block.language == "bash" for command in commands(block)
    ]
    assert sum(why_not(command) is None for command in shown) > len(shown) / 2
    for pattern in (*SHORTENED, *NOT_RUN, SLOW):
        assert any(re.search(pattern, command) for command in shown), f"no page shows {pattern}"


def test_every_block_says_its_language():
    for page in PAGES:
        assert all(block.language for block in blocks(page)), name_of(page)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"`[^`]*`", "", text)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    for target in targets:
        if re.match(r"[a-z]+:", target):
            assert target.startswith(("https://", "http://", "mailto:")), target
            continue
        path, _, anchor = unquote(target).partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{name_of(page)}: {target}"
        assert found.is_relative_to(CHECKOUT), f"{name_of(page)}: {target} leaves the project"
        if anchor and found.suffix == ".md":
            assert anchor in headings(found), f"{name_of(page)}: {target}"

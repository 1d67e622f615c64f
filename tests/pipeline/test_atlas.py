"""Many networks on one page: failures are rows, what is done is not done again, and factors can be found."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.chromium import Browser, needs_chromium
from support.reports import EVIL, example

from kipoi_motifrep.cli import program as cli
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.tables import read_table
from kipoi_motifrep.motifs import read_motifs
from kipoi_motifrep.pipeline import atlas as atlases
from kipoi_motifrep.pipeline.atlas import AtlasEntry, atlas, read_models, write_atlas
from kipoi_motifrep.report import write_interpretation

keras = pytest.importorskip("keras")


def called(report):
    """Every second matching filter is called."""
    rows = [
        replace(row, p_chance=0.1, fdr=0.2, called=bool(row.matches) and i % 2 == 0)
        for i, row in enumerate(report.filters)
    ]
    return replace(report, filters=tuple(rows))


@pytest.fixture(scope="module")
def entries():
    """Two networks, and one that failed for a reason that is no HTML."""
    reports = {f"group/net{seed}": called(example(12, seed=seed)) for seed in (1, 2)}
    return [AtlasEntry(name, {}, "", report) for name, report in reports.items()] + [AtlasEntry("x", {}, EVIL)]


def test_tables_and_motif_files_hold_all_called_filters(entries, tmp_path):
    write_atlas(entries, tmp_path)
    rows = {row["model"]: row for row in read_table(tmp_path / "atlas.tsv")}
    held = [(one.name, row) for one in entries for row in one.rows]
    assert held and all(row.called for _, row in held)
    for one in entries[:2]:
        assert int(rows[one.name]["called"]) == len(one.rows)
        assert int(rows[one.name]["filters"]) == 12 and rows[one.name]["error"] == ""
    assert rows["x"]["error"] == EVIL and rows["x"]["filters"] == ""
    motifs = read_motifs(tmp_path / "motifs.meme")
    assert [motif.name for motif in motifs] == [f"{name}/{row.name}" for name, row in held]
    clusters = read_table(tmp_path / "clusters.tsv")
    assert sorted((row["model"], row["filter"]) for row in clusters) == sorted((name, row.name) for name, row in held)
    first = {row["cluster"]: f"{row['model']}/{row['filter']}" for row in reversed(clusters)}
    assert [motif.name for motif in read_motifs(tmp_path / "clusters.meme")] == list(first.values())[::-1]


def test_filters_that_are_one_motif_are_one_cluster_across_networks(entries, tmp_path):
    twice = [replace(entries[0], name="a"), replace(entries[0], name="b")]
    write_atlas(twice, tmp_path)
    rows = read_table(tmp_path / "clusters.tsv")
    by_filter = {}
    for row in rows:
        by_filter.setdefault(row["filter"], set()).add(row["cluster"])
    assert len(rows) == 2 * len(entries[0].rows)
    assert all(len(clusters) == 1 for clusters in by_filter.values())


@needs_chromium
def test_the_page_finds_a_factor(entries, tmp_path):
    path = write_atlas(entries, tmp_path)
    factor = sorted({row.match.name for row in entries[0].rows})[0]
    with Browser() as browser:
        browser.open(path)
        assert browser.requests == [path.resolve().as_uri()] and not browser.errors
        rows = "[...document.querySelectorAll('#factors tbody tr')].filter(r => !r.hidden)"
        everything = browser.run(f"{rows}.map(r => r.cells[0].textContent)")
        box = "document.getElementById('find')"
        browser.run(f"{box}.value = '{factor}'; {box}.dispatchEvent(new Event('input'))")
        assert browser.run(f"{rows}.map(r => r.cells[0].textContent)") == [factor] and len(everything) > 1
        cell = browser.run(f"{rows}[0].cells[2].textContent")
        for one in entries[:2]:
            n = sum(match.name == factor for row in one.rows for match in row.matches)
            assert (f"{one.name} ({n}," in cell) == bool(n)
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        browser.open(path, width=400)  # tables become cards: nothing hides beyond the edge but the map of families
        wide = "[...document.querySelectorAll('section')].filter(s => s.querySelector('.stacked')"
        wide += " && s.querySelector('.scroll').scrollWidth > s.querySelector('.scroll').clientWidth)"
        assert browser.run(f"{wide}.map(s => s.id)") == [] and not browser.errors
        assert "alert" in browser.run("document.getElementById('failed').textContent")


def test_a_list_and_a_table_of_models(tmp_path):
    (tmp_path / "list.txt").write_text("# ours\na.keras\n\nDeepSEA/predict\n")
    assert read_models(tmp_path / "list.txt") == [{"model": "a.keras"}, {"model": "DeepSEA/predict"}]
    table = tmp_path / "models.tsv"
    table.write_text("model\tfasta\tauto_resize_len\tlabels\nw.h5\tx.fa\t200\tA,B\n")
    [one] = read_models(table)
    assert one == {"model": "w.h5", "fasta": "x.fa", "auto_resize_len": 200, "labels": ["A", "B"]}
    for text, words in (
        ("# nothing\n", "names no model"),
        ("model\tcolour\na\tred\n", "row 1: colour is none of model, arch"),
        ("model\tauto_resize_len\na\tlong\n", "row 2: auto_resize_len is 'long'"),
        ("a\tb\n", "row 1: has 2 columns, and the header 1"),
        ("model\tfasta\tdataset\na\tx.fa\td.h5\n", "row 2: gives sequences twice, as fasta and dataset"),
        ("model\tdataloader_args\na\tx.bed\n", "row 2: dataloader_args are no JSON text"),
    ):
        table.write_text(text)
        with pytest.raises(InputError, match=words):
            read_models(table)


@pytest.fixture
def interpreted(monkeypatch):
    """Instead of an interpretation, a made-up one; which models were asked for."""
    asked = []

    def interpret(model, output, **options):
        asked.append((Path(str(model)).name, options))
        if "broken" in str(model):
            raise InputError("is no network", path=model)
        if "odd" in str(model):
            raise ZeroDivisionError("x\ny")
        output.mkdir(parents=True, exist_ok=True)
        write_interpretation(output, called(example(4, seed=len(str(model)))))
        (output / "report.html").touch()

    monkeypatch.setattr(atlases, "interpret", interpret)
    return asked


def test_a_failure_is_a_row_and_what_is_done_is_not_done_again(interpreted, tmp_path, capsys):
    for name in ("a.h5", "b.h5", "broken.h5", "odd.h5"):
        (tmp_path / name).write_bytes(name.encode())
    fasta = tmp_path / "x.fa"
    fasta.write_text(">a\nACGT\n")
    models, out = [tmp_path / name for name in ("a.h5", "broken.h5", "b.h5", "odd.h5")], tmp_path / "out"
    given = {"fasta": fasta, "auto_resize_len": 4}
    found = atlas(models, out, **given)
    assert [one.error for one in found] == ["", f"{tmp_path}/broken.h5: is no network", "", "ZeroDivisionError: x"]
    rows = read_table(out / "atlas.tsv")
    assert [row["model"] for row in rows] == ["a.h5", "broken.h5", "b.h5", "odd.h5"]
    page = (out / "index.html").read_bytes()
    interpreted.clear()
    atlas(models, out, **given)
    assert [name for name, _ in interpreted] == ["broken.h5", "odd.h5"]
    assert (out / "index.html").read_bytes() == page
    interpreted.clear()
    (tmp_path / "b.h5").write_bytes(b"other weights")
    atlas(models[::2], out, **given)
    assert [name for name, _ in interpreted] == ["b.h5"]
    interpreted.clear()
    atlas(models[:1], out, **given, seed=1)
    assert [name for name, _ in interpreted] == ["a.h5"]
    assert json.loads((out / "parameters.json").read_text())["steps"]["a.h5"]["key"]["options"]["seed"] == 1
    interpreted.clear()
    (out / "models" / "a.h5" / "report.html").unlink()
    atlas(models[:1], out, **given, seed=1)
    assert [name for name, _ in interpreted] == ["a.h5"]


def test_sequences_of_a_models_own_replace_those_of_all(interpreted, tmp_path):
    for name in ("a.h5", "b.h5", "x.fa", "data.h5"):
        (tmp_path / name).write_text(name)
    models = [{"model": tmp_path / "a.h5"}, {"model": tmp_path / "b.h5", "dataset": tmp_path / "data.h5"}]
    atlas(models, tmp_path / "out", fasta=tmp_path / "x.fa", auto_resize_len=9)
    asked = dict(interpreted)
    assert asked["a.h5"]["fasta"] == str(tmp_path / "x.fa") and asked["a.h5"]["auto_resize_len"] == 9
    assert asked["b.h5"]["dataset"] == str(tmp_path / "data.h5") and "fasta" not in asked["b.h5"]
    # What says how they are read is that of all, where it is about such sequences.
    models = [
        {"model": tmp_path / "a.h5", "intervals": tmp_path / "x.fa", "name": "first"},
        {"model": tmp_path / "a.h5", "intervals": tmp_path / "x.fa", "genome": tmp_path / "a.h5", "name": "second"},
        {"model": tmp_path / "b.h5", "dataloader_args": {"fasta_file": str(tmp_path / "x.fa"), "n": 3}},
    ]
    interpreted.clear()
    found = atlas(models, tmp_path / "out", genome=tmp_path / "x.fa", centre="middle", auto_resize_len=9)
    (_, first), (_, second), (_, third) = interpreted
    assert [one.name for one in found] == ["first", "second", "b.h5"]
    assert first["genome"] == str(tmp_path / "x.fa") and second["genome"] == str(tmp_path / "a.h5")
    assert third["dataloader_args"] == {"fasta_file": str(tmp_path / "x.fa"), "n": 3} and "centre" not in third


def test_what_cannot_be(interpreted, tmp_path):
    fasta, model = tmp_path / "x.fa", tmp_path / "broken.h5"
    fasta.write_text(">a\nA\n")
    model.touch()
    for models, given, words in (
        ([], {"fasta": fasta}, "name a model at least"),
        ([model, model], {"fasta": fasta}, "is named twice"),
        ([model], {}, "no sequences for broken.h5; give fasta=FILE, intervals=FILE and genome=FILE, or dataset=FILE"),
        (
            [{"model": model, "fasta": fasta, "centre": "middle"}],
            {},
            "broken.h5: genome, centre and use_strand go with",
        ),
        ([keras.Sequential()], {"fasta": fasta}, "a model in memory cannot"),
        ([model], {"fasta": fasta, "auto_resize_len": 1}, "no model could be interpreted; the first: .*broken.h5"),
    ):
        with pytest.raises(InputError, match=words):
            atlas(models, tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_wrong_options_are_told_as_options(tmp_path, capsys):
    (tmp_path / "x.fa").touch()
    for options, words in (
        (
            [],
            "there are no sequences for a.h5; give --fasta FILE, --intervals FILE and --genome FILE, or --dataset FILE",
        ),
        (
            ["--intervals", str(tmp_path / "x.fa")],
            "a.h5: intervals need the genome that they are of; give --genome FILE",
        ),
        (
            ["--dataset", str(tmp_path / "x.fa"), "--centre", "middle"],
            "a.h5: genome, centre and --use-strand go with intervals",
        ),
        (["--fasta", str(tmp_path / "x.fa"), "--jobs", "0"], "--jobs is 0; it must be at least 1"),
        (["--fasta", "none.fa"], "none.fa: there is no such file"),
    ):
        assert cli.main(["atlas", "a.h5", *options, "-o", str(tmp_path / "out")]) == 2
        assert capsys.readouterr().err.splitlines()[-1] == f"kipoi-motifrep: error: {words}"
    assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit):
        cli.main(["atlas", "a.h5", "--fasta", "x.fa", "--dataset", "d.h5", "-o", str(tmp_path / "out")])
    assert "argument --dataset: not allowed with argument --fasta" in capsys.readouterr().err


def test_the_command(tmp_path, capsys):
    """Two networks of different lengths, on sequences that are brought to them."""
    for length in (20, 30):
        keras.utils.set_random_seed(length)
        stack = keras.layers.Conv1D(3, 7, activation="relu"), keras.layers.GlobalMaxPooling1D(), keras.layers.Dense(1)
        keras.Sequential([keras.Input((length, 4)), *stack]).save(tmp_path / f"net{length}.keras")
    letters = np.random.default_rng(0).choice(list("ACGT"), (40, 40))
    (tmp_path / "x.fa").write_text("".join(f">{i}\n{''.join(row)}\n" for i, row in enumerate(letters)))
    (tmp_path / "none.keras").write_text("no network")
    models = [str(tmp_path / name) for name in ("net20.keras", "net30.keras", "none.keras")]
    out = tmp_path / "out"
    command = ["atlas", *models, "--fasta", str(tmp_path / "x.fa"), "--database", "JASPAR2016", "-o", str(out)]
    assert cli.main(command) == 2  # one has failed
    said = capsys.readouterr()
    assert said.out.strip() == f"{out}/index.html" and "none.keras: failed: " in said.err
    rows = read_table(out / "atlas.tsv")
    assert [row["filters"] for row in rows] == ["3", "3", ""]
    assert (out / "models" / "net20.keras" / "report.html").exists()
    assert cli.main(command) == 2
    assert "2 of 3 models are interpreted" in capsys.readouterr().err

"""The interpret command and function: from models and sequences to a folder, again, and what is refused."""

from __future__ import annotations

import csv
import json
import shutil

import h5py
import numpy as np
import pytest

from kipoi_motifrep import InputError, interpret, match, read_motifs
from kipoi_motifrep.cli.program import main
from kipoi_motifrep.datasets.hdf5 import create_dataset
from kipoi_motifrep.datasets.simulate import LABEL_NAMES, MOTIFS
from kipoi_motifrep.networks.keras_files import save_network
from kipoi_motifrep.report import read_interpretation
from kipoi_motifrep.representation import coverage, read_known_motifs

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")
layers = keras.layers

FILES = {
    "chance_targets.tsv",
    "filters.meme",
    "filters_trimmed.meme",
    "filters.tsv",
    "filters.h5",
    "importance.tsv",
    "interpretation.json",
    "matches.tsv",
    "parameters.json",
    "planted.h5",
    "planted.tsv",
    "planted_pairs.tsv",
    "report.html",
    "representation.json",
    "representation.tsv",
    "tomtom.tsv",
    "untrained_trimmed.meme",
}
EXAMPLES = "kipoi_motifrep/sequences/examples/synthetic.h5"


def figures(folder):
    with open(folder / "representation.tsv", newline="") as file:
        return {row["figure"]: row for row in csv.DictReader(file, delimiter="\t")}


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != "parameters.json"}


# The paper's point, on shipped networks and data


def test_all_files_are_there_and_no_other(shipped):
    for name in ("cnn_25", "cnn_2"):
        assert {path.name for path in (shipped / name).iterdir()} == FILES


def test_cnn_25_is_localist_and_cnn_2_is_distributed(shipped):
    localist, distributed = (figures(shipped / name) for name in ("cnn_25", "cnn_2"))
    assert float(localist["index"]["value"]) == pytest.approx(0.87, abs=0.04)
    assert float(distributed["index"]["value"]) < 0.35
    assert float(localist["true"]["value"]) > 0.8 and float(distributed["true"]["value"]) < 0.1
    assert int(localist["labels"]["value"]) >= 11 and localist["labels"]["of"] == "12"
    assert float(localist["own_output"]["value"]) > 0.8 and float(distributed["own_output"]["value"]) == 0
    assert int(localist["groups"]["value"]) < 20 and int(distributed["groups"]["value"]) > 25
    for row in (localist, distributed):
        assert float(row["index"]["shuffled_mean"]) < 0.25 and float(row["index"]["untrained"]) < 0.25
        assert float(row["whole"]["value"]) + float(row["partial"]["value"]) == pytest.approx(
            float(row["matched"]["value"]), abs=1e-5
        )


def test_sentence_says_the_figures(shipped):
    report = read_interpretation(shipped / "cnn_25")
    row = figures(shipped / "cnn_25")
    assert report.sentence.startswith("cnn_25 is localist: ")
    for number, text in (
        (30 * float(row["matched"]["value"]), "of 30 first-layer filters match a JASPAR motif"),
        (30 * float(row["matched"]["shuffled_mean"]), "of 30 expected by chance"),
        (30 * float(row["true"]["value"]), "match a planted factor, covering"),
        (100 * float(row["index"]["value"]), "% of its motif."),
    ):
        assert f"{number:.0f} {text}" in report.sentence
    assert report.sentence in (shipped / "cnn_25/report.html").read_text()
    assert "is distributed" in read_interpretation(shipped / "cnn_2").sentence


def test_figures_against_the_written_tables(shipped):
    """True matches, coverage and labels once more, in plain loops over what match finds."""
    folder = shipped / "cnn_25"
    found = match(folder / "filters_trimmed.meme", "JASPAR2016")
    label_of = {one: label for label, ids in read_known_motifs("synthetic").labels.items() for one in ids}
    covered, labels = [], []
    for i, query in enumerate(found.queries):
        hits = [hit for hit in found.hits if hit["query"] == i]
        true = [hit for hit in hits if found.database.motifs[hit["target"]].name in label_of]
        chosen = (true or hits or [None])[0]
        covered.append(
            0
            if chosen is None
            else coverage(
                query.pwm, found.database.motifs[chosen["target"]].pwm, chosen["offset"], chosen["orientation"]
            )
        )
        labels.append(label_of[found.database.motifs[true[0]["target"]].name] if true else None)
    row = figures(folder)
    assert float(row["index"]["value"]) == pytest.approx(np.mean(covered), abs=1e-5)
    assert int(row["labels"]["value"]) == len(set(labels) - {None})
    report = read_interpretation(folder)
    assert [one.true for one in report.filters] == labels
    assert [one.coverage or 0 for one in report.filters] == pytest.approx(covered, abs=1e-4)
    assert [one.n_more + sum(1 + len(match.members) for match in one.matches) for one in report.filters] == [
        int((found.hits["query"] == i).sum()) for i in range(30)
    ]


def test_report_has_everything(shipped):
    report = read_interpretation(shipped / "cnn_25")
    assert report.outputs == LABEL_NAMES  # from the model's schema
    assert [null.name for null in report.nulls] == ["shuffled columns", "untrained network"]
    assert [heat_map.name for heat_map in report.heat_maps] == [
        "Importance",
        "Absolute change",
        "Correlation",
        "Correlation with labels",
    ]
    assert [row.label for row in report.truth] == list(MOTIFS)
    assert report.network.name == "cnn_25" and "1,000 sequences of 200 bp" in report.network.sequences
    assert report.database.release == "JASPAR2016" and report.database.n_motifs == 519
    assert {"keras", "numpy"} <= set(report.versions)
    assert sum(len(group.members) for group in report.groups) == 30
    for row in (row for row in report.filters if row.n_sites):
        assert sum(row.sites.heights) == report.network.n_sequences and sum(row.sites.places) == row.n_sites
        assert row.sites.examples[0][3] == row.maximum > row.sites.level
        assert all(len(letters) == len(row.pwm) for _, _, letters, _ in row.sites.examples)
    spoken = [row for row in report.filters if row.true and row.true in row.speaks_for]
    assert len(spoken) > 20
    correlation = np.array(report.heat_maps[2].values, float)
    best = [LABEL_NAMES[i] for i in correlation.argmax(axis=1)]
    assert np.mean([one == row.true for one, row in zip(best, report.filters, strict=True) if row.true]) > 0.8


def test_parameters_name_inputs_and_defaults(shipped):
    record = json.loads((shipped / "cnn_25/parameters.json").read_text())
    assert record["command"] == "interpret"
    assert record["parameters"]["evalue"] == 0.1 and record["parameters"]["threshold"] == 0.5
    assert list(record["parameters"]["sha256"]) == [EXAMPLES]
    assert set(record["steps"]) == {"filters", "untrained", "importance", "match", "planted", "shuffled", "report"}


# Steps that are up to date


@pytest.fixture
def folder(shipped, tmp_path, monkeypatch, checkout):
    monkeypatch.chdir(checkout)
    return shutil.copytree(shipped / "cnn_25", tmp_path / "out")


def again(folder, **changes):
    given = {"dataset": EXAMPLES, "truth": "synthetic", "database": "JASPAR2016", "output": folder, **changes}
    return interpret("models/synthetic/cnn_25", **given)


def test_nothing_is_done_twice(folder, shipped, capsys):
    before = times(folder)
    found = again(folder, batch_size=77)
    assert times(folder) == before
    assert found.report == read_interpretation(shipped / "cnn_25")
    assert capsys.readouterr().err.count("up to date") == 5
    np.testing.assert_array_equal(found.banks[0].pwms, h5py.File(folder / "filters.h5")["pwms"][:])


def test_only_what_depends_on_a_change_is_done_again(folder):
    before = times(folder)
    found = again(folder, evalue=0.001)
    changed = {name for name, when in times(folder).items() if when != before[name]}
    assert changed == {
        "tomtom.tsv",
        "matches.tsv",
        "chance_targets.tsv",
        "planted.tsv",
        "planted_pairs.tsv",
        "planted.h5",
        "representation.tsv",
        "representation.json",
        "interpretation.json",
        "report.html",
    }
    assert max(found.matches.hits["e_value"]) <= 0.001


@pytest.mark.parametrize("name", ["filters.h5", "tomtom.tsv", "importance.tsv", "report.html"])
def test_missing_and_damaged_files_are_made_again(folder, shipped, name):
    if name == "report.html":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes((folder / name).read_bytes()[:-40])
    again(folder)
    if name.endswith("tsv"):
        one, two = (
            [line for line in (path / name).read_text().splitlines() if not line.startswith("#")]
            for path in (folder, shipped / "cnn_25")
        )
        assert one == two
    assert {path.name for path in folder.iterdir()} == FILES


def test_force_and_other_sequences_do_all_again(folder, tmp_path):
    before = times(folder)
    again(folder, force=True, null=False, importance=False)
    after = times(folder)
    assert set(after) < set(before) and not any(after[name] == before[name] for name in after)
    assert "importance.tsv" not in after  # it would have been about an older run
    with h5py.File(EXAMPLES) as file:
        sequences, labels = file["test/sequences"][:500], file["test/labels"][:500]
    other = tmp_path / "synthetic.h5"
    with create_dataset(other, 200, LABEL_NAMES, {}) as writer:
        writer.append("test", sequences, labels)
    again(folder, dataset=other, null=False, importance=False)
    assert times(folder)["filters.h5"] != after["filters.h5"]
    assert read_interpretation(folder).network.n_sequences == 500


def test_a_full_disk_leaves_no_half_written_report(folder, monkeypatch):
    import kipoi_motifrep.pipeline.interpretation as interpreting

    page = (folder / "report.html").read_text()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(interpreting, "write_interpretation", full)
    with pytest.raises(OSError):
        again(folder, evalue=0.01)
    assert (folder / "report.html").read_text() == page
    assert {path.name for path in folder.iterdir()} == FILES


# Other models and data

LENGTH = 40


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A dataset of two labels, and a FASTA file of the same sequences."""
    folder = tmp_path_factory.mktemp("small")
    random = np.random.default_rng(0)
    sequences = random.integers(0, 4, (120, LENGTH)).astype(np.uint8)
    labels = random.integers(-1, 2, (120, 2)).astype(np.int8)
    with create_dataset(folder / "small.h5", LENGTH, ["odd", "even"], {}) as writer:
        writer.append("test", sequences, labels)
    (folder / "small.fa").write_text(
        "".join(f">s{i}\n{''.join('ACGT'[code] for code in row)}\n" for i, row in enumerate(sequences))
    )
    return folder


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = torch.nn.Sequential(
            torch.nn.Conv1d(4, 6, 7, padding=3),
            torch.nn.ReLU(inplace=True),
            torch.nn.AdaptiveMaxPool1d(1),
            torch.nn.Flatten(),
            torch.nn.Linear(6, 2),
        )

    def forward(self, x):
        return self.body(x)


def test_pytorch_network(small, tmp_path):
    found = interpret(Small(), dataset=small / "small.h5", database="JASPAR2016", labels=["a", "b"], output=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert found.report.outputs == ("a", "b")
    assert found.representation.untrained is not None and found.representation.shuffled.draws == 104
    assert found.representation.importance.labels == ("odd", "even")
    assert found.report.network.name == "Small"
    assert "is distributed" in found.report.sentence


def test_a_filter_that_raises_an_output_is_positive(small):
    model = Small()
    with torch.no_grad():
        model.body[-1].weight[:] = torch.tensor([1.0, -1.0]).reshape(2, 1)
    report = interpret(model, dataset=small / "small.h5", database="JASPAR2016", null=False).report
    assert all(row.importance[0] > 0 > row.importance[1] for row in report.filters if row.status == "active")
    assert [row.importance for row in report.filters] == list(report.heat_maps[0].values)


def test_a_network_of_train_is_called_by_its_architecture_else_by_its_folder(small, tmp_path):
    model = keras.Sequential(
        [keras.Input((LENGTH, 4)), layers.Conv1D(3, 3, activation="relu"), layers.GlobalMaxPooling1D(), layers.Dense(2)]
    )
    (tmp_path / "mine").mkdir()
    names = []
    for path, note in (
        (tmp_path / "network.keras", {"variant": "cnn_25"}),
        (tmp_path / "mine/network.keras", {}),
        (tmp_path / "other.keras", {"architecture": "cnn_25"}),
    ):
        save_network(model, path, note)
        report = interpret(path, dataset=small / "small.h5", database="JASPAR2016", null=False, importance=False).report
        names.append(report.network.name)
        assert report.sentence.startswith(names[-1])
    assert names == ["cnn_25", "mine", "other"]
    assert [note for note in report.notes if "see 3 bases at most" in note and "--layer" in note]


def test_another_activation_makes_other_filters(small, tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((LENGTH, 4)),
            layers.Conv1D(3, 8, name="conv"),
            layers.ReLU(name="first"),
            layers.Activation("sigmoid", name="second"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(2),
        ]
    )
    given = {"dataset": small / "small.h5", "database": "JASPAR2016", "null": False, "importance": False}
    one, two, again = (
        interpret(model, activation=name, output=tmp_path, **given).banks[0] for name in ("first", "second", "first")
    )
    assert not np.allclose(one.maximum, two.maximum)
    np.testing.assert_array_equal(one.pwms, again.pwms)


def test_filters_as_wide_as_motifs_bring_no_advice(shipped):
    assert not [note for note in read_interpretation(shipped / "cnn_25").notes if "--layer" in note]


def test_dataset_names_outputs_and_fasta_gives_the_same_filters(small):
    one = interpret(Small(), dataset=small / "small.h5", database="JASPAR2016", null=False)
    two = interpret(Small(), fasta=small / "small.fa", database="JASPAR2016", null=False)
    assert one.report.outputs == ("odd", "even") and two.report.outputs == ("output0", "output1")
    assert one.page is None
    np.testing.assert_allclose(one.banks[0].pwms, two.banks[0].pwms)
    np.testing.assert_allclose(one.representation.importance.change, two.representation.importance.change)
    assert len(one.report.heat_maps) == 4 and len(two.report.heat_maps) == 3
    assert one.report.nulls == ()


def test_several_banks_are_one_list_of_filters(small, tmp_path):
    keras.utils.set_random_seed(0)
    dna = keras.Input((LENGTH, 4))
    branches = [
        layers.GlobalMaxPooling1D()(layers.Conv1D(n, width, activation="relu", name=f"conv{n}")(dna))
        for n, width in ((3, 5), (4, 9))
    ]
    model = keras.Model(dna, layers.Dense(2)(layers.Concatenate()(branches)))
    found = interpret(model, dataset=small / "small.h5", database="JASPAR2016", output=tmp_path)
    names = [row.name for row in found.report.filters]
    assert names[0] == "conv3_filter0" and len(names) == 7
    assert [row.pwm for row in found.report.filters][3] == tuple(map(tuple, np.round(found.banks[1].pwms[0], 4)))
    again = interpret(model, dataset=small / "small.h5", database="JASPAR2016", output=tmp_path)
    assert again.report == found.report


def test_what_cannot_be_measured_is_said_and_the_rest_is_there(small):
    class Odd(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.scale = torch.nn.Conv1d(4, 3, 5), torch.nn.Parameter(torch.ones(3, 1))

        def forward(self, x):
            return (torch.relu(self.conv(x)) * self.scale).amax(dim=2) + torch.rand(1)

    found = interpret(Odd(), dataset=small / "small.h5", database="JASPAR2016")
    notes = " ".join(found.report.notes)
    assert "Importance could not be measured" in notes and "no untrained network" in notes and "scale" in notes
    assert found.report.heat_maps == () and found.representation.importance is None
    assert [null.name for null in found.report.nulls] == ["shuffled columns"]


def test_inputs_that_are_not_given_are_named(small):
    keras.utils.set_random_seed(0)
    dna, extra = keras.Input((LENGTH, 4), name="dna"), keras.Input((3,), name="expression")
    found = layers.GlobalMaxPooling1D()(layers.Conv1D(4, 7, activation="relu")(dna))
    several = keras.Model([extra, dna], layers.Dense(2)(layers.Concatenate()([found, extra])))
    notes = interpret(several, fasta=small / "small.fa", database="JASPAR2016", null=False).report.notes
    assert [note for note in notes if "zeros for expression:" in note]
    notes = interpret(
        keras.Model(dna, layers.Dense(2)(found)), fasta=small / "small.fa", database="JASPAR2016", null=False
    ).report.notes
    assert not [note for note in notes if "zeros" in note]


def test_motif_files_are_databases_too(small, shipped):
    found = interpret(
        Small(),
        dataset=small / "small.h5",
        database=shipped / "cnn_25/filters_trimmed.meme",
        null=False,
        importance=False,
    )
    assert "match a known motif" in found.report.sentence
    assert "true" not in found.representation.metrics


# Refusals


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dataset", "missing.h5"], ["missing.h5"]),
        (["--dataset", EXAMPLES, "--truth", "missing.tsv"], ["missing.tsv", "synthetic"]),
        (["--dataset", EXAMPLES, "--database", "JASPAR1999"], ["JASPAR1999"]),
        (["--dataset", EXAMPLES, "--evalue", "-1"], ["evalue"]),
        (["--dataset", EXAMPLES, "--labels", "a,b"], ["2 labels", "12 outputs"]),
        (["--dataset", EXAMPLES, "--labels", "a,a"], ["one name"]),
        (["--dataset", EXAMPLES, "--threshold", "2"], ["threshold"]),
        (["--dataset", EXAMPLES, "--threads", "0"], ["threads"]),
        (["--dataset", EXAMPLES, "--seed", "-1"], ["seed"]),
        (["--dataset", EXAMPLES, "--labels", "a\tb"], ["blanks", "rename"]),
        (["--dataset", EXAMPLES, "--taxon", "plants", "--truth", "synthetic"], ["none of its matrices"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(arguments, words, tmp_path, capsys, monkeypatch, checkout):
    monkeypatch.chdir(checkout)
    out = tmp_path / "out"
    assert main(["interpret", "models/synthetic/weights/cnn_25.keras", *arguments, "-o", str(out)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert "error:" in lines[-1] and all(word in lines[-1] for word in words)
    assert not out.exists()


def test_output_that_is_a_file_is_told_before_anything_runs(tmp_path, small):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="choose another output folder"):
        interpret(Small(), dataset=small / "small.h5", output=tmp_path / "taken")


# Programs


def test_kipoi_runs_it_beside_its_own_commands(run_python, tmp_path, shipped):
    done = run_python(
        "-m",
        "kipoi_motifrep",
        "motifrep",
        "interpret",
        "models/synthetic/cnn_25",
        "--dataset",
        EXAMPLES,
        "--truth",
        "synthetic",
        "--database",
        "JASPAR2016",
        "--no-null",
        "--no-importance",
        "-o",
        tmp_path / "out",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2].startswith("cnn_25 is localist: ")
    assert "tensorflow" not in done.stderr.lower() and "retracing" not in done.stderr
    assert read_motifs(tmp_path / "out/filters.meme")[0] == read_motifs(shipped / "cnn_25/filters.meme")[0]

"""From trained networks to Kipoi groups: what is written, what is refused, and that Kipoi takes it."""

import ast
import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
import yaml

from kipoi_motifrep.cli.program import build_parser
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import staged
from kipoi_motifrep.training.architectures import VARIANTS
from kipoi_motifrep.zoo import group as group_module
from kipoi_motifrep.zoo.check import _COMPLAINT, check_export, kipoi_test
from kipoi_motifrep.zoo.description import (
    EXAMPLE_INFO,
    GroupInfo,
    check_placeholders,
    dump,
    link,
    read_info,
    unfinished,
)
from kipoi_motifrep.zoo.export import Export, export_zoo, write_pull_request
from kipoi_motifrep.zoo.group import write_group
from kipoi_motifrep.zoo.packaged import NAME, find_networks, read_labels
from kipoi_motifrep.zoo.standalone import (
    PACKAGE,
    ROOT,
    copied_modules,
    licence,
    needed_modules,
    pinned_dependencies,
    without,
    write_code,
)

LABELS = ("CTCF", "GATA1", "NO")
LENGTH = 60
INFO = """\
authors:
  - name: Ada Example
    github: ada
license: BSD-3-Clause
cite_as: https://doi.org/10.1000/1
doc: "Network {{ model }}: {{ architecture }}; {{ parameters }} parameters."
trained_on: Nothing at all.
"""


def small_network(length=LENGTH, n_outputs=3, seed=0, filters=4):
    import keras

    keras.utils.set_random_seed(seed)
    return keras.Sequential([
        keras.layers.Input((length, 4)), keras.layers.Conv1D(filters, 7, activation="relu", padding="same"),
        keras.layers.GlobalMaxPooling1D(), keras.layers.Dense(n_outputs, activation="sigmoid")])


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """Two networks of somebody else: one in each of Keras's formats."""
    folder = tmp_path_factory.mktemp("mine")
    small_network(seed=1).save(folder / "first.keras")
    small_network(seed=2, filters=6).save(folder / "second.h5")
    return folder / "first.keras", folder / "second.h5"


@pytest.fixture(scope="module")
def networks(mine):
    return find_networks(mine, labels=LABELS)


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    path = tmp_path_factory.mktemp("info") / "info.yaml"
    path.write_text(INFO)
    return read_info(path)


@pytest.fixture(scope="module")
def group(tmp_path_factory, networks, info):
    folder = tmp_path_factory.mktemp("packaged") / "Mine"
    write_group(networks, folder, info)
    return folder


@pytest.fixture(scope="module")
def export(tmp_path_factory, networks, info):
    return export_zoo(networks, tmp_path_factory.mktemp("export"), info, "https://zenodo.org/records/1/files", "My-Lab")


@pytest.fixture(scope="module")
def shipped(checkout):
    table = checkout / "models/synthetic/models.tsv"
    return table.parent, [row["model"] for row in read_table(table)]


def read_table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rendered(group, model):
    from jinja2 import Template

    [row] = [row for row in read_table(group / "models.tsv") if row["model"] == model]
    return yaml.safe_load(Template((group / "model-template.yaml").read_text()).render(**row))


# Groups of somebody's own networks


def test_files_of_a_group(group, mine):
    assert {str(path) for path in contents(group) if path.suffix != ".fai"} == {
        "model-template.yaml", "models.tsv", "dataloader.yaml", "example_files/windows.bed",
        "example_files/hg19_chr20_200kb.fa", "weights/first.keras", "weights/second.h5", "expect/first.h5",
        "expect/second.h5"}
    assert (group / "weights/second.h5").read_bytes() == mine[1].read_bytes()
    for row in read_table(group / "models.tsv"):
        assert row["weights_md5"] == md5(group / "weights" / row["weights"])
        assert row["expect_md5"] == md5(group / "expect" / f"{row['model']}.h5")


def test_description_of_a_model(group):
    first, second = rendered(group, "first"), rendered(group, "second")
    assert first["args"] == {"weights": "weights/first.keras", "md5": md5(group / "weights/first.keras")}
    assert second["args"]["weights"] == "weights/second.h5"
    assert first["schema"]["inputs"]["shape"] == f"({LENGTH}, 4)"
    assert first["schema"]["targets"]["column_labels"] == list(LABELS)
    n_parameters = 7 * 4 * 4 + 4 + 4 * 3 + 3
    assert first["info"]["doc"] == f"Network first: 3 layers; {n_parameters} parameters."
    assert first["info"]["contributors"] == first["info"]["authors"] == [{"name": "Ada Example", "github": "ada"}]
    assert first["info"]["name"] == "first" and first["info"]["version"] == "0.1"


def test_kipoi_reads_the_group(group):
    import kipoi

    description = kipoi.get_model_descr(str(group / "second"), source="dir")
    assert list(description.schema.targets.column_labels) == list(LABELS)
    assert description.info.authors[0].github == "ada"
    models = kipoi.sources.LocalSource(str(group.parent)).list_models()
    assert models.model.tolist() == ["Mine/first", "Mine/second"]
    loader = kipoi.get_dataloader_descr(str(group), source="dir")
    assert "read 60 bp" in loader.output_schema.inputs.doc


def test_expected_predictions(group, mine):
    import keras

    with h5py.File(group / "expect/first.h5") as file:
        inputs, predictions = file["inputs"][:], file["preds"][:]
    assert inputs.shape == (16, LENGTH, 4) and set(np.unique(inputs)) == {0, 1}
    assert predictions.std() > 0
    np.testing.assert_allclose(keras.saving.load_model(mine[0]).predict(inputs, verbose=0), predictions, atol=1e-6)


def test_the_same_networks_give_the_same_bytes(tmp_path, networks, info, group):
    write_group(networks, tmp_path / "again", info)
    again = contents(tmp_path / "again")
    assert again == {path: data for path, data in contents(group).items() if path in again}


def test_expected_predictions_outlive_another_processor(tmp_path, networks, info, group):
    folder = tmp_path / "Mine"
    shutil.copytree(group, folder)

    def changed_by(difference):
        with h5py.File(folder / "expect/first.h5", "r+") as file:
            file["preds"][:] += np.float32(difference)
        before = (folder / "expect/first.h5").read_bytes()
        write_group(networks, folder, info)
        return before, (folder / "expect/first.h5").read_bytes()

    before, after = changed_by(3e-7)
    assert after == before != (group / "expect/first.h5").read_bytes()
    before, after = changed_by(3e-6)
    assert after == (group / "expect/first.h5").read_bytes() != before
    assert read_table(folder / "models.tsv") == read_table(group / "models.tsv")
    (folder / "expect/first.h5").write_text("damaged")
    write_group(networks, folder, info)
    assert (folder / "expect/first.h5").read_bytes() == (group / "expect/first.h5").read_bytes()


def test_kipoi_test_passes_on_networks_of_others(group):
    assert kipoi_test(group / "first") == []


@pytest.mark.slow
def test_kipoi_test_passes_on_h5(group):
    assert kipoi_test(group / "second") == []


@pytest.mark.slow
def test_kipoi_test_names_what_is_wrong(tmp_path, group):
    broken = tmp_path / "Broken"
    shutil.copytree(group, broken)
    with h5py.File(broken / "expect/first.h5", "r+") as file:
        file["preds"][0, 0] += 0.01
    assert any("match" in line for line in kipoi_test(broken / "first"))
    template = broken / "model-template.yaml"
    template.write_text(template.read_text().replace("- keras", "- other").replace("    - tensorflow", "    - tf"))
    assert any(line.startswith("WARNING [kipoi.cli.main]") for line in kipoi_test(broken / "second"))
    (broken / "weights/second.h5").write_bytes(b"")
    assert any(line.startswith("kipoi: error:") and "second.h5" in line for line in kipoi_test(broken / "second"))


def test_complaints_of_kipoi():
    for line in ("WARNING [kipoi.specs] doc empty for the `info:` field", "ERROR [kipoi.cli.main] no", "CRITICAL [x] y",
                 "ArraySchema mismatch", "Traceback (most recent call last):", "ValueError: model x not found",
                 "kipoi_motifrep.core.errors.InputError: w: no such weight file", "Exception: Can not download"):
        assert _COMPLAINT.search(line), line
    for line in ("INFO [kipoi.cli.main] Successfully ran test_predict", "UserWarning: pkg_resources is deprecated",
                 "INFO [kipoi.pipeline] dataloader.output_schema is compatible with model.schema"):
        assert not _COMPLAINT.search(line), line


def test_a_failed_run_changes_nothing(tmp_path, networks, info, group, monkeypatch):
    folder = tmp_path / "Mine"
    shutil.copytree(group, folder)
    (folder / "notes.txt").write_text("of the user")
    before = contents(folder)
    written = []

    def fails_at_the_second(path, *rest):
        written.append(path)
        if len(written) == 2:
            raise OSError("disk full")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"other")

    monkeypatch.setattr(group_module, "_write_expected", fails_at_the_second)
    with pytest.raises(OSError, match="disk full"):
        write_group(networks, folder, info)
    assert contents(folder) == before
    written.clear()
    with pytest.raises(OSError, match="disk full"):
        write_group(networks, tmp_path / "new", info)
    assert not (tmp_path / "new").exists()


def test_networks_that_left_the_group_leave_no_files(tmp_path, networks, info, group):
    folder = tmp_path / "Mine"
    shutil.copytree(group, folder)
    (folder / "weights/notes.txt").write_text("of the user")
    write_group(networks[:1], folder, info)
    left = {str(path) for path in contents(folder)}
    assert {"weights/first.keras", "expect/first.h5", "weights/notes.txt"} <= left
    assert not {"weights/second.h5", "expect/second.h5"} & left
    assert [row["model"] for row in read_table(folder / "models.tsv")] == ["first"]


def test_staged_files_arrive_together_beside_others(tmp_path):
    (tmp_path / "old").write_text("old")
    with staged(tmp_path) as stage:
        (stage / "sub").mkdir()
        (stage / "sub/new").write_text("new")
        (stage / "old").write_text("newer")
        assert (tmp_path / "old").read_text() == "old"
    assert contents(tmp_path) == {one.relative_to(tmp_path): text for one, text in
                                  [(tmp_path / "old", b"newer"), (tmp_path / "sub/new", b"new")]}


def test_no_place_to_write(tmp_path, networks, info):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/group: cannot write here \(not a directory\)"):
        write_group(networks, tmp_path / "file/group", info)


# Networks


def test_label_names_from_the_command_line_or_a_file(tmp_path):
    assert read_labels("CTCF, GATA1,") == ["CTCF", "GATA1"]
    (tmp_path / "labels.txt").write_text("A,1\nB 2\n\n")
    assert read_labels(str(tmp_path / "labels.txt")) == ["A,1", "B 2"]


def test_label_names_must_fit(mine):
    with pytest.raises(InputError, match=r"first\.keras: has 3 outputs and 0 names for them; give --labels"):
        find_networks(mine)
    with pytest.raises(InputError, match="3 outputs and 2 names"):
        find_networks(mine, labels=["A", "B"])
    with pytest.raises(InputError, match="two outputs are called 'A'"):
        find_networks(mine, labels=["A", "B", "A"])


@pytest.mark.parametrize("name", ["cnn_25", "a", "My.net-2+x", "nano", "N", "Nan1", "trueish", "templates"])
def test_names_of_models(name):
    assert NAME.match(name)


@pytest.mark.parametrize("name", ["25", "1e5", "nan", "NA", "NULL", "None", "True", "a b", "a/b", "a:b", "-a", "",
                                  "template", "inf", "Größe", "a.expect", "a{{b"])
def test_names_that_pandas_or_yaml_would_change(name):
    assert not NAME.match(name)


def test_files_that_cannot_be_packaged(tmp_path, mine):
    import keras

    def refused(words, *paths, labels=LABELS):
        with pytest.raises(InputError, match=words):
            find_networks(paths, labels=labels)

    refused("missing.keras: there is no such file or training folder", tmp_path / "missing.keras")
    refused("holds no finished network of trial 0; run 'kipoi-motifrep train' first", tmp_path)
    shutil.copy(mine[0], tmp_path / "25.keras")
    refused("25.keras: '25' cannot be the name of a model", tmp_path / "25.keras")
    refused("two networks are called 'first'", mine[0], mine[0])
    (tmp_path / "broken.keras").write_text("no")
    refused("neither a .keras nor a Keras .h5 file", tmp_path / "broken.keras")
    small_network(length=61).save(tmp_path / "longer.keras")
    refused("longer.keras: differs in its input length from .*first.keras", mine[0], tmp_path / "longer.keras")
    inputs = keras.layers.Input((None, 4))
    outputs = keras.layers.Conv1D(3, 5)(inputs)
    keras.Model(inputs, outputs).save(tmp_path / "profile.keras")
    refused(r"reads \(None, 4\); only networks", tmp_path / "profile.keras")
    inputs = keras.layers.Input((50, 4))
    keras.Model(inputs, keras.layers.Conv1D(3, 5)(inputs)).save(tmp_path / "profile.keras")
    refused(r"predicts \(46, 3\); only networks", tmp_path / "profile.keras")
    flat = keras.layers.Flatten()(inputs)
    keras.Model(inputs, [keras.layers.Dense(3)(flat), keras.layers.Dense(3)(flat)]).save(tmp_path / "two.keras")
    refused(r"predicts \(3,\), \(3,\); only networks", tmp_path / "two.keras")


def test_a_network_longer_than_the_example(tmp_path, info):
    import keras

    inputs = keras.layers.Input((300_000, 4))
    keras.Model(inputs, keras.layers.GlobalMaxPooling1D()(inputs)).save(tmp_path / "long.keras")
    with pytest.raises(InputError, match=r"long.keras: reads 300000 bp, more than the 200000 bp"):
        write_group(find_networks([tmp_path / "long.keras"], labels="ABCD"), tmp_path / "out", info)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Finished networks as the train command leaves them."""
    from kipoi_motifrep.networks.keras_files import save_network

    folder = tmp_path_factory.mktemp("runs")
    for i, (name, trial) in enumerate([("cnn9_4", 0), ("cnn_2", 0), ("cnn_4", 1)]):
        unit = folder / name / f"trial_{trial}"
        unit.mkdir(parents=True)
        save_network(small_network(seed=i), unit / "network.keras", {"label_names": list(LABELS)})
        per_label = {label: {"auroc": 0.75, "aupr": None} for label in LABELS}
        (unit / "result.json").write_text(json.dumps({
            "variant": name, "trial": trial, "random_seed": 7 + i, "protocol": {"first_activation": "exponential"},
            "test": {"auroc": 0.9, "aupr": 0.5, "per_label": per_label}}))
    (folder / "cnn_25/trial_0").mkdir(parents=True)  # unfinished
    return folder


def test_group_from_training_folders(tmp_path, runs, info):
    text = INFO.replace("Nothing at all.", '"seed {{ seed }}, AUROC {{ auroc }}"')
    (tmp_path / "info.yaml").write_text(text)
    write_group(find_networks([runs]), tmp_path, read_info(tmp_path / "info.yaml"))
    first, second = read_table(tmp_path / "models.tsv")
    assert [first["model"], second["model"]] == ["cnn_2", "cnn9_4"]  # the order of the paper's table
    assert (first["seed"], first["auroc"], first["aupr"]) == ("8", "0.900", "0.500")
    assert first["architecture"].startswith("30 filters of width 19, max-pooling 2, exponential activation; 128")
    assert rendered(tmp_path, "cnn_2")["info"]["trained_on"] == "seed 8, AUROC 0.900"
    assert rendered(tmp_path, "cnn_2")["schema"]["targets"]["column_labels"] == list(LABELS)
    results = read_table(tmp_path / "results.tsv")
    assert [(row["model"], row["figure"]) for row in results] == [
        ("cnn_2", "auroc"), ("cnn9_4", "auroc"), ("cnn_2", "aupr"), ("cnn9_4", "aupr")]
    assert (results[0]["mean"], results[0]["CTCF"], results[2]["CTCF"]) == ("0.9000", "0.7500", "")


def test_another_trial(tmp_path, runs, info):
    assert [network.name for network in find_networks([runs], trial=1)] == ["cnn_4"]


def test_the_trial_with_the_lowest_validation_loss(tmp_path, runs):
    folder = tmp_path / "runs"
    shutil.copytree(runs, folder)
    shutil.copytree(folder / "cnn_4/trial_1", folder / "cnn_4/trial_0")
    for trial, losses in enumerate(((0.3, 0.25, 0.3), (0.5, 0.2, 0.4))):
        (folder / f"cnn_4/trial_{trial}/history.csv").write_text(
            "epoch,loss,val_loss,seconds\n" + "".join(f"{i},0.1,{loss},1\n" for i, loss in enumerate(losses, 1)))
    for name in ("cnn_2", "cnn9_4"):
        (folder / name / "trial_0/history.csv").write_text("epoch,loss,val_loss,seconds\n1,0.1,0.1,1\n")
    chosen = {network.name: network.path.parent.name for network in find_networks([folder], trial=None)}
    assert chosen == {"cnn_2": "trial_0", "cnn_4": "trial_1", "cnn9_4": "trial_0"}
    shutil.copytree(folder / "cnn_4/trial_1", folder / "cnn_4/trial_1_copy")  # no trial
    assert len(find_networks([folder], trial=None)) == 3
    assert build_parser().parse_args(["package", "runs", "--trial", "best", "-o", "x"]).trial is None
    assert build_parser().parse_args(["package", "runs", "--trial", "2", "-o", "x"]).trial == 2
    result = folder / "cnn_4/trial_1/result.json"
    result.write_text(result.read_text().replace('"exponential"', '"relu"'))
    with pytest.raises(InputError, match="trial_1: was trained with other data or settings than trial_0"):
        find_networks([folder], trial=None)
    shutil.rmtree(folder / "cnn_4/trial_1")
    shutil.copytree(folder / "cnn_4/trial_0", folder / "cnn_4/trial_3")
    (folder / "cnn_4/trial_3/history.csv").write_text("epoch,loss\n1,0.1\n")
    with pytest.raises(InputError, match=r"history\.csv: has no validation losses"):
        find_networks([folder], trial=None)
    shutil.rmtree(folder / "cnn_4")
    shutil.rmtree(folder / "cnn_2")
    shutil.rmtree(folder / "cnn9_4")
    with pytest.raises(InputError, match="holds no finished network; run"):
        find_networks([folder], trial=None)


def test_results_leave_with_their_networks(tmp_path, runs, networks, info):
    write_group(find_networks([runs]), tmp_path, info)
    write_group(networks, tmp_path, info)
    assert not (tmp_path / "results.tsv").exists()


def test_figures_unknown_of_some_networks_are_of_none(tmp_path, runs, mine, info):
    both = find_networks([runs, mine[0]], labels=LABELS)
    write_group(both, tmp_path / "Both", info)
    assert list(read_table(tmp_path / "Both/models.tsv")[0]) == [
        "model", "weights", "weights_md5", "expect_md5", "architecture", "parameters"]
    (tmp_path / "info.yaml").write_text(INFO.replace("Nothing at all.", '"AUROC {{ auroc }}"'))
    with pytest.raises(InputError, match=r"info.yaml: {{ auroc }} is not known of these networks; known are model, "):
        write_group(both, tmp_path / "Other", read_info(tmp_path / "info.yaml"))
    assert not (tmp_path / "Other").exists()


# What the author says


def test_the_example_info_works(tmp_path, networks):
    (tmp_path / "info.yaml").write_text(EXAMPLE_INFO)
    example = read_info(tmp_path / "info.yaml")
    write_group(networks, tmp_path / "Mine", example)
    assert "does the network first answer" in rendered(tmp_path / "Mine", "first")["info"]["doc"]
    assert unfinished(example) == [f"{field} is still that of the example" for field in
                                   ("authors", "cite_as", "doc", "trained_on")]
    filled = (EXAMPLE_INFO.replace("Your Name", "Ada").replace("your-account", "ada").replace("10.xxxx/xxxxx", "10.1/2")
              .replace("One or two", "Two").replace("Which data", "Data"))
    (tmp_path / "info.yaml").write_text(filled)
    assert unfinished(read_info(tmp_path / "info.yaml")) == []


@pytest.mark.parametrize(("text", "words"), [
    ("authors:\n- [", "row 2: is no valid YAML"),
    ("a: 1\nb: {\nc: 2", "row 3: is no valid YAML"),
    ("", "lacks authors, license, cite_as, doc, trained_on"),
    ("just words", "lacks authors"),
    ("[1, 2]", "lacks authors"),
    (INFO.replace("license: BSD-3-Clause", "licence: MIT"), "lacks license"),
    (INFO + "licence: MIT\n", "unknown field 'licence'; known are authors, license"),
    (INFO.replace("  - name: Ada Example\n    github: ada", "  Ada"), "authors must be a list of people"),
    (INFO.replace("name: Ada", "nmae: Ada"), "authors must be a list of people"),
    (INFO + "contributors: [Ada]\n", "contributors must be a list of people"),
    (INFO + "tags: DNA\n", "tags must be a list"),
    (INFO + "version: 0.1\n", "version is 0.1; it must be a text"),
    (INFO + "dataloader: {defined_as: x.y}\n", "dataloader is"),
])
def test_info_files_that_are_wrong(tmp_path, text, words):
    path = tmp_path / "info.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(words) if "(" in words else words) as error:
        read_info(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_info_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match="no such file; 'kipoi-motifrep package --example-info' prints one"):
        read_info(tmp_path / "missing.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"doc: \xfc\xff")
    with pytest.raises(InputError, match=r"latin.yaml: is no UTF-8 text"):
        read_info(tmp_path / "latin.yaml")


def test_placeholders(info):
    def asking(text):
        return GroupInfo({**info.info, "doc": text}, None, info.path)

    check_placeholders(asking("{{ model }} {{parameters}}"), ["model", "parameters", "architecture"])
    with pytest.raises(InputError, match=r"{{ modle }} is not known of these networks; known are model"):
        check_placeholders(asking("{{ modle }}"), ["model", "parameters", "architecture"])
    with pytest.raises(InputError, match=r"info.yaml: has a broken {{ placeholder }}"):
        check_placeholders(asking("{{ model }"), ["model", "parameters", "architecture"])


def test_no_line_of_yaml_ends_within_a_placeholder():
    for n in range(80, 130):
        text = "x " * (n // 2) + "y" * (n % 2) + " {{ model }} and {{parameters}} " + "more words " * 9
        dumped = dump({"doc": text.strip()})
        assert "{{ model }}" in dumped and "{{ parameters }}" in dumped
        assert yaml.safe_load(dumped)["doc"].split() == text.replace("{{parameters}}", "{{ parameters }}").split()


def test_a_dataloader_elsewhere(tmp_path, networks, checkout):
    shutil.copytree(checkout / "dataloaders/intervals", tmp_path / "loaders/intervals", symlinks=False)
    (tmp_path / "info.yaml").write_text(INFO + "dataloader: ../../loaders/intervals\n")
    write_group(networks, tmp_path / "Mine", read_info(tmp_path / "info.yaml"))
    assert rendered(tmp_path / "Mine", "first")["default_dataloader"] == "../../loaders/intervals"
    assert not (tmp_path / "Mine/dataloader.yaml").exists() and not (tmp_path / "Mine/example_files").exists()
    (tmp_path / "info.yaml").write_text(INFO + "dataloader: ../loaders/intervals\n")
    with pytest.raises(InputError, match=r"the dataloader ../loaders/intervals is not there: it is relative to .*"
                                         r"Mine/MODEL, and .*Mine/loaders/intervals holds no dataloader.yaml"):
        write_group(networks, tmp_path / "Mine", read_info(tmp_path / "info.yaml"))


# The command


def run(capsys, *arguments):
    from kipoi_motifrep.cli.program import main

    status = main(["package", *map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_command_writes_a_group(tmp_path, mine, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, _ = run(capsys, "--example-info")
    assert (status, out) == (0, EXAMPLE_INFO)
    (tmp_path / "info.yaml").write_text(out)
    labels = ("--labels", ",".join(LABELS))
    status, out, err = run(capsys, *mine, *labels, "--info", "info.yaml", "-o", "Mine", "--no-test")
    assert (status, out, err) == (0, "", "Mine: 2 models\n")
    (tmp_path / "info.yaml").rename(tmp_path / "Mine/info.yaml")
    assert run(capsys, mine[0], *labels, "-o", "Mine", "--no-test")[2] == "Mine: 1 model\n"


def test_command_refuses_in_one_line(tmp_path, mine, capsys):
    def refused(words, *arguments):
        status, out, err = run(capsys, *arguments)
        assert (status, out) == (2, "")
        assert err.count("\n") == 1 and words in err

    (tmp_path / "info.yaml").write_text(INFO)
    labels = ("--labels", ",".join(LABELS), "--info", tmp_path / "info.yaml", "-o", tmp_path / "out")
    refused("give networks and -o DIR, or --example-info")
    refused("out/info.yaml: there is no such file", mine[0], "-o", tmp_path / "out")
    refused("give --labels", mine[0], "--info", tmp_path / "info.yaml", "-o", tmp_path / "out")
    refused("--zoo is 'zenodo'; it must be an address", mine[0], *labels, "--zoo", "zenodo")
    refused("give another with --name", mine[0], *labels, "--zoo", "https://x.org", "--name", "a b")
    refused("give another with --name", mine[0], *labels, "--zoo", "https://x.org", "--name", "upload")
    assert not (tmp_path / "out").exists()


def test_command_reports_a_failed_test(tmp_path, mine, capsys, monkeypatch):
    from kipoi_motifrep.zoo import check

    monkeypatch.setattr(check, "kipoi_test", lambda model, alone: ["WARNING [x] y"] if model.name == "second" else [])
    (tmp_path / "info.yaml").write_text(INFO)
    options = ("--labels", ",".join(LABELS), "--info", tmp_path / "info.yaml")
    status, _, err = run(capsys, *mine, *options, "-o", tmp_path / "Mine")
    assert status == 2
    assert err.splitlines()[1:] == [f"kipoi test {tmp_path}/Mine/first: passes",
                                    f"kipoi test {tmp_path}/Mine/second: WARNING [x] y"]
    status, _, err = run(capsys, *mine, *options, "-o", tmp_path / "zoo", "--zoo", "https://x.org", "--name", "Lab")
    assert status == 2 and "PULL_REQUEST.md" in err
    assert "- [ ] `kipoi test` passes" in (tmp_path / "zoo/PULL_REQUEST.md").read_text()


# The zoo


def test_files_of_an_export(export):
    group, upload = contents(export.group), contents(export.upload)
    assert {str(path) for path in upload if path.suffix != ".fai"} == {
        "first.keras", "second.h5", "first.expect.h5", "second.expect.h5", "windows.bed", "hg19_chr20_200kb.fa"}
    outside_code = {str(path) for path in group if path.parent.name != "sequences" and path.parts[0] != "my_lab_code"}
    assert outside_code == {"model-template.yaml", "models.tsv", "dataloader.yaml", "my_lab_kipoi.py",
                            "test_subset.txt"}
    assert (export.group / "test_subset.txt").read_text() == "first\n"
    assert sum(map(len, group.values())) < 200_000


def test_addresses_of_an_export(export):
    model = rendered(export.group, "second")
    base = "https://zenodo.org/records/1/files"
    assert model["args"] == {"weights": {"url": f"{base}/second.h5", "md5": md5(export.upload / "second.h5")}}
    assert model["test"]["expect"] == {"url": f"{base}/second.expect.h5",
                                       "md5": md5(export.upload / "second.expect.h5")}
    loader = yaml.safe_load((export.group / "dataloader.yaml").read_text())
    for argument in ("intervals_file", "fasta_file"):
        example = loader["args"][argument]["example"]
        assert example == {"url": f"{base}/{example['name']}", "md5": md5(export.upload / example["name"]),
                           "name": example["name"]}
    assert loader["defined_as"] == "my_lab_kipoi.IntervalsDl" and model["defined_as"] == "my_lab_kipoi.Keras3Model"
    assert model["default_dataloader"] == ".."
    assert loader["info"]["authors"] == [{"name": "Ada Example", "github": "ada"}]
    assert "kipoi_motifrep" not in (export.group / "model-template.yaml").read_text()


def test_links():
    assert link("https://x.org/a/", "f.h5") == "https://x.org/a/f.h5"
    assert link("https://x.org/a/?download=1", "f.h5") == "https://x.org/a/f.h5?download=1"


def test_every_dependency_is_pinned(export):
    import kipoi

    dependencies = rendered(export.group, "first")["dependencies"]
    assert dependencies == pinned_dependencies()
    assert all(re.fullmatch(r"conda-forge::[\w-]+=[\d.]+", one) for one in dependencies["conda"])
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", one) for one in dependencies["pip"])
    pinned = {re.split(r"=+", one.removeprefix("conda-forge::"))[0]
              for one in dependencies["conda"] + dependencies["pip"]}
    normal = kipoi.specs.Dependencies(conda=dependencies["conda"]).normalized()
    assert list(normal.conda_channels) == ["conda-forge", "defaults"]
    imported = {name.split(".")[0] for source in copied_modules().values() for name in imports(source)}
    assert imported - set(sys.stdlib_module_names) - {PACKAGE, "kipoi_utils"} <= pinned


def imports(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import would not be followed"
            yield node.module


def test_copied_code_needs_nothing_else_of_this_package(export):
    """An independent look: every import of the package resolves to a file that travels."""
    code = export.group / "my_lab_code"
    for path in [*code.rglob("*.py"), export.group / "my_lab_kipoi.py"]:
        source = path.read_text()
        assert PACKAGE not in source.replace(f"copied from {PACKAGE}", "")
        for name in imports(source):
            if name.split(".")[0] == "my_lab_code":
                assert name != "my_lab_code", f"{path} imports a name of the package itself"
                assert (export.group / (name.replace(".", "/") + ".py")).exists() or \
                    (export.group / name.replace(".", "/") / "__init__.py").exists(), name


def test_needed_modules_are_those_that_python_loads():
    code = ("import sys; import kipoi_motifrep.networks.kipoi_model, kipoi_motifrep.sequences.loaders;"
            "print(*sorted(name for name in sys.modules if name.startswith('kipoi_motifrep.')))")
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    found = {name.removesuffix("/__init__").replace("/", ".")
             for name in needed_modules(["networks/kipoi_model", "sequences/loaders"])}
    assert {name.removeprefix("kipoi_motifrep.") for name in loaded} <= found
    assert "sequences/fasta" in needed_modules(["sequences/loaders"])
    assert "sequences/fasta" not in copied_modules()


def test_copied_code_is_clean(export):
    """No name is left undefined or unused by what was left out."""
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,E9", str(export.group)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_leaving_definitions_out():
    source = '''"""Doc."""

import json
import os
from a import b, c, d

X = os.sep


def gone():
    return json.dumps(b)


@gone("y")
class Kept:
    x = c


@d
def also():
    return X
'''
    assert without(source, ["gone"]) == '''"""Doc."""

import os
from a import c, d

X = os.sep


class Kept:
    x = c


@d
def also():
    return X
'''
    assert without(source, []).splitlines() == source.splitlines()


def test_names_of_two_groups_do_not_collide(tmp_path):
    entries = {write_code(tmp_path / name, name): name for name in ("KooEddy", "Koo_Eddy", "My-Lab")}
    assert list(entries) == ["kooeddy_kipoi", "koo_eddy_kipoi", "my_lab_kipoi"]
    code = ("import sys; sys.modules['kipoi_motifrep'] = None; import os; from kipoi_utils.utils import load_obj\n"
            "found = []\n"
            "for folder, entry in zip(sys.argv[1::2], sys.argv[2::2]):\n"
            "    os.chdir(folder); found += [load_obj(entry + '.Keras3Model'), load_obj(entry + '.IntervalsDl')]\n"
            "print(*[one.__module__ for one in found]); assert len(set(found)) == len(found)")
    arguments = [part for entry, name in entries.items() for part in (str(tmp_path / name), entry)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.stdout.split() == [f"{name}_code.{module}" for name in ("kooeddy", "koo_eddy", "my_lab")
                                   for module in ("networks.kipoi_model", "sequences.loaders")]


def test_code_travels_with_its_own_licence(export, checkout):
    assert (export.group / "my_lab_code/LICENSE").read_text() == (checkout / "LICENSE").read_text() == licence()
    assert rendered(export.group, "first")["info"]["license"] == "BSD-3-Clause"
    assert "MIT" in licence()


def test_export_again_into_the_same_folder(tmp_path, networks, info, export):
    out = tmp_path / "again"
    shutil.copytree(export.out, out)
    again = export_zoo(networks[1:], out, info, export.base_url, export.name)
    assert {path.name for path in again.upload.iterdir()} >= {"second.h5", "second.expect.h5", "windows.bed"}
    assert not (again.upload / "first.keras").exists() and not (again.upload / "first.expect.h5").exists()
    assert md5(again.upload / "second.expect.h5") == md5(export.upload / "second.expect.h5")
    assert (again.group / "test_subset.txt").read_text() == "second\n"


def test_text_of_the_pull_request(export, tmp_path):
    assert write_pull_request(export, []).read_text() == """# Add My-Lab

2 models by Ada Example
(https://doi.org/10.1000/1), licence BSD-3-Clause.

| model | architecture | parameters |
|---|---|---|
| first | 3 layers | 131 |
| second | 3 layers | 195 |

They read one-hot sequences of 60 bp and predict 3 labels:
CTCF, GATA1, NO.

- [x] `kipoi test` passes for every model without a warning
- [x] weights, expected predictions and example files are `url` + `md5`
- [x] all dependencies are pinned
- [x] model class and dataloader travel in the group, in a package of their own
- [ ] the contents of `upload/` are public at https://zenodo.org/records/1/files
"""
    assert "- [ ] `kipoi test` passes" in write_pull_request(export, None).read_text()
    assert "- [ ] `kipoi test` passes" in write_pull_request(export, ["first"]).read_text()
    nameless = GroupInfo({**export.info.info, "contributors": [{"name": "Bob"}]}, None, export.info.path)
    unknown = Export(export.networks, nameless, tmp_path, "Lab", "https://x.org")
    assert "- [ ] missing: the GitHub account of Bob\n" in write_pull_request(unknown, []).read_text()


PREDICT_ALONE = """
import sys
sys.modules["kipoi_motifrep"] = None
import h5py, kipoi, numpy as np
model = kipoi.get_model(sys.argv[1], source="dir")
with h5py.File(sys.argv[2]) as file:
    np.save(sys.argv[3], model.predict_on_batch(file["inputs"][:]))
assert not any(name.startswith("kipoi_motifrep.") for name in sys.modules)
"""


def exported_and_moved(tmp_path, group, names):
    """Export a shipped network to a file:// address and move the group away from it."""
    (tmp_path / "info.yaml").write_text(INFO)
    weights = [group / "weights" / f"{name}.keras" for name in names]
    upload = tmp_path / "out/upload"
    export = export_zoo(find_networks(weights), tmp_path / "out", read_info(tmp_path / "info.yaml"), upload.as_uri(),
                        "KooEddy")
    elsewhere = tmp_path / "zoo"
    elsewhere.mkdir()
    return export, shutil.move(export.group, elsewhere / "KooEddy")


def predictions_alone(moved, name, inputs, tmp_path):
    written = tmp_path / "predictions.npy"
    done = subprocess.run([sys.executable, "-c", PREDICT_ALONE, str(moved / name), str(inputs), str(written)],
                          cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return np.load(written)


def test_zoo_group_passes_without_this_project(tmp_path, shipped):
    group, names = shipped
    _, moved = exported_and_moved(tmp_path, group, names[:1])
    assert kipoi_test(moved / names[0], alone=True) == []
    assert (moved / f"downloaded/model_files/{names[0]}/weights" / md5(group / f"weights/{names[0]}.keras")).exists()


@pytest.mark.slow
def test_every_zoo_model_passes_and_predicts_as_ours(tmp_path, shipped):
    import keras

    group, names = shipped
    export, moved = exported_and_moved(tmp_path, group, names)
    for name in names:
        assert kipoi_test(moved / name, alone=True) == [], name
        with h5py.File(group / f"expect/{name}.h5") as file:
            inputs, expected = file["inputs"][:], file["preds"][:]
        np.testing.assert_allclose(predictions_alone(moved, name, group / f"expect/{name}.h5", tmp_path), expected,
                                   atol=1e-6)
        ours = keras.saving.load_model(group / f"weights/{name}.keras", compile=False)
        np.testing.assert_allclose(ours.predict(inputs, verbose=0), expected, atol=1e-6)
    shutil.move(moved, export.group)
    assert dict(check_export(export)) == {name: [] for name in names}


@pytest.mark.slow
def test_every_shipped_model_passes(shipped):
    group, names = shipped
    assert set(names) <= set(VARIANTS)
    for name in names:
        assert kipoi_test(group / name) == [], name


@pytest.mark.slow
def test_kipoi_commands_on_groups(tmp_path, shipped, run_python):
    group, names = shipped
    _, moved = exported_and_moved(tmp_path, group, names[:2])
    assert "KooEddy/ (2)" in run_python("-m", "kipoi", "ls", "--source", "dir", cwd=moved.parent).stdout
    listed = run_python("-m", "kipoi", "ls", "KooEddy", "--source", "dir", cwd=moved.parent).stdout
    assert set(names[:2]) <= {line.split("/")[-1] for line in listed.split()}
    said = run_python("-m", "kipoi", "info", f"KooEddy/{names[0]}", "--source", "dir", cwd=moved.parent).stdout
    assert "github: ada" in said and "license: BSD-3-Clause" in said and "intervals_file:" in said
    done = run_python("-m", "kipoi", "get-example", f"KooEddy/{names[0]}", "--source", "dir", "-o",
                      tmp_path / "example", cwd=moved.parent)
    arguments = json.loads(done.stdout.strip().splitlines()[-1])
    assert sorted(path.name for path in (tmp_path / "example").iterdir()) == ["hg19_chr20_200kb.fa", "windows.bed"]
    assert set(arguments) == {"intervals_file", "fasta_file"}


def test_the_shipped_group_is_what_package_writes(shipped):
    """Its table, weights and expected predictions agree; nothing was changed by hand."""
    group, names = shipped
    assert names == [name for name in VARIANTS if name in names]
    for row in read_table(group / "models.tsv"):
        assert row["weights"] == f"{row['model']}.keras"
        assert row["weights_md5"] == md5(group / "weights" / row["weights"])
        assert row["expect_md5"] == md5(group / "expect" / f"{row['model']}.h5")
    networks = find_networks([group / "weights" / f"{name}.keras" for name in names[:1]])
    template = yaml.safe_load((group / "model-template.yaml").read_text())
    assert template["schema"]["targets"]["column_labels"] == list(networks[0].label_names)
    assert {path.stem for path in (group / "weights").glob("*.keras")} == set(names)


def test_the_package_root_holds_what_is_copied():
    assert (ROOT / "networks/kipoi_model.py").exists() and (ROOT / "sequences/descriptions/intervals.yaml").exists()

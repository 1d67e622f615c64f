"""Kipoi groups of trained networks: what is written, and that Kipoi takes it."""

import shutil

import h5py
import numpy as np
import pytest
from support.packaging import INFO, LABELS, LENGTH, contents, md5, read_table, rendered

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.zoo import group as group_module
from kipoi_motifrep.zoo.check import _COMPLAINT, kipoi_test
from kipoi_motifrep.zoo.description import read_info
from kipoi_motifrep.zoo.group import write_group
from kipoi_motifrep.zoo.packaged import find_networks


def test_files_of_a_group(group, mine):
    assert {str(path) for path in contents(group) if path.suffix != ".fai"} == {
        "README.md",
        "model-template.yaml",
        "models.tsv",
        "dataloader.yaml",
        "example_files/windows.bed",
        "example_files/hg19_chr20_200kb.fa",
        "weights/first.keras",
        "weights/second.h5",
        "expect/first.h5",
        "expect/second.h5",
    }
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


@pytest.mark.parametrize("loader", ["intervals", "sequences", "dataset"])
def test_environments_have_pip_and_old_channels_last(group, checkout, loader):
    """As 'kipoi env export' makes them of a network and a loader."""
    import kipoi
    import yaml
    from kipoi.cli.env import KIPOI_DEPS

    merged = KIPOI_DEPS
    described = yaml.safe_load((checkout / f"dataloaders/{loader}/dataloader.yaml").read_text())
    for one in (rendered(group, "first"), rendered(checkout / "models/invivo_best", "cnn_25"), described):
        merged = merged.merge(kipoi.specs.Dependencies(**one["dependencies"]))
    environment = merged.to_env_dict("x")
    assert environment["channels"] == ["conda-forge", "bioconda", "defaults"] and "pip" in environment["dependencies"]


def test_expected_predictions(group, mine):
    import keras

    with h5py.File(group / "expect/first.h5") as file:
        inputs, predictions = file["inputs"][:], file["preds"][:]
    assert inputs.shape == (16, LENGTH, 4) and set(np.unique(inputs)) == {0, 1}
    assert predictions.std() > 0
    np.testing.assert_allclose(keras.saving.load_model(mine[0]).predict(inputs, verbose=0), predictions, atol=1e-6)


def test_the_same_networks_give_the_same_bytes(tmp_path, networks, info, group):
    write_group(networks, tmp_path / "again" / group.name, info)
    again = contents(tmp_path / "again" / group.name)
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
    for line in (
        "WARNING [kipoi.specs] doc empty for the `info:` field",
        "ERROR [kipoi.cli.main] no",
        "CRITICAL [x] y",
        "ArraySchema mismatch",
        "Traceback (most recent call last):",
        "ValueError: model x not found",
        "kipoi_motifrep.core.errors.InputError: w: no such weight file",
        "Exception: Can not download",
    ):
        assert _COMPLAINT.search(line), line
    for line in (
        "INFO [kipoi.cli.main] Successfully ran test_predict",
        "UserWarning: pkg_resources is deprecated",
        "INFO [kipoi.pipeline] dataloader.output_schema is compatible with model.schema",
    ):
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


def test_a_damaged_table_of_models_is_told(tmp_path, networks, info, group):
    folder = tmp_path / "Mine"
    shutil.copytree(group, folder)
    for data in (b"model\tweights\n\xff\xfe\n", b"model\tweights\n" + b"x" * 200_000):
        (folder / "models.tsv").write_bytes(data)
        with pytest.raises(InputError, match=r"models\.tsv: is no table with tabs"):
            write_group(networks, folder, info)
    assert (folder / "weights/second.h5").exists()


def test_no_place_to_write(tmp_path, networks, info):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/group: cannot write here \(not a directory\)"):
        write_group(networks, tmp_path / "file/group", info)


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
        ("cnn_2", "auroc"),
        ("cnn9_4", "auroc"),
        ("cnn_2", "aupr"),
        ("cnn9_4", "aupr"),
    ]
    assert (results[0]["mean"], results[0]["CTCF"], results[2]["CTCF"]) == ("0.7500", "0.7500", "")


def test_results_leave_with_their_networks(tmp_path, runs, networks, info):
    write_group(find_networks([runs]), tmp_path, info)
    write_group(networks, tmp_path, info)
    assert not (tmp_path / "results.tsv").exists()


def test_figures_unknown_of_some_networks_are_of_none(tmp_path, runs, mine, info):
    both = find_networks([runs, mine[0]], labels=LABELS)
    write_group(both, tmp_path / "Both", info)
    assert list(read_table(tmp_path / "Both/models.tsv")[0]) == [
        "model",
        "weights",
        "weights_md5",
        "expect_md5",
        "architecture",
        "parameters",
    ]
    (tmp_path / "info.yaml").write_text(INFO.replace("Nothing at all.", '"AUROC {{ auroc }}"'))
    with pytest.raises(InputError, match=r"info.yaml: {{ auroc }} is not known of these networks; known are model, "):
        write_group(both, tmp_path / "Other", read_info(tmp_path / "info.yaml"))
    assert not (tmp_path / "Other").exists()


def test_a_network_longer_than_the_example(tmp_path, info):
    import keras

    inputs = keras.layers.Input((300_000, 4))
    keras.Model(inputs, keras.layers.GlobalMaxPooling1D()(inputs)).save(tmp_path / "long.keras")
    with pytest.raises(InputError, match=r"long.keras: reads 300000 bp, more than the 200000 bp"):
        write_group(find_networks([tmp_path / "long.keras"], labels="ABCD"), tmp_path / "out", info)
    assert not (tmp_path / "out").exists()


def test_a_table_of_models_removes_nothing_outside_the_group(tmp_path, networks, info, group):
    folder = tmp_path / "Mine"
    shutil.copytree(group, folder)
    (tmp_path / "mine.keras").write_text("of the user")
    (folder / "mine.txt").write_text("of the user")
    with open(folder / "models.tsv", "a") as table:
        table.write("../../mine\t../../mine.keras\t\t\t\t\nx/../../mine\t../mine.txt\t\t\t\t\nshort\n")
    write_group(networks, folder, info)
    assert (tmp_path / "mine.keras").exists() and (folder / "mine.txt").exists()

"""Which networks can go into a group, and what is read of them."""

import json
import re
import shutil

import pytest
from support.packaging import LABELS, small_network

from kipoi_motifrep.cli.program import build_parser
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.textfile import read_labels
from kipoi_motifrep.zoo.packaged import NAME, find_networks


def test_label_names_from_the_command_line_or_a_file(tmp_path):
    assert read_labels("CTCF, GATA1,") == ["CTCF", "GATA1"]
    (tmp_path / "labels.txt").write_text("A,1\nB 2\n\n")
    assert read_labels(str(tmp_path / "labels.txt")) == ["A,1", "B 2"]


def test_labels_that_are_long_or_binary(tmp_path):
    assert len(read_labels(",".join(f"label_{i}" for i in range(5000)))) == 5000
    assert read_labels("A\0B") == ["A\0B"]
    (tmp_path / "labels").write_bytes(b"\xff\xfe\x00A")
    with pytest.raises(InputError, match=r"labels: is no UTF-8 text with one name a line"):
        read_labels(str(tmp_path / "labels"))


def test_label_names_must_fit(mine):
    with pytest.raises(InputError, match=r"first\.keras: has 3 outputs and 0 names for them; give labels=NAMES"):
        find_networks(mine)
    with pytest.raises(InputError, match="3 outputs and 2 names"):
        find_networks(mine, labels=["A", "B"])
    with pytest.raises(InputError, match="two outputs are called 'A'"):
        find_networks(mine, labels=["A", "B", "A"])


@pytest.mark.parametrize("name", ["cnn_25", "a", "My.net-2+x", "nano", "N", "Nan1", "trueish", "templates"])
def test_names_of_models(name):
    assert NAME.match(name)


@pytest.mark.parametrize(
    "name",
    [
        "25",
        "1e5",
        "nan",
        "NA",
        "NULL",
        "None",
        "True",
        "a b",
        "a/b",
        "a:b",
        "-a",
        "",
        "template",
        "inf",
        "Größe",
        "a.expect",
        "a{{b",
    ],
)
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


def test_another_trial(tmp_path, runs, info):
    assert [network.name for network in find_networks([runs], trial=1)] == ["cnn_4"]


def test_the_trial_with_the_lowest_validation_loss(tmp_path, runs):
    folder = tmp_path / "runs"
    shutil.copytree(runs, folder)
    shutil.copytree(folder / "cnn_4/trial_1", folder / "cnn_4/trial_0")
    for trial, losses in enumerate(((0.3, 0.25, 0.3), (0.5, 0.2, 0.4))):
        (folder / f"cnn_4/trial_{trial}/history.csv").write_text(
            "epoch,loss,val_loss,seconds\n" + "".join(f"{i},0.1,{loss},1\n" for i, loss in enumerate(losses, 1))
        )
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


def test_sisters_of_one_architecture_have_names_of_their_own(tmp_path, runs):
    other = tmp_path / "relu"
    shutil.copytree(runs / "cnn_2", other / "cnn_2")
    result = other / "cnn_2/trial_0/result.json"
    result.write_text(result.read_text().replace('"exponential"', '"relu"'))
    named = {network.name: network.path for network in find_networks([other, runs])}
    assert list(named) == ["cnn_2", "cnn_2_exp", "cnn9_4"]
    assert named["cnn_2"].is_relative_to(other) and named["cnn_2_exp"].is_relative_to(runs)
    with pytest.raises(InputError, match="two networks are called 'cnn_2_exp'"):
        find_networks([runs, runs])


# Texts that would run in Kipoi's template


@pytest.mark.parametrize("name", ["{{ 7*7 }}", "a{% raw %}", "{#", "{{ model }}", "a\nb", "\x1b[31mred", " "])
def test_code_in_the_names_of_outputs_is_refused(tmp_path, mine, name):
    from kipoi_motifrep.networks.keras_files import save_network

    words = re.escape(f"an output is called {name!r}")
    with pytest.raises(InputError, match=words):
        find_networks(mine, labels=["A", name, "B"])
    save_network(small_network(), tmp_path / "noted.keras", {"label_names": ["A", "B", name]})
    with pytest.raises(InputError, match=rf"noted\.keras: {words}"):
        find_networks([tmp_path / "noted.keras"])
    assert find_networks(mine[:1], labels=["A}}", "{B}", "C%}"])[0].label_names == ("A}}", "{B}", "C%}")


@pytest.mark.parametrize(
    "path, value",
    [
        (("protocol", "first_activation"), 'relu"\n  evil: !!python/name:os.system'),
        (("protocol", "first_activation"), "{{ 7 }}"),
        (("random_seed",), "1\nx: y"),
        (("random_seed",), True),
        (("test", "auroc"), "high"),
        (("test", "aupr"), 7),
        (("test", "per_label"), []),
        (("variant",), "../x"),
        (("test", "per_label", "CTCF", "auroc"), "0.5"),
        (("protocol",), None),
    ],
)
def test_a_result_that_training_did_not_write_is_refused(tmp_path, runs, path, value):
    folder = tmp_path / "runs"
    shutil.copytree(runs / "cnn_2", folder / "cnn_2")
    file = folder / "cnn_2/trial_0/result.json"
    result = json.loads(file.read_text())
    inner = result
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    file.write_text(json.dumps(result))
    with pytest.raises(InputError, match=r"result\.json: is not as 'kipoi-motifrep train' writes it"):
        find_networks([folder])


def test_other_labels_than_those_tested(runs):
    with pytest.raises(InputError, match="was tested on labels of other names; leave out labels"):
        find_networks([runs], labels=["A", "B", "C"])

"""Networks of somebody else and of a training folder, and groups made of them."""

import json

import pytest
from support.packaging import INFO, LABELS, read_table, small_network

from kipoi_motifrep.zoo.description import read_info
from kipoi_motifrep.zoo.export import export_zoo
from kipoi_motifrep.zoo.group import write_group
from kipoi_motifrep.zoo.packaged import find_networks


@pytest.fixture(scope="session")
def mine(tmp_path_factory):
    """Two networks of somebody else: one in each of Keras's formats."""
    folder = tmp_path_factory.mktemp("mine")
    small_network(seed=1).save(folder / "first.keras")
    small_network(seed=2, filters=6).save(folder / "second.h5")
    return folder / "first.keras", folder / "second.h5"


@pytest.fixture(scope="session")
def networks(mine):
    return find_networks(mine, labels=LABELS)


@pytest.fixture(scope="session")
def info(tmp_path_factory):
    path = tmp_path_factory.mktemp("info") / "info.yaml"
    path.write_text(INFO)
    return read_info(path)


@pytest.fixture(scope="session")
def group(tmp_path_factory, networks, info):
    folder = tmp_path_factory.mktemp("packaged") / "Mine"
    write_group(networks, folder, info)
    return folder


@pytest.fixture(scope="session")
def export(tmp_path_factory, networks, info):
    return export_zoo(networks, tmp_path_factory.mktemp("export"), info, "https://zenodo.org/records/1/files", "My-Lab")


@pytest.fixture(scope="session")
def shipped(checkout):
    table = checkout / "models/synthetic/models.tsv"
    return table.parent, [row["model"] for row in read_table(table)]


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Finished networks as the train command leaves them."""
    from kipoi_motifrep.networks.keras_files import save_network

    folder = tmp_path_factory.mktemp("runs")
    for i, (name, trial) in enumerate([("cnn9_4", 0), ("cnn_2", 0), ("cnn_4", 1)]):
        unit = folder / name / f"trial_{trial}"
        unit.mkdir(parents=True)
        save_network(small_network(seed=i), unit / "network.keras", {"label_names": list(LABELS)})
        per_label = {label: {"auroc": 0.75, "aupr": None} for label in LABELS}
        (unit / "result.json").write_text(
            json.dumps(
                {
                    "variant": name,
                    "trial": trial,
                    "random_seed": 7 + i,
                    "protocol": {"first_activation": "exponential"},
                    "test": {"auroc": 0.9, "aupr": 0.5, "per_label": per_label},
                }
            )
        )
    (folder / "cnn_25/trial_0").mkdir(parents=True)  # unfinished
    return folder

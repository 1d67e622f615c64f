"""The plant command and function: from a model and motifs to tables, and what is refused."""

import csv
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from kipoi_motifrep import InputError, Motif, plant, write_motifs
from kipoi_motifrep.cli.program import main
from kipoi_motifrep.datasets.simulate import LABEL_NAMES, load_planted_motifs, simulate
from kipoi_motifrep.representation.plant import FILES, read_planted
from kipoi_motifrep.representation.planting import WAYS
from kipoi_motifrep.sequences.alphabet import decode, encode

torch = pytest.importorskip("torch")
nn = torch.nn
SHIPPED = Path(__file__).parents[2] / "models"
EYE = np.eye(4)
AC, TTG = Motif("AC", EYE[[0, 1]]), Motif("TTG", EYE[[3, 3, 2]])


class Net(nn.Module):
    """Probabilities of two classes, of any length of sequence."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.dense = nn.Conv1d(4, 6, 5), nn.Linear(6, 2)

    def forward(self, x):
        return torch.sigmoid(self.dense(torch.relu(self.conv(x)).amax(dim=2)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("plant")
    codes = np.random.default_rng(0).integers(0, 4, (30, 60)).astype(np.uint8)
    (place / "peaks.fa").write_text("".join(f">s{i}\n{decode(row)}\n" for i, row in enumerate(codes)))
    (place / "short.fa").write_text(">s\nACGT\n>t\nACGA\n")
    write_motifs([AC, TTG], place / "two.meme")
    write_motifs([Motif("wide", np.full((61, 4), 0.25))], place / "wide.meme")
    torch.jit.trace(Net().eval(), torch.zeros(2, 4, 60)).save(str(place / "net.pt"))
    return place


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_the_command_writes_what_the_function_gives(folder, tmp_path, capsys):
    words = ["plant", folder / "net.pt", "--fasta", folder / "peaks.fa", "--motifs", folder / "two.meme"]
    assert main([*map(str, words), "--labels", "a,b", "--partners", "2", "--step", "10", "-o", str(tmp_path)]) == 0
    assert "2 motifs planted in 64 sequences: 30 of the data" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "parameters.json"}
    options = {"fasta": folder / "peaks.fa", "labels": ["a", "b"], "partners": 2, "step": 10}
    found = plant(Net(), motifs=[AC, TTG], **options)
    rows = table(tmp_path / "planted.tsv")
    assert len(rows) == 2 * len(WAYS) * 2
    for row in rows:
        i, j = found.names.index(row["motif"]), "ab".index(row["output"])
        way = [
            k for k, way in enumerate(WAYS)
            if (way.form, way.place, way.orientation, str(way.copies))
            == (row["form"], row["place"], row["orientation"], row["copies"])
        ]  # fmt: skip
        assert float(row["change"]) == pytest.approx(found.change[i, way[0], j], abs=1e-5)
        assert float(row["error"]) == pytest.approx(found.error[i, way[0], j], abs=1e-5)
        assert row["unit"] == "logit"
    pairs = table(tmp_path / "planted_pairs.tsv")
    assert {int(row["distance"]) for row in pairs} == {-20, -10, 10, 20}
    assert {(row["motif"], row["partner"], row["orientation"]) for row in pairs} == {
        ("AC", "TTG", "+"),
        ("AC", "TTG", "-"),
    }
    record = json.loads((tmp_path / "parameters.json").read_text())
    assert record["command"] == "plant"
    assert (record["parameters"]["backgrounds"], record["parameters"]["seed"]) == (64, 0)
    again = read_planted(tmp_path, found.motifs)
    for name in ("change", "error", "baseline"):
        np.testing.assert_allclose(getattr(again, name), getattr(found, name), atol=1e-5)
    assert (again.outputs, again.units, again.backgrounds) == (found.outputs, found.units, found.backgrounds)
    np.testing.assert_allclose(again.interactions[1].interaction, found.interactions[1].interaction, atol=1e-5)
    with h5py.File(tmp_path / "planted.h5") as file:
        assert file["ways/copies"][:].tolist() == [way.copies for way in WAYS]


def test_the_networks_own_filters_are_planted(folder):
    found = plant(Net(), fasta=folder / "peaks.fa", partners=0, backgrounds=5)
    assert set(found.names) <= {f"filter{i}" for i in range(6)} and found.n_backgrounds == 5
    assert found.outputs == ("output0", "output1") and not found.interactions


def test_backgrounds_of_all_kinds(folder):
    """Random and given ones need no sequences; a network that takes any length is told one."""
    random = plant(Net(), motifs=AC, background="random", length=60, backgrounds=8, composition=[1, 0, 0, 0])
    given = plant(Net(), motifs=AC, background=folder / "peaks.fa", length=60)
    assert random.backgrounds == "8 random sequences" and given.backgrounds == "30 sequences of peaks.fa, as they are"
    np.testing.assert_allclose(random.error[0, 0], 0, atol=1e-6)  # all of them are A alone
    texts = [line for line in (folder / "peaks.fa").read_text().split() if line[0] != ">"]
    x = torch.from_numpy(
        np.eye(4, dtype=np.float32)[np.stack([encode(np.frombuffer(t.encode(), np.uint8)) for t in texts])]
    )
    network = Net()
    with torch.no_grad():
        mean = torch.logit(network(x.transpose(1, 2))).mean(dim=0)
    np.testing.assert_allclose(given.baseline, mean, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--motifs", "wide.meme", "--fasta", "peaks.fa"], "motif wide is 61 bases wide.* 60"),
        (["--motifs", "nothing.meme", "--fasta", "peaks.fa"], "nothing.meme"),
        (["--motifs", "two.meme"], "give sequences to shuffle, or ask for other backgrounds: random, or a FASTA file"),
        (["--background", "random"], "give sequences, by which the network's filters are found, or motifs to plant"),
        (["--motifs", "two.meme", "--background", "short.fa", "--length", "60"], "short.fa.*4 bp.*60 bp"),
        (["--motifs", "two.meme", "--fasta", "peaks.fa", "--composition", *"1000"], "composition is of random"),
        (["--motifs", "two.meme", "--background", "random", "--composition", *"1100"], "four probabilities"),
        (["--motifs", "two.meme", "--fasta", "peaks.fa", "--backgrounds", "1"], "backgrounds must be 2 or more"),
        (["--motifs", "two.meme", "--fasta", "peaks.fa", "--labels", "a"], "1 labels for 2 outputs"),
        (["--fasta", "empty.fa"], "empty.fa"),
        (
            ["--motifs", "two.meme", "--fasta", "peaks.fa", "--length", "50"],
            "--length is 50, but the network reads 60 bp",
        ),
    ],
)
def test_what_is_wrong_is_one_line(folder, tmp_path, capsys, monkeypatch, options, words):
    monkeypatch.chdir(folder)
    (folder / "empty.fa").write_text("")
    assert main(["plant", "net.pt", *options, "-o", str(tmp_path / "out")]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(lines) == 1
    import re

    assert re.search(words, lines[0]), lines[0]
    assert not (tmp_path / "out").exists()


def test_filters_that_never_fire_cannot_be_planted(folder):
    network = Net()
    nn.init.constant_(network.conv.bias, -1e3)
    with pytest.raises(InputError, match="no filter to plant: all 6 are dead"):
        plant(network, fasta=folder / "peaks.fa")


@pytest.mark.parametrize("name", ["cnn_25", "cnn_2"])
def test_a_planted_motif_raises_the_logit_of_its_factor_most(name):
    """JASPAR's matrices, in sequences of the data with their dinucleotides kept."""
    matrices = zip(LABEL_NAMES, load_planted_motifs()[::2], strict=True)
    motifs = [Motif(label, pwm / pwm.sum(axis=1, keepdims=True)) for label, pwm in matrices]
    found = plant(
        SHIPPED / "synthetic" / name, np.eye(4, dtype=np.float32)[simulate(200, 5).sequences], motifs, partners=0
    )
    assert found.outputs == LABEL_NAMES and set(found.units) == {"logit"}
    for j, way in enumerate(WAYS):
        own = found.change[:, j].argmax(axis=1) == np.arange(12)
        assert own.sum() >= 11, way
        assert found.change[2, j].argmax() == LABEL_NAMES.index("FOSL1")
    # Both strands, since the data has motifs on both; and each copy adds.
    change = np.diagonal(found.change, axis1=0, axis2=2)
    error = np.diagonal(found.error, axis1=0, axis2=2)
    assert (np.abs(change[0] - change[1]) < 4 * np.hypot(error[0], error[1])).sum() >= 11
    assert (np.diff(change[[4, 6, 7, 8]], axis=0) > 0).mean() > 0.9
    # 64 backgrounds are enough to tell an effect: its standard error is about a twentieth of it.
    assert (error[0] < 0.07 * change[0]).sum() >= 11

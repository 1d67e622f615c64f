"""Scanning with known motifs against a plain loop, and the command's table."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from kipoi_motifrep.baseline import best_sites, candidates, scan_baseline
from kipoi_motifrep.cli import main
from kipoi_motifrep.datasets import create_dataset
from kipoi_motifrep.errors import InputError
from kipoi_motifrep.jaspar import load
from kipoi_motifrep.motifs import Motif, read_motifs
from kipoi_motifrep.sequences.alphabet import reverse_complement
from kipoi_motifrep.tables import read_table


def naive_best_site(codes, motif):
    """Score of the best site, base by base."""
    best = -np.inf
    short = max(motif.width - len(codes), 0)
    codes = [4] * short + list(codes) + [4] * short
    for matrix in (motif.pwm, motif.pwm[::-1, ::-1]):
        for start in range(len(codes) - len(matrix) + 1):
            score = 0.0
            for row, code in zip(matrix, codes[start:], strict=False):
                if code < 4:
                    score += np.log2((motif.nsites * row[code] + 0.25) / (motif.nsites + 1) / 0.25)
            best = max(best, score)
    return best


def random_motif(rng, name, width):
    return Motif(name, rng.dirichlet(np.full(4, 0.3), width), nsites=float(rng.integers(5, 500)))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), length=st.integers(1, 25), n=st.integers(1, 5))
def test_best_sites_equal_a_plain_loop(seed, length, n):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 5, (n, length), dtype=np.uint8)
    motifs = [random_motif(rng, f"m{i}", width) for i, width in enumerate(rng.integers(1, 20, 4))]
    expected = [[naive_best_site(row, motif) for motif in motifs] for row in codes]
    np.testing.assert_allclose(best_sites(codes, motifs), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(best_sites(reverse_complement(codes), motifs), expected, rtol=1e-5, atol=1e-4)


def test_candidates_by_name_and_by_truth(tmp_path):
    database = load("JASPAR2016")
    by_name = candidates(["max", "FOSL1", "enhancer"], database)
    assert {"MA0058.3", "MA0059.1"} <= {motif.name for motif in by_name["max"]}  # MAX, and MAX::MYC
    assert [motif.name for motif in by_name["FOSL1"]] == ["MA0477.1"]
    assert by_name["enhancer"] == []
    (tmp_path / "truth.tsv").write_text("Fosl1\tMA0477.1,MA0476.1\n")
    by_truth = candidates(["FOSL1"], database, tmp_path / "truth.tsv")
    assert [motif.name for motif in by_truth["FOSL1"]] == ["MA0476.1", "MA0477.1"]


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A data set with MAX sites in half of the sequences, and labels that are partly masked."""
    path = tmp_path_factory.mktemp("baseline") / "max.h5"
    motif, rng = load("JASPAR2016")["MA0058.3"], np.random.default_rng(1)
    with create_dataset(path, 60, ["MAX", "CTCF", "mystery"], {}) as writer:
        for split, n in (("train", 80), ("valid", 10), ("test", 100)):
            codes = rng.integers(0, 4, (n, 60), dtype=np.uint8)
            labels = rng.integers(-1, 2, (n, 3), dtype=np.int8)
            for i in np.flatnonzero(labels[:, 0] == 1):
                start = rng.integers(0, 60 - motif.width)
                codes[i, start:start + motif.width] = [rng.choice(4, p=row / row.sum()) for row in motif.pwm]
            writer.append(split, codes, labels)
    return path


def test_the_best_matrix_in_training_is_judged_on_the_test(planted):
    from kipoi_motifrep.datasets import open_dataset

    found = {one.label: one for one in scan_baseline(planted, database="JASPAR2016")}
    data, database = open_dataset(planted), load("JASPAR2016")
    in_training, in_test = {}, {}
    for motif in candidates(["MAX"], database)["MAX"]:
        for split, scores in (("train", in_training), ("test", in_test)):
            labels = data[split].read("labels")[:, 0]
            sites = [naive_best_site(row, motif) for row in data[split].read("sequences")]
            known = labels != -1
            scores[motif.name] = [judge(labels[known], np.array(sites)[known])
                                  for judge in (roc_auc_score, average_precision_score)]
    best = max(in_training, key=lambda name: in_training[name][0])
    one = found["MAX"]
    assert one.motif.name == best and one.n_candidates == len(in_training)
    assert [one.auroc, one.aupr] == pytest.approx(in_test[best], abs=1e-3)
    assert one.auroc > 0.8
    assert one.n_positives + one.n_negatives == (data["test"].read("labels")[:, 0] != -1).sum()
    assert found["mystery"].motif is None and np.isnan(found["mystery"].auroc)


def test_command_writes_a_table_and_its_parameters(planted, tmp_path, capsys):
    out = tmp_path / "floor.tsv"
    assert main(["baseline", str(planted), "--database", "JASPAR2016", "-o", str(out)]) == 0
    rows = {row["label"]: row for row in read_table(out)}
    assert float(rows["MAX"]["auroc"]) > 0.8 and rows["mystery"]["matrix"] == ""
    assert json.loads((tmp_path / "floor.json").read_text())["parameters"]["dataset"] == "max.h5"
    said = capsys.readouterr().err
    assert "no matrix is known of mystery" in said and "2 of 3 labels" in said


def test_all_releases_by_default(planted, tmp_path):
    found = {one.label: one for one in scan_baseline(planted)}
    assert found["MAX"].n_candidates > len(candidates(["MAX"], load("JASPAR2026"))["MAX"])


def test_motif_file_as_database(planted, tmp_path):
    from kipoi_motifrep.motifs import write_motifs

    write_motifs([load("JASPAR2016")["MA0058.3"]], tmp_path / "max.meme")
    [one, *_] = scan_baseline(planted, database=tmp_path / "max.meme")
    assert one.motif.name == read_motifs(tmp_path / "max.meme")[0].name


def test_labels_that_name_no_factor(tmp_path, capsys):
    path = tmp_path / "other.h5"
    with create_dataset(path, 20, ["open"], {}) as writer:
        for split in ("train", "valid", "test"):
            writer.append(split, np.zeros((2, 20), np.uint8), np.array([[0], [1]], np.int8))
    with pytest.raises(InputError, match="--truth"):
        scan_baseline(path, database="JASPAR2016")
    assert main(["baseline", str(path), "-o", str(tmp_path / "x.tsv")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1 and not (tmp_path / "x.tsv").exists()

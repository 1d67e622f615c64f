"""Scanning with known motifs against a plain loop, and the command's table."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from kipoi_motifrep.cli.program import main
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.tables import read_table
from kipoi_motifrep.datasets.hdf5 import create_dataset, open_dataset
from kipoi_motifrep.motifs import Motif, read_motifs, write_motifs
from kipoi_motifrep.motifs.jaspar import Database, load
from kipoi_motifrep.representation import read_known_motifs
from kipoi_motifrep.sequences.alphabet import reverse_complement
from kipoi_motifrep.training.baseline import best_sites, candidates, scan_baseline


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
    found = best_sites(codes, motifs)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=6e-4)
    np.testing.assert_allclose(best_sites(reverse_complement(codes), motifs), found, atol=1.1e-3)


def test_strands_tie_exactly():
    motif, codes = load("JASPAR2016")["MA0058.3"], np.random.default_rng(0).integers(0, 4, (1000, 60), dtype=np.uint8)
    same = best_sites(codes, [motif]) == best_sites(reverse_complement(codes), [motif])
    assert same.mean() > 0.99  # but for sums at the edge of rounding


def test_candidates_by_name_and_by_truth(tmp_path):
    database = load("JASPAR2016")
    by_name = candidates(["max", "FOSL1", "enhancer"], database)
    assert {"MA0058.3", "MA0059.1"} <= {motif.name for motif in by_name["max"]}  # MAX, and MAX::MYC
    assert [motif.name for motif in by_name["FOSL1"]] == ["MA0477.1"]
    assert by_name["enhancer"] == []
    (tmp_path / "truth.tsv").write_text("Fosl1\tMA0477.1,MA0476.1\n")
    by_truth = candidates(["FOSL1"], database, read_known_motifs(tmp_path / "truth.tsv"))
    assert [motif.name for motif in by_truth["FOSL1"]] == ["MA0476.1", "MA0477.1"]


def test_names_of_factors():
    pwm = np.full((5, 4), 0.25)
    motifs = [
        Motif("MA1.1", pwm, alt_name="FOS::JUN(var.2)"),
        Motif("JUN", pwm, alt_name="MA2.1"),
        Motif("JUN", pwm),
        Motif("JUN", np.eye(4)),
        Motif("JUNB", pwm),
    ]
    found = candidates(["jun", "FOS::JUN", "FOS"], Database(tuple(motifs), "mine"))
    # The third is the second once more; the fourth has its name only.
    assert [len(one.pwm) for one in found["jun"]] == [5, 5, 4]
    assert [one.name for one in found["FOS::JUN"]] == ["MA1.1"] and [one.name for one in found["FOS"]] == ["MA1.1"]


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
                codes[i, start : start + motif.width] = [rng.choice(4, p=row / row.sum()) for row in motif.pwm]
            writer.append(split, codes, labels)
    return path


def test_training_chooses_and_the_test_judges(tmp_path):
    """The second matrix is best in training, the first in the test."""
    rng = np.random.default_rng(0)
    pwms = [np.eye(4)[[0, 1, 2, 3, 0, 1, 2, 3]], np.eye(4)[[0, 0, 0, 0, 1, 1, 1, 1]]]
    write_motifs([Motif(f"M{i}", pwm, alt_name="MAX", nsites=20) for i, pwm in enumerate(pwms)], tmp_path / "two.meme")
    with create_dataset(tmp_path / "two.h5", 30, ["MAX"], {}) as writer:
        for split, n, planted in (("train", 20, pwms[1]), ("valid", 2, pwms[1]), ("test", 20, pwms[0])):
            codes = rng.integers(0, 4, (n, 30), dtype=np.uint8)
            codes[::2, 10:18] = planted.argmax(axis=1)
            writer.append(split, codes, (np.arange(n) % 2 == 0).astype(np.int8)[:, None])
    [one] = scan_baseline(tmp_path / "two.h5", database=tmp_path / "two.meme")
    assert (one.motif.name, one.train_auroc, one.n_candidates) == ("M1", 1.0, 2)
    assert one.auroc < 0.9


def test_the_matrix_that_is_chosen_is_judged_as_by_a_plain_loop(planted):
    found = {one.label: one for one in scan_baseline(planted, database="JASPAR2016")}
    data, database = open_dataset(planted), load("JASPAR2016")
    in_training, in_test = {}, {}
    for motif in candidates(["MAX"], database)["MAX"]:
        for split, scores in (("train", in_training), ("test", in_test)):
            labels = data[split].read("labels")[:, 0]
            sites = [naive_best_site(row, motif) for row in data[split].read("sequences")]
            known = labels != -1
            scores[motif.name] = [
                judge(labels[known], np.array(sites)[known]) for judge in (roc_auc_score, average_precision_score)
            ]
    best = max(in_training, key=lambda name: in_training[name][0])
    one = found["MAX"]
    assert one.motif.name == best and one.n_candidates == len(in_training)
    assert [one.auroc, one.aupr] == pytest.approx(in_test[best], abs=1e-4)
    assert one.auroc > 0.8
    assert one.n_positives + one.n_negatives == (data["test"].read("labels")[:, 0] != -1).sum()
    assert found["mystery"].motif is None and np.isnan(found["mystery"].auroc)


def test_command_writes_a_table_and_its_parameters(planted, tmp_path, capsys):
    out = tmp_path / "floor.tsv"
    assert main(["baseline", str(planted), "--database", "JASPAR2016", "-o", str(out)]) == 0
    rows = {row["label"]: row for row in read_table(out)}
    assert float(rows["MAX"]["auroc"]) > 0.8 and rows["mystery"]["matrix"] == ""
    recorded = json.loads((tmp_path / "floor.tsv.json").read_text())["parameters"]
    assert (recorded["dataset"], recorded["collection"], recorded["truth"]) == ("max.h5", ["CORE"], None)
    said = capsys.readouterr().err
    assert "no matrix for 1 label (mystery); name some with --truth" in said and "2 of 3 labels" in said


def test_all_releases_by_default(planted):
    found = {one.label: one for one in scan_baseline(planted)}
    assert found["MAX"].n_candidates > len(candidates(["MAX"], load("JASPAR2026"))["MAX"])


def test_releases_that_lack_a_collection_are_left_out(planted):
    from kipoi_motifrep.training.baseline import _releases_with

    assert 0 < len(_releases_with(None, "UNVALIDATED")) < len(_releases_with("vertebrates", "CORE"))
    with pytest.raises(InputError, match="no collection in JASPAR2026 is named 'none'"):
        scan_baseline(planted, collection="none")


def test_motif_file_as_database(planted, tmp_path):
    write_motifs([load("JASPAR2016")["MA0058.3"]], tmp_path / "max.meme")
    [one, *_] = scan_baseline(planted, database=tmp_path / "max.meme")
    assert one.motif.name == read_motifs(tmp_path / "max.meme")[0].name


@pytest.mark.parametrize("name, words", [(".", "is a folder"), ("max.h5", "is also an input")])
def test_outputs_that_would_destroy_something(planted, tmp_path, capsys, name, words):
    data = tmp_path / "max.h5"
    data.write_bytes(planted.read_bytes())
    assert main(["baseline", str(data), "--database", "JASPAR2016", "-o", str(tmp_path / name)]) == 2
    assert words in capsys.readouterr().err and data.read_bytes() == planted.read_bytes()


def one_class(path, split):
    with create_dataset(path, 20, ["MAX"], {}) as writer:
        for each in ("train", "valid", "test"):
            labels = np.array([[1], [1 if each == split else 0]], np.int8)
            writer.append(each, np.zeros((2, 20), np.uint8), labels)
    return path


def test_a_label_with_one_class(tmp_path, capsys):
    [one] = scan_baseline(one_class(tmp_path / "train.h5", "train"), database="JASPAR2016")
    assert one.motif is None and one.n_candidates > 1  # nothing to choose by
    assert (
        main(
            [
                "baseline",
                str(one_class(tmp_path / "test.h5", "test")),
                "--database",
                "JASPAR2016",
                "-o",
                str(tmp_path / "x.tsv"),
            ]
        )
        == 0
    )
    assert "no label with a matrix has both classes in the test split" in capsys.readouterr().err
    assert read_table(tmp_path / "x.tsv")[0]["auroc"] == ""


def test_an_empty_split(tmp_path):
    with create_dataset(tmp_path / "empty.h5", 20, ["MAX"], {}) as writer:
        writer.append("train", np.zeros((2, 20), np.uint8), np.array([[0], [1]], np.int8))
    with pytest.raises(InputError, match="split 'valid' is empty"):
        scan_baseline(tmp_path / "empty.h5")


def test_a_truth_of_other_labels(planted, tmp_path):
    (tmp_path / "truth.tsv").write_text("FOSL1\tMA0477.1\n")
    with pytest.raises(InputError, match=r"none of its labels \(MAX, CTCF, mystery\) is in .*truth.tsv"):
        scan_baseline(planted, database="JASPAR2016", truth=tmp_path / "truth.tsv")


def test_labels_that_name_no_factor(tmp_path, capsys):
    path = tmp_path / "other.h5"
    with create_dataset(path, 20, ["open"], {}) as writer:
        for split in ("train", "valid", "test"):
            writer.append(split, np.zeros((2, 20), np.uint8), np.array([[0], [1]], np.int8))
    with pytest.raises(InputError, match="truth=FILE"):
        scan_baseline(path, database="JASPAR2016")
    assert main(["baseline", str(path), "-o", str(tmp_path / "x.tsv")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1 and not (tmp_path / "x.tsv").exists()

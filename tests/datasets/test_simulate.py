"""The synthetic task: the published data set bit for bit, and the fast simulator against what it promises."""

import hashlib
import json

import numpy as np
import pytest

from kipoi_motifrep.cli import program as cli
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.datasets import simulate
from kipoi_motifrep.datasets.hdf5 import open_dataset

# Koo & Eddy 2019: the planted motifs in the order of the labels, with their widths.
PAPER = [
    ("Arid3a", "MA0151.1", 6),
    ("CEBPB", "MA0466.2", 10),
    ("FOSL1", "MA0477.1", 11),
    ("Gabpa", "MA0062.2", 11),
    ("MAFK", "MA0496.1", 15),
    ("MAX", "MA0058.3", 10),
    ("MEF2A", "MA0052.3", 12),
    ("NFYB", "MA0502.1", 15),
    ("SP1", "MA0079.3", 11),
    ("SRF", "MA0083.3", 16),
    ("STAT1", "MA0137.3", 11),
    ("YY1", "MA0095.2", 12),
]
DISTINCT_LABELS = {1: 13065, 2: 6719, 3: 3820, 4: 1120, 5: 276}
MOTIFS_PER_SEQUENCE = [0.5, 0.25, 0.17, 0.05, 0.03]
# Of the file that --published writes: sequences and labels of train, valid and test.
GOLDEN = "6c045bc17293120a7648519ac5eab72be600f897f176ba5943c4712571f5f6ca"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "synthetic.h5"
    assert cli.main(["simulate", "--published", "-o", str(path)]) == 0
    return open_dataset(path)


def test_the_published_data_set_has_the_papers_counts(published):
    assert {name: len(split) for name, split in published.splits.items()} == {
        "train": 17_500,
        "valid": 2_500,
        "test": 5_000,
    }
    assert published.label_names == tuple(name for name, *_ in PAPER) and published.length == 200
    labels = np.concatenate([split.read("labels") for split in published.splits.values()])
    found, counts = np.unique(labels.sum(axis=1), return_counts=True)
    assert dict(zip(found.tolist(), counts.tolist(), strict=True)) == DISTINCT_LABELS


def test_the_published_data_set_has_not_drifted(published):
    digest = hashlib.sha256()
    for split in ("train", "valid", "test"):
        for key in ("sequences", "labels"):
            digest.update(published[split].read(key).tobytes())
    assert digest.hexdigest() == GOLDEN


def test_the_published_file_says_where_it_comes_from(published):
    assert published.provenance["command"] == "simulate" and published.provenance["published"] is True
    assert published.provenance["seed"] == 33 and published.provenance["number"] == 25_000
    assert published.provenance["sources"]["motifs"] == {name: matrix for name, matrix, _ in PAPER}
    assert published["test"].read("names", 0, 1)[0].startswith("sequence_")


def naive_matrices():
    """Lists of columns of plain numbers, TF by TF, each followed by its reverse complement."""
    from pyjaspar import jaspardb

    database, matrices = jaspardb(release="JASPAR2016"), []
    for name, matrix_id, width in PAPER:
        motif = database.fetch_motif_by_id(matrix_id)
        assert motif.name.upper() == name.upper() and motif.length == width
        columns = []
        for i in range(width):
            counts = [motif.counts[base][i] for base in "ACGT"]
            columns.append([count / sum(counts) for count in counts])
        matrices.append(columns)
        matrices.append([[t, g, c, a] for a, c, g, t in reversed(columns)])
    return matrices


def naive_layout(random, matrices):
    """One layout by the recipe: how many motifs, which, and the gaps around them."""
    while True:
        draw, number = random.rand(), 0
        for threshold in (0, 0.5, 0.75, 0.92, 0.97, 1.27):
            if draw > threshold:
                number += 1
        chosen = [int(motif) for motif in random.randint(24, size=number)]
        left = 200 - sum(len(matrices[motif]) for motif in chosen)
        if left >= 0:
            break
    while True:
        draws = random.uniform(0, 1, number + 1)
        total = sum(draws)
        gaps = [round(draw / total * left) for draw in draws]
        if sum(gaps) == left:
            return chosen, gaps


def naive_sequence(random, matrices):
    chosen, gaps = naive_layout(random, matrices)
    columns = []
    for gap, motif in zip(gaps, [*chosen, None], strict=True):
        columns += [[0.25] * 4] * gap
        columns += matrices[motif] if motif is not None else []
    bases = ""
    for draw, column in zip(random.uniform(0, 1, 200), columns, strict=True):
        total = 0.0
        for letter, probability in zip("ACGT", column, strict=True):
            total += probability
            if total > draw:
                bases += letter
                break
        else:
            bases += "T"
    labels = [int(2 * tf in chosen or 2 * tf + 1 in chosen) for tf in range(12)]
    return bases, labels


def test_the_first_published_sequences_are_those_of_the_recipe():
    matrices, random = naive_matrices(), np.random.RandomState(33)
    for _ in range(10):
        naive_layout(random, matrices)
    data = simulate.simulate_published()
    for i in range(200):
        bases, labels = naive_sequence(random, matrices)
        assert "".join("ACGT"[code] for code in data.sequences[i]) == bases
        assert data.labels[i].tolist() == labels


def test_the_splits_are_the_permutation_dealt_out(published):
    data = simulate.simulate_published()
    assert sorted(data.split) == list(range(25_000))
    begin = 0
    for split in ("train", "valid", "test"):
        rows = data.split[begin : begin + len(published[split])]
        np.testing.assert_array_equal(published[split].read("sequences"), data.sequences[rows])
        np.testing.assert_array_equal(published[split].read("labels"), data.labels[rows])
        assert published[split].read("names", 0, 3).tolist() == [f"sequence_{row}" for row in rows[:3]]
        begin += len(rows)


def test_matrices_are_in_the_order_of_the_labels_and_strands():
    for matrix, expected in zip(simulate.load_planted_motifs(), naive_matrices(), strict=True):
        np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-15)


# The fast simulator, with motifs that can be found again


WORD, DEGENERATE = 20, [0.1, 0.2, 0.3, 0.4]


@pytest.fixture(scope="module")
def words():
    return [np.random.default_rng(i).integers(0, 4, WORD) for i in range(24)]


@pytest.fixture(scope="module")
def simulated(words):
    """20,000 sequences with 24 words, too long to be there by chance, each followed by 0 to 5 degenerate columns."""
    matrices = [np.concatenate([np.eye(4)[word], np.tile(DEGENERATE, (i % 6, 1))]) for i, word in enumerate(words)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate, "load_planted_motifs", lambda: matrices)
        data = simulate.simulate(20_000, seed=5)
    texts = ["".join("ACGT"[code] for code in row) for row in data.sequences]
    found = []
    for text in texts:
        places = []
        for i, word in enumerate(words):
            letters = "".join("ACGT"[code] for code in word)
            at = text.find(letters)
            while at >= 0:
                places.append((at, i))
                at = text.find(letters, at + 1)
        found.append(sorted(places))
    return data, texts, found


def test_labels_name_the_motifs_that_are_there(simulated):
    data, _, found = simulated
    for labels, places in zip(data.labels, found, strict=True):
        assert set(np.flatnonzero(labels)) == {i // 2 for _, i in places}


def test_motifs_do_not_overlap_and_lie_whole_in_the_sequence(simulated):
    for places in simulated[2]:
        ends = [at + WORD + i % 6 for at, i in places]
        assert ends[-1] <= 200 and all(end <= at for end, (at, _) in zip(ends, places[1:], strict=False))


def test_numbers_of_motifs_have_the_papers_frequencies(simulated):
    counts = np.bincount([len(places) for places in simulated[2]], minlength=6)
    assert counts[0] == 0 and len(counts) == 6
    for count, expected in zip(counts[1:] / 20_000, MOTIFS_PER_SEQUENCE, strict=True):
        assert abs(count - expected) < 4 * (expected * (1 - expected) / 20_000) ** 0.5


def test_every_motif_is_drawn_alike_and_with_replacement(simulated):
    drawn = np.bincount([i for places in simulated[2] for _, i in places], minlength=24)
    expected = drawn.sum() / 24
    assert (abs(drawn - expected) < 4.5 * expected**0.5).all()
    pairs = [places for places in simulated[2] if len(places) == 2]
    same = np.mean([one[1] == other[1] for one, other in pairs])
    assert abs(same - 1 / 24) < 4 * (1 / 24 / len(pairs)) ** 0.5


def test_places_are_those_of_the_recipe(simulated, words):
    matrices, random = [[None] * (WORD + i % 6) for i in range(24)], np.random.RandomState(0)
    slow = {k: [] for k in range(1, 6)}
    for _ in range(8_000):
        chosen, gaps = naive_layout(random, matrices)
        slow[len(chosen)].append(gaps[:-1])
    for k in (1, 2, 3):
        fast = np.array(
            [
                [at - (places[j - 1][0] + WORD + places[j - 1][1] % 6 if j else 0) for j, (at, _) in enumerate(places)]
                for places in simulated[2]
                if len(places) == k
            ]
        )
        expected = np.array(slow[k])
        spread = expected.std(axis=0) * (1 / len(expected) + 1 / len(fast)) ** 0.5
        assert (abs(fast.mean(axis=0) - expected.mean(axis=0)) < 4 * spread).all()
        np.testing.assert_allclose(fast.std(axis=0), expected.std(axis=0), rtol=0.06)


def test_bases_follow_their_columns(simulated):
    _, texts, found = simulated
    after, before = "", ""
    for text, places in zip(texts, found, strict=True):
        for at, i in places:
            after += text[at + WORD : at + WORD + i % 6]
        before += text[: places[0][0]]
    for letters, columns in ((after, DEGENERATE), (before, [0.25] * 4)):
        assert len(letters) > 50_000
        for letter, expected in zip("ACGT", columns, strict=True):
            assert abs(letters.count(letter) / len(letters) - expected) < 4 * (expected / len(letters)) ** 0.5


def test_the_same_seed_gives_the_same_data_and_another_other_data():
    one, again, other = simulate.simulate(300, 1), simulate.simulate(300, 1), simulate.simulate(300, 2)
    for key in ("sequences", "labels", "split"):
        np.testing.assert_array_equal(getattr(one, key), getattr(again, key))
        assert (getattr(one, key) != getattr(other, key)).any()


def test_types_and_values():
    data = simulate.simulate(100)
    assert data.sequences.dtype == np.uint8 and data.sequences.shape == (100, 200) and data.sequences.max() <= 3
    assert data.labels.dtype == np.int8 and set(np.unique(data.labels)) == {0, 1}
    assert (data.labels.sum(axis=1) >= 1).all() and sorted(data.split) == list(range(100))


@pytest.mark.parametrize("n", [10, 11, 19, 25])
def test_few_sequences_still_fill_every_split(tmp_path, n):
    path = tmp_path / "few.h5"
    assert cli.main(["simulate", "-n", str(n), "--seed", "3", "-o", str(path)]) == 0
    dataset = open_dataset(path)
    sizes = [len(split) for split in dataset.splits.values()]
    assert sum(sizes) == n and min(sizes) >= 1
    names = [name for split in dataset.splits.values() for name in split.read("names")]
    assert sorted(names) == sorted(f"sequence_{i}" for i in range(n))
    assert json.loads(json.dumps(dataset.provenance))["number"] == n and dataset.provenance["seed"] == 3


@pytest.mark.parametrize("n", [9, 0, -5])
def test_too_few_sequences_are_refused(n, tmp_path, capsys):
    with pytest.raises(InputError, match=f"number of sequences is {n}"):
        simulate.simulate(n)
    assert cli.main(["simulate", "-n", str(n), "-o", str(tmp_path / "x.h5")]) == 2
    assert f"number of sequences is {n}" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_negative_seed_is_refused(tmp_path, capsys):
    assert cli.main(["simulate", "-n", "10", "--seed", "-1", "-o", str(tmp_path / "x.h5")]) == 2
    assert "seed is -1" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["-n", "100"], ["--seed", "33"], ["-n", "0"], ["--seed", "0"]])
def test_published_fixes_number_and_seed(tmp_path, capsys, option):
    assert cli.main(["simulate", "--published", *option, "-o", str(tmp_path / "x.h5")]) == 2
    assert "--published fixes the number and the seed" in capsys.readouterr().err

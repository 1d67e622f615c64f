"""Planted motifs: on networks with known weights the answer is computed by hand."""

from dataclasses import replace

import numpy as np
import pytest

from kipoi_motifrep import InputError, Motif, open_network
from kipoi_motifrep.networks.logits import Logits
from kipoi_motifrep.representation.backgrounds import Backgrounds
from kipoi_motifrep.representation.planting import (
    ANYWHERE,
    CENTRE,
    SAMPLED,
    WAYS,
    Interaction,
    Planted,
    n_backgrounds,
    plant_motifs,
    put,
    strongest,
)
from kipoi_motifrep.sequences.shuffling import random_sequences

torch = pytest.importorskip("torch")
nn = torch.nn

LENGTH = 40
AC, GGT = (Motif(text, np.eye(4)[["ACGT".index(base) for base in text]]) for text in ("AC", "GGT"))
T_ALONE = Backgrounds(np.full((6, LENGTH), 3, np.uint8), "T alone")
RANDOM = Backgrounds(random_sequences(50, LENGTH, np.random.default_rng(0)), "random")


class Counts(nn.Module):
    """Logits: the number of AC, 3 minus twice the number of GGT, and AC times GGT; their sigmoid."""

    def __init__(self, end=torch.sigmoid):
        super().__init__()
        self.conv, self.end = nn.Conv1d(4, 2, 3, padding=1), end
        with torch.no_grad():
            self.conv.weight.zero_()
            for place, base in enumerate((0, 1)):
                self.conv.weight[0, base, place] = 1
            for place, base in enumerate((2, 2, 3)):
                self.conv.weight[1, base, place] = 1
            self.conv.bias.copy_(torch.tensor([-1.0, -2.0]))

    def forward(self, x):
        ac, ggt = torch.relu(self.conv(x)).sum(dim=2).unbind(1)
        return self.end(torch.stack([ac, 3 - 2 * ggt, ac * ggt], dim=1))


@pytest.fixture(scope="module")
def logits():
    return Logits(open_network(Counts(), length=LENGTH))


def plant(logits, motifs=(AC, GGT), backgrounds=T_ALONE, **options):
    return plant_motifs(logits, motifs, backgrounds, ("ac", "ggt", "both"), **options)


def count(codes, motif):
    text = ["".join("ACGT"[code] for code in row) for row in codes]
    return np.array([sum(row.startswith(motif.name, i) for i in range(len(row))) for row in text], float)


def test_each_way_by_hand(logits):
    """In a background of T alone, a motif is there as often as it is planted; reversed, AC is GT and GGT is ACC."""
    found = plant(logits)
    assert found.units == ("logit",) * 3 and found.n_backgrounds == 6
    np.testing.assert_allclose(found.baseline, [0, 3, 0], atol=1e-5)
    for j, way in enumerate(WAYS):
        forward = way.orientation == "+"
        np.testing.assert_allclose(found.change[0, j], [way.copies * forward, 0, 0], atol=1e-4)
        # The T behind GG may be that of the background: only the forward copies hold GGT, reversed ones hold AC.
        np.testing.assert_allclose(
            found.change[1, j], [0 if forward else way.copies, -2 * way.copies * forward, 0], atol=1e-4
        )
    np.testing.assert_allclose(found.error, 0, atol=1e-5)


def test_means_and_errors_are_those_of_the_differences(logits):
    """Paired with the same backgrounds: counts by plain strings, before and after."""
    codes = RANDOM.codes.copy()
    codes[:, LENGTH // 2 - 1 : LENGTH // 2 + 1] = [0, 1]
    before, after = (np.stack([count(one, AC), 3 - 2 * count(one, GGT)]).T for one in (RANDOM.codes, codes))
    found = plant(logits, [AC], RANDOM)
    np.testing.assert_allclose(found.baseline[:2], before.mean(axis=0), rtol=1e-4)
    difference = after - before
    np.testing.assert_allclose(found.change[0, 0, :2], difference.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(found.error[0, 0, :2], difference.std(axis=0, ddof=1) / 50**0.5, atol=1e-4)


def test_sites_are_drawn_from_the_pwm(logits):
    """A or G, then C: half of the sites are AC."""
    half = Motif("half", [[0.5, 0, 0.5, 0], [0, 1, 0, 0]])
    many = Backgrounds(np.full((400, LENGTH), 3, np.uint8), "T alone")
    found = plant(logits, [half], many)
    assert found.change[0, 0, 0] == pytest.approx(0.5, abs=4 * 0.5 / 400**0.5)
    assert found.error[0, 0, 0] == pytest.approx(0.5 / 400**0.5, rel=0.05)


def test_a_consensus_keeps_the_background_where_it_is_n(logits):
    gap = Motif("A-C", [[1, 0, 0, 0], [0.25] * 4, [0, 1, 0, 0]])
    backgrounds = Backgrounds(np.tile(np.array([0, 1], np.uint8), (3, LENGTH // 2)), "ACAC")
    consensus = [way.form for way in WAYS].index("consensus")
    for shift, change in ((0, -1), (1, 0)):  # A, then the background's C or A
        codes = np.roll(backgrounds.codes, shift, axis=1)
        middle = codes[0, LENGTH // 2 - 1 : LENGTH // 2 + 2].copy()
        middle[[0, 2]] = 0, 1
        planted = codes.copy()
        planted[:, LENGTH // 2 - 1 : LENGTH // 2 + 2] = middle
        expected = count(planted, AC)[0] - count(codes, AC)[0]
        found = plant(logits, [gap], replace(backgrounds, codes=codes))
        assert found.change[0, consensus, 0] == pytest.approx(expected, abs=1e-4)
        assert expected == change or shift


def test_copies_anywhere_do_not_overlap(logits):
    """Four copies of a motif of a quarter of the length have one way to stand; wider ones do not fit."""
    ten = Motif("ten", np.eye(4)[[0, 1] * 5])
    found = plant(logits, [ten, Motif("twenty", np.eye(4)[[0, 1] * 10])])
    copies = [(j, way.copies) for j, way in enumerate(WAYS) if way.place == ANYWHERE and way.orientation == "+"]
    for j, number in copies:
        assert found.change[0, j, 0] == pytest.approx(5 * number, abs=1e-4)
        assert np.isnan(found.change[1, j, 0]) == (number > 2)


def test_anywhere_is_anywhere():
    """A network that sees one place: the motif is there in as many backgrounds as it should."""

    class Place(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(4, 1, 1, bias=False)
            nn.init.constant_(self.conv.weight, 0)
            self.conv.weight.data[0, 0, 0] = 1

        def forward(self, x):
            return torch.relu(self.conv(x))[:, 0, 4:8].sum(dim=1, keepdim=True) + 0

    many = Backgrounds(np.full((4000, LENGTH), 3, np.uint8), "T alone")
    found = plant_motifs(
        Logits(open_network(Place(), length=LENGTH)), [Motif("A", [[1, 0, 0, 0]])], many, ("a",), batch_size=4000
    )
    for j, way in enumerate(WAYS):
        if way.place == CENTRE:
            assert found.change[0, j, 0] == 0
        elif way.orientation == "+":
            assert found.change[0, j, 0] == pytest.approx(way.copies * 4 / LENGTH, rel=0.15)


def test_an_interaction_by_hand(logits):
    """AC and GGT: independent in the first two outputs, 1 in their product, wherever they stand."""
    found = plant(logits, partners=2, distances=(3, 10, 15, 30))
    assert [(one.first, one.second, one.orientation) for one in found.interactions] == [
        ("AC", "GGT", "+"),
        ("AC", "GGT", "-"),
    ]
    forward, reverse = found.interactions
    assert forward.distances.tolist() == [-15, -10, -3, 3, 10, 15]  # 30 is outside
    np.testing.assert_allclose(forward.interaction, np.tile([0, 0, 1], (6, 1)), atol=1e-4)
    np.testing.assert_allclose(reverse.interaction, 0, atol=1e-4)
    one, output = found.partner("AC")
    assert (one.second, output) == ("GGT", 2)
    other, _ = found.partner("GGT")
    assert (other.first, other.second) == ("GGT", "AC") and other.distances.tolist() == (-one.distances)[::-1].tolist()


def test_motifs_that_act_alone_have_no_partner(logits):
    class Apart(Counts):
        def forward(self, x):
            return super().forward(x)[:, :2]

    found = plant_motifs(
        Logits(open_network(Apart(), length=LENGTH)), (AC, GGT), RANDOM, ("ac", "ggt"), partners=2, distances=(12,)
    )
    assert found.interactions and found.partner("AC") is found.partner("GGT") is None


@pytest.mark.parametrize(("n", "told"), [(64, True), (8, False)])
def test_few_backgrounds_take_more_standard_errors(n, told):
    """Five standard errors tell an interaction with 63 degrees of freedom, and not with 7."""
    pair = Interaction("a", "b", "+", np.array([9]), np.array([[5.0]]), np.array([[1.0]]))
    none = np.zeros((2, len(WAYS), 1))
    motifs = replace(AC, name="a"), replace(AC, name="b")
    found = Planted(motifs, ("x",), ("logit",), n, "", none[0, 0], none, none, (pair,))
    assert (found.partner("a") is not None) == (found.partner("b") is not None) == told


def test_a_reverse_complement_is_the_other_orientation(logits):
    """Of sites that are certain; and a network that reads both strands alike cannot tell them apart."""
    motif = Motif("m", np.eye(4)[[0, 1, 1, 2, 3]])
    one, other = (plant(logits, [given], RANDOM) for given in (motif, motif.reverse_complement()))
    for j, way in enumerate(WAYS):
        if way.copies == 1:
            swapped = WAYS.index(replace(way, orientation="-" if way.orientation == "+" else "+"))
            np.testing.assert_allclose(one.change[0, j], other.change[0, swapped], atol=1e-4)

    class Both(Counts):
        def forward(self, x):
            return super().forward(x) + super().forward(x.flip(1, 2))

    both = plant_motifs(
        Logits(open_network(Both(lambda z: z), length=LENGTH)),
        [motif],
        Backgrounds(
            np.concatenate([RANDOM.codes[:, :LENGTH], 3 - RANDOM.codes[:, ::-1]]), "random, and reverse complements"
        ),
        ("ac", "ggt", "both"),
    )
    forward, backward = both.change[0, [0, 1], :2]
    # The centre of an odd motif in an even sequence is one base off on the other strand: new neighbours, same mean.
    np.testing.assert_allclose(forward, backward, atol=3 * both.error[0, 0, :2].max())


@pytest.mark.parametrize("batch_size", [1, 7, 50, 120, 10_000])
def test_the_batch_size_does_not_change_the_answer(logits, batch_size):
    motifs = [Motif("half", [[0.5, 0, 0.5, 0], [0, 1, 0, 0]]), GGT]
    few = replace(RANDOM, codes=RANDOM.codes[:9])
    one, other = (plant(logits, motifs, few, partners=2, batch_size=size) for size in (None, batch_size))
    np.testing.assert_allclose(one.change, other.change, atol=1e-4)
    np.testing.assert_allclose(one.error, other.error, atol=1e-4)
    for pair, again in zip(one.interactions, other.interactions, strict=True):
        np.testing.assert_allclose(pair.interaction, again.interaction, atol=1e-4)


def test_a_motifs_result_is_its_own_and_that_of_the_seed(logits):
    half = Motif("half", [[0.5, 0, 0.5, 0], [0, 0.5, 0.5, 0]])
    alone, beside = plant(logits, [half], RANDOM), plant(logits, [GGT, half], RANDOM)
    np.testing.assert_allclose(alone.change[0], beside.change[1], atol=1e-5)
    assert not np.allclose(alone.change, plant(logits, [half], RANDOM, seed=1).change)


def test_other_inputs_stay_with_their_backgrounds():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(4, 1, 1)

        def forward(self, dna, weight):
            return torch.relu(self.conv(dna)).sum(dim=2) * 0 + weight * dna[:, 0].sum(dim=1, keepdim=True) + 0

    weight = np.arange(6, dtype=np.float32)[:, None]
    network = open_network(Two(), length=LENGTH, example=[np.zeros((6, 4, LENGTH), np.float32), weight])
    found = plant_motifs(Logits(network), [AC], replace(T_ALONE, others={"1": weight}), ("sum",), batch_size=4)
    assert found.change[0, 0, 0] == pytest.approx(2.5)  # one A, times the mean weight


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"motifs": ()}, "no motifs to plant"),
        ({"motifs": (Motif("wide", np.full((41, 4), 0.25)),)}, "wide is 41 bases wide, more than the sequences.* 40"),
        ({"backgrounds": Backgrounds(np.zeros((0, LENGTH), np.uint8), "")}, "no sequences"),
    ],
)
def test_what_cannot_be_planted(logits, options, message):
    with pytest.raises(InputError, match=message):
        plant(logits, **options)


def test_names_of_outputs_are_as_many(logits):
    with pytest.raises(InputError, match="1 names for 3 outputs"):
        plant_motifs(logits, [AC], T_ALONE, ("ac",))


def test_the_strongest_are_of_several_outputs():
    change = np.array([[[9.0, 0.0]], [[8.0, 0.1]], [[7.0, 0.0]], [[0.0, -1.0]]])
    assert strongest(change, 2) == [0, 3]
    assert strongest(change, 3) == [0, 1, 3]
    assert strongest(change, 9) == [0, 1, 2, 3]


def test_fewer_backgrounds_for_more_motifs():
    numbers = [n_backgrounds(n, 200, 20_000, 3) for n in (1, 10, 30, 100, 1000)]
    assert numbers == sorted(numbers, reverse=True) and numbers[0] == 64 and numbers[-1] == 8


def test_sites_are_written_where_they_belong():
    codes = np.zeros((2, 5), np.uint8)
    put(codes, np.array([[1, 2], [2, 3]], np.uint8), np.array([0, 3]), "-")
    assert codes.tolist() == [[1, 2, 0, 0, 0], [0, 0, 0, 0, 1]]
    assert SAMPLED == WAYS[0].form

"""Sequences that a caller holds, and what is said of those that cannot be taken."""

import numpy as np
import pandas
import pytest
from oracles.naive import one_hot
from support.small_networks import LENGTH, codes_of, network_of

from kipoi_motifrep import InputError, extract_filters, filter_pwms
from kipoi_motifrep.filters.in_memory import SequencesInMemory

torch = pytest.importorskip("torch")
TEXTS = ["ACGTN", "ttgac", "GGRCA"]
EYE = np.eye(4, dtype=np.float32)


def gathered(loader, size=2):
    batches = [batch["inputs"] for batch in loader.batch_iter(batch_size=size)]
    assert [len(one) for one in batches[:-1]] == [size] * (len(batches) - 1)
    return np.concatenate(batches)


def test_texts_become_one_hot():
    loader = SequencesInMemory(TEXTS)
    np.testing.assert_allclose(gathered(loader), [one_hot(text) for text in TEXTS])
    assert (loader.n, loader.length) == (3, 5)
    resized = SequencesInMemory(TEXTS, 3)
    np.testing.assert_allclose(gathered(resized), [one_hot(text[1:4]) for text in TEXTS])
    for same in (np.array(TEXTS), np.array(TEXTS, "S"), [text.encode() for text in TEXTS], pandas.Series(TEXTS)):
        np.testing.assert_allclose(gathered(SequencesInMemory(same)), gathered(loader))
    np.testing.assert_allclose(gathered(SequencesInMemory(pandas.Series(TEXTS), 3)), gathered(resized))


@pytest.mark.parametrize("given", [lambda x: x, torch.from_numpy, lambda x: x.astype(np.int8), list])
def test_arrays_stay_what_they_are(given):
    x = EYE[np.random.default_rng(0).integers(0, 4, (7, 10))]
    np.testing.assert_array_equal(
        gathered(SequencesInMemory(given(x)), 3).reshape(x.shape), x
    ) if given is not list else None
    if given is list:  # a list of arrays is all inputs of a network
        assert SequencesInMemory([x, x[:, 0]]).length is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((12, 4, 200)), r"shape \(12, 4, 200\); wanted is .* \(n, L, 4\).*x.transpose\(0, 2, 1\)"),
        (np.zeros((200, 4)), r"shape \(200, 4\).*x\[None\]"),
        (np.zeros((5, 4, 1, 200)), r"shape \(5, 4, 1, 200\); wanted"),
        (np.zeros((5, 200, 5)), r"shape \(5, 200, 5\); wanted"),
        (np.zeros((0, 200, 4)), "no sequences"),
        (np.array([object()]), "array of type object; wanted"),
        ([], "no sequences|wanted"),
        ("ACGT", "one text.*list of texts.*fasta="),
        (3, "type int; wanted"),
        (["ACGT", 3], "type list; wanted"),
        (["ACGT", "ACG"], "sequence 2 is 3 bp, and the first 4; .*auto_resize_len"),
        (["ACGT", "AC-T"], "'-' in sequence 2 is no DNA letter"),
        ([np.zeros((3, 5, 4)), np.zeros((2, 1))], "2, 3 rows"),
    ],
)
def test_what_was_given_and_what_is_wanted(given, message):
    with pytest.raises(InputError, match=message):
        SequencesInMemory(given)


def test_filters_of_what_is_held_are_those_of_filter_pwms(tmp_path):
    network, codes = network_of(), codes_of(with_n=False)
    x = EYE[codes]
    [expected] = filter_pwms(network, x)
    texts = ["".join("ACGT"[code] for code in row) for row in codes]
    for held in (x, torch.from_numpy(x), texts):
        [found] = extract_filters(network, held)
        np.testing.assert_array_equal(found.pwms, expected.pwms)
    extract_filters(network, x, output=tmp_path / "out")
    assert f'"60 sequences of {LENGTH} bp in memory"' in (tmp_path / "out/parameters.json").read_text()


def test_sequences_are_given_once_and_fit():
    with pytest.raises(InputError, match=r"once.*array or list"):
        extract_filters(network_of(), EYE[codes_of(with_n=False)], fasta="peaks.fa")
    with pytest.raises(InputError, match=f"are 20 bp, but the model reads {LENGTH} bp; give sequences of {LENGTH} bp"):
        extract_filters(network_of(), EYE[codes_of(length=20, with_n=False)])
    with pytest.raises(InputError, match="auto_resize_len goes with texts"):
        extract_filters(network_of(), EYE[codes_of(with_n=False)], auto_resize_len=LENGTH)


def test_all_inputs_of_a_network_of_two():
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.conv = torch.nn.Conv1d(4, 3, 5)

        def forward(self, dna, tissue):
            return torch.relu(self.conv(dna)).amax(dim=2) + tissue

    x = EYE[codes_of(with_n=False)].transpose(0, 2, 1)
    tissue = np.zeros((len(x), 3), np.float32)
    [by_list], [by_name] = extract_filters(Two(), [x, tissue]), extract_filters(Two(), {"dna": x, "tissue": tissue})
    assert by_list.n_sequences == len(x) and (by_list.n_sites > 0).all()
    np.testing.assert_array_equal(by_list.pwms, by_name.pwms)

"""Filters by many workers: the same numbers, to the last digit, as in one process."""

from dataclasses import fields

import numpy as np
import pytest
from support.clusters import two_workers
from support.small_networks import codes_of, network_of

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.filters import extract_filters, sharing, streaming
from kipoi_motifrep.filters.batches import LoaderBatches
from kipoi_motifrep.pipeline import interpret
from kipoi_motifrep.representation.plant import plant
from kipoi_motifrep.sequences.alphabet import decode
from kipoi_motifrep.zoo.shipped import EXAMPLES, shipped_model

RULES = [
    {},
    {"threshold": 0.0, "window": 9},
    {"threshold": 0.3, "weighted": False, "best_per_sequence": True},
    {"quantile": 0.97},
    {"quantile": 0.5, "best_per_sequence": True},
    {"top": 7},
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with two_workers(tmp_path_factory.mktemp("workers")) as address:
        yield address


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    network_of().save(folder / "network.keras")
    codes = codes_of(300)
    (folder / "peaks.fa").write_text("".join(f">s{i}\n{decode(one)}\n" for i, one in enumerate(codes)))
    return folder / "network.keras", folder / "peaks.fa"


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        for name in (field.name for field in fields(one)):
            mine, yours = getattr(one, name), getattr(other, name)
            if isinstance(mine, np.ndarray):
                np.testing.assert_array_equal(mine, yours, err_msg=name)
            elif hasattr(mine, "__dict__"):
                for inner, value in vars(mine).items():
                    np.testing.assert_array_equal(value, vars(yours)[inner], err_msg=f"{name}.{inner}")
            else:
                assert mine == yours, name


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_workers_give_the_same_filters(cluster, files, monkeypatch, rule):
    monkeypatch.setattr(streaming, "SHARD_BATCHES", 2)
    monkeypatch.setattr(sharing, "SHARD_BATCHES", 2)
    network, fasta = files
    here = extract_filters(network, fasta=fasta, batch_size=16, **rule)
    assert_same(extract_filters(network, fasta=fasta, batch_size=16, scheduler=cluster, **rule), here)
    assert here[0].n_sequences == 300


@pytest.mark.parametrize("rule", [{}, {"threshold": 0.3, "window": 9, "best_per_sequence": True}, {"top": 7}], ids=str)
def test_sites_are_the_same_line_by_line(cluster, files, tmp_path, monkeypatch, rule):
    """In the order of the sequences, also where shards are done out of turn."""
    for module in (streaming, sharing):
        monkeypatch.setattr(module, "SHARD_BATCHES", 2)
    network, fasta = files
    for name, workers in (("here", {}), ("there", {"scheduler": cluster}), ("jobs", {"jobs": 1})):
        extract_filters(network, fasta=fasta, batch_size=16, sites=True, output=tmp_path / name, **workers, **rule)
    here, there, jobs = ((tmp_path / name / "sites.tsv").read_bytes() for name in ("here", "there", "jobs"))
    assert here == there == jobs and here.count(b"\n") > 20
    places = [int(line.split(b"\t")[0][1:]) for line in here.splitlines()[1:]]
    assert {one // 16 for one in places} == set(range(19)) or rule.get("top")
    assert [one // 16 for one in places] == sorted(one // 16 for one in places)


def test_sums_of_shards_are_those_of_all(files, monkeypatch):
    """Where a site is above half of the maximum, sums in float64 are exact, so that shards change nothing."""
    network, fasta = files
    whole = extract_filters(network, fasta=fasta, batch_size=7)
    monkeypatch.setattr(streaming, "SHARD_BATCHES", 3)
    assert_same(extract_filters(network, fasta=fasta, batch_size=7), whole)


def test_a_kipoi_model_with_its_own_loader(cluster, tmp_path):
    files = {"intervals_file": EXAMPLES / "windows.bed", "fasta_file": EXAMPLES / "hg19_chr20_200kb.fa"}
    given = {"dataloader_args": files}
    model = shipped_model("synthetic/cnn_25")
    here = extract_filters(model, batch_size=4, sites=True, output=tmp_path / "here", **given)
    there = extract_filters(model, batch_size=4, sites=True, output=tmp_path / "there", scheduler=cluster, **given)
    assert_same(there, here)
    bed = (tmp_path / "here" / "sites.bed").read_bytes()
    assert bed and (tmp_path / "there" / "sites.bed").read_bytes() == bed


def test_an_interpretation_is_the_same(cluster, files, tmp_path):
    network, fasta = files
    for name, workers in (("here", {}), ("there", {"scheduler": cluster})):
        interpret(network, fasta=fasta, database="JASPAR2016", sites=True, output=tmp_path / name, **workers)
    for name in ("filters.tsv", "sites.tsv", "filters.meme", "importance.tsv", "untrained_trimmed.meme", "matches.tsv"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes(), name


def test_batches_by_their_place():
    kipoi_data = pytest.importorskip("kipoi.data")

    class Numbers(kipoi_data.Dataset):
        def __len__(self):
            return 23

        def __getitem__(self, i):
            return {"inputs": np.full((2, 4), i), "metadata": {"id": i}}

    class Once:
        def batch_iter(self, batch_size):
            yield {"inputs": np.zeros((3, 2, 4))}

    batches = LoaderBatches(Numbers(), 5)
    whole = list(batches)
    assert batches.n == 23 and LoaderBatches(Once(), 2).n is None
    for first, stop in ((0, 5), (1, 3), (4, 5), (3, 9)):
        for one, other in zip(batches.between(first, stop), whole[first:stop], strict=True):
            np.testing.assert_array_equal(one.inputs, other.inputs)
            np.testing.assert_array_equal(one.metadata["id"], other.metadata["id"])


def test_what_cannot_be_shared_out(files, tmp_path):
    network, fasta = files
    for model, given, words in (
        (network_of(), {"fasta": fasta}, "a model in memory cannot be sent"),
        (network, {"fasta": "-"}, "standard input cannot be sent"),
    ):
        with pytest.raises(InputError, match=words):
            extract_filters(model, jobs=2, output=tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_planted_motifs_do_the_same(cluster, files):
    network, fasta = files
    motifs = {"GATAA": np.eye(4)[[2, 0, 3, 0, 0]], "CACGTG": np.eye(4)[[1, 0, 1, 2, 3, 2]]}
    given = {"fasta": fasta, "motifs": motifs, "backgrounds": 8, "batch_size": 16, "partners": 2}
    here, there = plant(network, **given), plant(network, scheduler=cluster, **given)
    np.testing.assert_array_equal(there.change, here.change)
    np.testing.assert_array_equal(there.interactions[0].interaction, here.interactions[0].interaction)

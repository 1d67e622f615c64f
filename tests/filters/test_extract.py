"""The filters command and function: models and sequences on disk, loaders, what is refused."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from oracles import filters_reference as slow
from support.small_networks import LENGTH, N, codes_of, network_of

from kipoi_motifrep import InputError, read_motifs
from kipoi_motifrep.cli.program import main
from kipoi_motifrep.datasets.hdf5 import create_dataset
from kipoi_motifrep.filters import FilterPWMs, extract_filters, filter_pwms
from kipoi_motifrep.filters.batches import LoaderBatches

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")
layers = keras.layers


def write_fasta(path, codes):
    path.write_text("".join(f">s{i}\n{''.join('ACGTN'[c] for c in row)}\n" for i, row in enumerate(codes)))
    return path


@pytest.fixture
def files(tmp_path):
    network_of(padding="same").save(tmp_path / "network.keras")
    write_fasta(tmp_path / "dna.fa", codes_of(with_n=False))
    return tmp_path


def test_command_writes_everything(files, capsys):
    out = files / "out"
    status = main(
        ["filters", str(files / "network.keras"), "--fasta", str(files / "dna.fa"), "--sites", "-o", str(out)]
    )
    assert status == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "filters.h5",
        "filters.meme",
        "filters.tsv",
        "filters_trimmed.meme",
        "parameters.json",
        "sites.tsv",
    ]
    said = capsys.readouterr()
    assert said.out == ""
    assert "layer first: 4 filters, reads (L, 4) ACGT" in said.err
    assert said.err.endswith(f"out: 4 filters (4 active), from {N} sequences\n")
    codes = codes_of(with_n=False)
    (expected,) = filter_pwms(network_of(padding="same"), np.eye(4, dtype=np.float32)[codes])
    motifs = read_motifs(out / "filters.meme")
    np.testing.assert_allclose([motif.pwm for motif in motifs], expected.pwms, atol=1e-6)
    assert [motif.nsites for motif in motifs] == [5] * 4
    trimmed = read_motifs(out / "filters_trimmed.meme")
    assert [motif.width for motif in trimmed] == [motif.trimmed().width for motif in motifs]
    with h5py.File(out / "filters.h5") as file:
        np.testing.assert_allclose(file["pwms"], expected.pwms, atol=1e-6)
        np.testing.assert_array_equal(file["kernels"], expected.kernels)
        np.testing.assert_array_equal(file["n_sites"], expected.n_sites)
        assert file["names"].asstr()[:].tolist() == list(expected.names)
    header, *rows = [line.split("\t") for line in (out / "filters.tsv").read_text().splitlines()]
    assert [dict(zip(header, row, strict=True))["n_sites"] for row in rows] == [str(n) for n in expected.n_sites]
    parameters = json.loads((out / "parameters.json").read_text())["parameters"]
    assert parameters["threshold"] == 0.5 and parameters["n_sequences"] == N
    sites = [line.split("\t") for line in (out / "sites.tsv").read_text().splitlines()[1:]]
    assert len(sites) == expected.n_sites.sum()
    counted = np.zeros((4, 5, 4))
    for name, start, _, which, value, strand in sites:
        assert strand == "+"
        counted[int(which[6:])] += float(value) * slow.window(slow.one_hot(codes[int(name[1:])]), int(start), 5)
    np.testing.assert_allclose(counted, expected.counts, rtol=1e-4)


def test_function_has_the_commands_defaults():
    import argparse
    import inspect

    from kipoi_motifrep.cli import filters as command

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    options = vars(parser.parse_args(["MODEL", "--fasta", "x", "-o", "out"]))
    parameters = inspect.signature(extract_filters).parameters
    # The class that weights go into is one with the model, in Python; and sequences in memory are there only.
    assert set(options) - {"arch"} == set(parameters) - {"sequences"}
    for name, parameter in parameters.items():
        if name not in ("model", "sequences", "fasta", "output"):
            assert options[name] == parameter.default, name


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "empty"),
        (">a\nACGT\n", "shorter than the 5 bp"),
        (">a\nACGTACGTAA\n", "the model reads 30 bp"),
        (">a\nACGU*CGT\n", "no DNA letter"),
        (">a\nMKVLAAGIVGLE\n", "no DNA letter"),
        ("ACGT\n", "no FASTA"),
    ],
)
def test_bad_sequences_stop_the_command(files, capsys, content, problem):
    (files / "bad.fa").write_text(content)
    status = main(["filters", str(files / "network.keras"), "--fasta", str(files / "bad.fa"), "-o", str(files / "out")])
    said = capsys.readouterr().err.strip().splitlines()
    assert status == 2
    assert problem in said[-1] and said[-1].startswith("kipoi-motifrep: error:") and len(said) == 1
    assert not (files / "out").exists()


def test_an_output_that_cannot_be_written_stops_before_the_network_runs(files, capsys, monkeypatch):
    (files / "file").write_text("in the way")
    monkeypatch.setattr("kipoi_motifrep.filters.sharing.network_pwms", lambda *_, **__: pytest.fail("it ran"))
    assert (
        main(["filters", str(files / "network.keras"), "--fasta", str(files / "dna.fa"), "-o", str(files / "file")])
        == 2
    )
    assert "cannot write here" in capsys.readouterr().err.splitlines()[-1]


def test_bad_models_stop_the_command(files, capsys):
    keras.Sequential([keras.Input((LENGTH, 4)), layers.Flatten(), layers.Dense(1)]).save(files / "dense.keras")
    for model, problem in (("dense.keras", "no convolution"), ("none.h5", "no such file")):
        assert main(["filters", str(files / model), "--fasta", str(files / "dna.fa"), "-o", str(files / "out")]) == 2
        assert problem in capsys.readouterr().err.strip().splitlines()[-1]
    assert main(["filters", str(files / "network.keras"), "--dataloader_args", "a=1", "-o", str(files / "out")]) == 2
    assert "no Kipoi dataloader" in capsys.readouterr().err
    assert not (files / "out").exists()


def test_error_of_a_strangers_loader_is_one_line():
    from kipoi.data import Dataset

    class Broken(Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return {}["no such\nkey"]

    with pytest.raises(InputError, match=r"the dataloader fails \(KeyError: .*\); check its arguments and files"):
        next(iter(LoaderBatches(Broken(), 2)))


def test_arguments_that_are_no_json(files, capsys):
    assert (
        main(
            ["filters", str(files / "network.keras"), "--dataloader_args", '{"fasta": "x.fa"', "-o", str(files / "out")]
        )
        == 2
    )
    assert "give key=value pairs, JSON text or a JSON file" in capsys.readouterr().err


def test_interrupted_run_leaves_nothing(files, monkeypatch):
    def fail(*_):
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr("kipoi_motifrep.filters.extract.write_filters", fail)
    with pytest.raises(RuntimeError):
        extract_filters(files / "network.keras", fasta=files / "dna.fa", sites=True, output=files / "out")
    assert not (files / "out").exists()


def test_full_disk_leaves_the_results_of_before(files, monkeypatch, capsys):
    arguments = ["filters", str(files / "network.keras"), "--fasta", str(files / "dna.fa"), "-o", str(files / "out")]
    assert main(arguments) == 0
    before = {path.name: path.read_bytes() for path in (files / "out").iterdir()}
    write = Path.write_bytes

    def full(path, data):
        write(path, data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    capsys.readouterr()
    assert main([*arguments, "--threshold", "0.7"]) == 2
    said = "out/filters.meme: no space left on device; make room there, or choose another output\n"
    assert capsys.readouterr().err.endswith(said)
    assert {path.name: path.read_bytes() for path in (files / "out").iterdir()} == before


ONCE = """
import numpy as np
from kipoi.data import BatchIterator, SampleIterator


class Samples(SampleIterator):
    def __init__(self, fasta_file):
        self.sequences = iter(open(fasta_file).read().split()[1::2])

    def __iter__(self):
        return self

    def __next__(self):
        return {"inputs": np.eye(4, dtype=np.float32)[["ACGT".index(base) for base in next(self.sequences)]]}


class Batches(BatchIterator):
    def __init__(self, fasta_file):
        self.samples = Samples(fasta_file)

    def __iter__(self):
        return self

    def __next__(self):
        batch = [row["inputs"] for _, row in zip(range(7), self.samples)]
        if not batch:
            raise StopIteration
        return {"inputs": np.stack(batch)}


class Nameless(Samples):
    def __next__(self):
        return {"x": super().__next__()["inputs"]}

"""


class KerasModelWith:
    """A Keras model that has a Kipoi dataloader, as Kipoi's have."""

    def __init__(self, path, loader):
        self.model, self.default_dataloader = keras.saving.load_model(path), loader


@pytest.fixture
def once(files):
    module = {}
    exec(ONCE, module)
    return module


@pytest.mark.parametrize("name", ["Samples", "Batches"])
def test_loaders_that_can_be_gone_through_only_once(files, once, name):
    (expected,) = extract_filters(files / "network.keras", fasta=files / "dna.fa")
    model = KerasModelWith(files / "network.keras", once[name])
    (found,) = extract_filters(model, dataloader_args={"fasta_file": files / "dna.fa"}, sites=True, output=files / name)
    assert found.n_sequences == expected.n_sequences == N
    np.testing.assert_allclose(found.pwms, expected.pwms, atol=1e-6)


def test_loaders_that_cannot_be_used(files, once):
    model = KerasModelWith(files / "network.keras", once["Nameless"])
    with pytest.raises(InputError, match=r"gives no 'inputs' \(it gives: x\)"):
        extract_filters(model, dataloader_args={"fasta_file": files / "dna.fa"})
    batches = LoaderBatches(once["Batches"](files / "dna.fa"), 7)
    assert sum(len(batch.inputs) for batch in batches) == N
    with pytest.raises(InputError, match=rf"gave {N} sequences at first and 0 when gone through again"):
        list(batches)


def test_sequences_without_a_base(files):
    (files / "n.fa").write_text(f">a\n{'N' * LENGTH}\n>b\n{'N' * LENGTH}\n")
    with pytest.raises(InputError, match="the sites hold no bases, only N"):
        extract_filters(files / "network.keras", fasta=files / "n.fa")


def test_other_alphabet(files):
    """A network that reads A G C T, fed from a FASTA file, gives the PWMs of the same network in A C G T."""
    model = network_of(padding="same")
    (expected,) = extract_filters(model, fasta=files / "dna.fa")
    kernel, bias = model.get_layer("first").get_weights()
    model.get_layer("first").set_weights([kernel[:, [0, 2, 1, 3]], bias])
    (result,) = extract_filters(model, fasta=files / "dna.fa", alphabet="AGCT")
    np.testing.assert_allclose(result.pwms, expected.pwms, atol=1e-6)
    np.testing.assert_array_equal(result.kernels, expected.kernels)


def test_dataset_of_ours(files):
    from kipoi_motifrep.datasets.hdf5 import create_dataset

    codes = codes_of()
    with create_dataset(files / "data.h5", LENGTH, ["TF"], {}) as writer:
        for split in ("train", "valid", "test"):
            writer.append(split, codes, np.zeros((N, 1), np.int8))
    (result,) = extract_filters(files / "network.keras", dataset=files / "data.h5")
    x = np.vstack([np.eye(4, dtype=np.float32), np.full((1, 4), 0.25, np.float32)])[codes]
    (expected,) = filter_pwms(network_of(padding="same"), x)
    np.testing.assert_allclose(result.pwms, expected.pwms, atol=1e-6)
    assert isinstance(result, FilterPWMs)


MODEL_YAML = """\
defined_as: kipoi.model.PyTorchModel
args: {weights: weights.pt, module_file: module.py, module_class: Net}
default_dataloader: {defined_as: kipoi_motifrep.IntervalsDl, default_args: {alphabet_axis: 0, dummy_axis: 1}}
info: {authors: [{name: A}], doc: test}
schema:
  inputs: {name: seq, shape: "(4, 1, 30)", doc: DNA, special_type: DNASeq}
  targets: {name: y, shape: "(1, )", doc: y}
"""
MODULE = """\
from torch import nn
class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(4, 3, (1, 5), padding='same'), nn.ReLU(), nn.Flatten(), nn.Linear(90, 1))
"""


def test_kipoi_model_with_its_own_loader_gives_bed(tmp_path, capsys):
    """Intervals on both strands of a genome: BED sites lie where the motif is."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.yaml").write_text(MODEL_YAML)
    (folder / "module.py").write_text(MODULE)
    torch.manual_seed(2)
    convolution = torch.nn.Conv2d(4, 3, (1, 5), padding="same")
    with torch.no_grad():
        convolution.weight[0, :, 0] = torch.tensor([[0, 0, 0, 1, 0], [1, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 1]])
        convolution.bias[0] = -4.0  # only CGGAT, whole
    module = torch.nn.Sequential(convolution, torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(90, 1))
    torch.save(module.state_dict(), folder / "weights.pt")
    genome = list("T" * 200)
    genome[50:55], genome[120:125] = "CGGAT", "ATCCG"  # the second on the other strand
    (tmp_path / "genome.fa").write_text(f">chr1\n{''.join(genome)}\n")
    (tmp_path / "peaks.bed").write_text("chr1\t40\t70\ta\t0\t+\nchr1\t105\t135\tb\t0\t-\nchr1\t150\t180\tc\t0\t+\n")
    arguments = [f"intervals_file={tmp_path / 'peaks.bed'}", f"fasta_file={tmp_path / 'genome.fa'}", "use_strand=True"]
    status = main(
        [
            "filters",
            str(folder),
            "--source",
            "dir",
            "--dataloader_args",
            *arguments,
            "--sites",
            "-o",
            str(tmp_path / "out"),
        ]
    )
    said = capsys.readouterr().err
    assert status == 0, said
    assert "PyTorch: layer 0: 3 filters, reads (4, 1, L) ACGT" in said
    rows = [line.split("\t") for line in (tmp_path / "out" / "sites.bed").read_text().splitlines()]
    mine = [(row[0], int(row[1]), int(row[2]), row[5]) for row in rows if row[3] == "filter0"]
    assert mine == [("chr1", 50, 55, "+"), ("chr1", 120, 125, "-")]
    assert read_motifs(tmp_path / "out" / "filters.meme")[0].consensus == "CGGAT"


def test_uneven_sequences_are_resized_only_when_asked(tmp_path):
    path = tmp_path / "uneven.fa"
    path.write_text(">a\n" + "ACGT" * 50 + "\n>b\n" + "GGCATGCCTA" * 30 + "\n")
    network = Path(__file__).parents[2] / "models/synthetic/weights/cnn_25.keras"
    with pytest.raises(InputError, match=r"uneven\.fa, row 3: .*the network reads 200: give auto_resize_len=200"):
        extract_filters(network, fasta=path)
    [found] = extract_filters(network, fasta=path, auto_resize_len=200)
    assert (found.n_sequences, found.pwms.shape) == (2, (30, 19, 4))
    even = tmp_path / "even.fa"
    even.write_text(">a\n" + "ACGT" * 10 + "\n")
    with pytest.raises(InputError, match=r"even\.fa: the sequences are 40 bp.* 200 bp.* auto_resize_len=200"):
        extract_filters(network, fasta=even)
    with create_dataset(tmp_path / "even.h5", 40, ["a"], {}) as writer:
        writer.append("test", np.zeros((3, 40), np.uint8), np.ones((3, 1), np.int8))
    with pytest.raises(InputError, match=r"even\.h5: the sequences are 40 bp.*make the dataset of sequences of 200 bp"):
        extract_filters(network, dataset=tmp_path / "even.h5")
    with pytest.raises(InputError, match="goes with a FASTA file"):
        extract_filters(network, dataset=path, auto_resize_len=200)

"""The shipped networks through Kipoi itself: its program and its Python interface."""

import gzip
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import kipoi
import numpy as np
import pandas as pd
import pytest
from oracles import naive

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.tables import read_table
from kipoi_motifrep.motifs.jaspar import load
from kipoi_motifrep.sequences.fasta import read_fasta
from kipoi_motifrep.training.architectures import ARCHITECTURES
from kipoi_motifrep.zoo.shipped import shipped_names

CHECKOUT = Path(__file__).parents[2]
GROUP = CHECKOUT / "models/synthetic"
NAME = "cnn_4"
SHIPPED = shipped_names()
THROUGH_THE_PROGRAM = ("synthetic/cnn_2", "synthetic/cnn_50_2", "synthetic/cnn9_25", "invivo/cnn_25")
EXAMPLES = CHECKOUT / "dataloaders"
FASTA = EXAMPLES / "intervals/example_files/hg19_chr20_200kb.fa"
WINDOWS = EXAMPLES / "intervals/example_files/windows.bed"
PLANTED = EXAMPLES / "sequences/example_files/planted.fa"
LOGGED_WARNING = re.compile(r"(WARNING|ERROR)\S* .*\[\S+\]")


@pytest.fixture(scope="module")
def real_kipoi(run_python):
    """The ``kipoi`` program, run in the checkout."""
    return lambda *arguments, **options: run_python("-m", "kipoi", *arguments, **options)


@pytest.fixture(scope="module")
def model():
    return kipoi.get_model(str(GROUP / NAME), source="dir")


@pytest.fixture(scope="module")
def expected():
    """What plain Keras says of the example windows, cut out of the FASTA file by hand."""
    import keras

    text = "".join(FASTA.read_text().splitlines()[1:])
    rows = [line.split("\t") for line in WINDOWS.read_text().splitlines()]
    inputs = np.stack([naive.one_hot(text[int(start) : int(end)]) for _, start, end, *_ in rows])
    network = keras.models.load_model(GROUP / f"weights/{NAME}.keras")
    return rows, inputs, network, network.predict_on_batch(inputs)


# kipoi test


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in THROUGH_THE_PROGRAM else pytest.mark.slow) for name in SHIPPED]
)
def test_kipoi_test_passes_without_a_warning(real_kipoi, name):
    done = real_kipoi("test", f"models/{name}", "--source", "dir")
    assert done.returncode == 0, done.stderr
    assert "All predictions match" in done.stdout and "Successfully ran test_predict" in done.stdout
    assert not LOGGED_WARNING.search(done.stdout + done.stderr)


@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in THROUGH_THE_PROGRAM])
def test_kipoi_test_passes_in_this_process(name, caplog, monkeypatch):
    from kipoi.cli.main import cli_test

    monkeypatch.chdir(CHECKOUT)
    with caplog.at_level(logging.INFO):
        cli_test("test", [f"models/{name}", "--source", "dir", "--batch_size", "64"])
    assert "All predictions match" in caplog.text
    assert not [
        record
        for record in caplog.records
        if record.levelno >= logging.WARNING and not record.name.startswith("tensorflow")
    ]  # it says that many networks ran in one process


@pytest.mark.parametrize("group", sorted({name.split("/")[0] for name in SHIPPED}))
def test_every_architecture_has_its_files_and_its_md5(group):
    import keras

    folder = CHECKOUT / "models" / group
    rows = read_table(folder / "models.tsv")
    two = {f"{name}{first}" for name in ("cnn_25", "cnn_100") for first in ("", "_exp")}
    assert {row["model"] for row in rows} == (two if group == "invivo_best" else set(ARCHITECTURES))
    n_labels = len(read_table(folder / "results.tsv")[0]) - 3
    for row in rows:
        weights = folder / "weights" / f"{row['model']}.keras"
        assert hashlib.md5(weights.read_bytes()).hexdigest() == row["weights_md5"]
        with h5py.File(folder / "expect" / f"{row['model']}.h5") as file:
            assert file["preds"].shape == (len(file["inputs"]), n_labels)
    assert keras.models.load_model(weights).count_params() > int(row["parameters"])


# kipoi predict


@pytest.fixture(scope="module")
def predicted(real_kipoi, tmp_path_factory):
    """One run that writes all three kinds of file."""
    folder = tmp_path_factory.mktemp("predicted")
    outputs = [folder / f"out.{suffix}" for suffix in ("tsv", "h5", "parquet")]
    done = real_kipoi(
        "predict",
        f"models/synthetic/{NAME}",
        "--source",
        "dir",
        "-m",
        "--batch_size",
        "16",
        "--dataloader_args",
        f"intervals_file={WINDOWS}",
        f"fasta_file={FASTA}",
        "-o",
        *outputs,
    )
    assert done.returncode == 0, done.stderr
    assert not LOGGED_WARNING.search(done.stdout + done.stderr)
    return outputs


def test_predictions_in_a_tsv_file(predicted, expected):
    rows, _, _, predictions = expected
    found = pd.read_csv(predicted[0], sep="\t")
    np.testing.assert_allclose(found[[f"preds/{i}" for i in range(12)]], predictions, rtol=1e-4, atol=1e-6)
    assert found["metadata/ranges/chr"].tolist() == [row[0] for row in rows]
    assert found["metadata/ranges/start"].tolist() == [int(row[1]) for row in rows]
    assert found["metadata/ranges/end"].tolist() == [int(row[2]) for row in rows]
    assert found["metadata/ranges/id"].tolist() == [row[3] for row in rows]


def test_predictions_in_an_hdf5_file(predicted, expected):
    rows, _, _, predictions = expected
    with h5py.File(predicted[1]) as file:
        np.testing.assert_allclose(file["preds"][()], predictions, rtol=1e-4, atol=1e-6)
        assert file["metadata/ranges/start"][()].tolist() == [int(row[1]) for row in rows]
        assert file["metadata/ranges/id"][()].astype(str).tolist() == [row[3] for row in rows]


def test_predictions_in_a_parquet_file(predicted, expected):
    found = pd.read_parquet(predicted[2])
    columns = [column for column in found.columns if str(column).startswith("preds")]
    assert len(columns) == 12 and len(found) == len(expected[0])
    by_number = sorted(columns, key=lambda column: int(re.search(r"\d+", column).group()))
    np.testing.assert_allclose(found[by_number], expected[3], rtol=1e-4, atol=1e-6)


def test_predictions_of_sequences_from_standard_input(real_kipoi, tmp_path):
    import keras

    done = real_kipoi(
        "predict",
        f"models/synthetic/{NAME}",
        "--source",
        "dir",
        "-m",
        "--dataloader",
        "kipoi_motifrep.SequencesDl",
        "--dataloader_args",
        "fasta_file=-",
        "no_such_argument=1",
        "-o",
        tmp_path / "out.tsv",
        input=PLANTED.read_text(),
    )
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stdout.splitlines() if LOGGED_WARNING.search(line)]
    assert len(warnings) == 1 and "no_such_argument" in warnings[0], "our search for warnings must find one"
    found = pd.read_csv(tmp_path / "out.tsv", sep="\t")
    records = list(read_fasta(PLANTED))
    assert found["metadata/id"].tolist() == [record.name for record in records]
    inputs = np.eye(4, dtype=np.float32)[np.stack([record.codes for record in records])]
    network = keras.models.load_model(GROUP / f"weights/{NAME}.keras")
    np.testing.assert_allclose(
        found[[f"preds/{i}" for i in range(12)]], network.predict_on_batch(inputs), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    "rows, words",
    [
        ("chr20\t100\t300\nchr21\t100\t300\n", ["row 2", "chromosome 'chr21' is not in", "genome build"]),
        ("chr20\t100\t310\n", ["(200, 4)", "(210, 4)", "auto_resize_len=200"]),
    ],
    ids=["chromosome", "width"],
)
def test_bad_input_ends_kipoi_with_one_line(tmp_path, one_problem, rows, words):
    bed = tmp_path / "bad.bed"
    bed.write_text(rows)
    program = Path(sys.executable).with_name("kipoi")
    command = [program] if "row" in words[0] and program.exists() else [sys.executable, "-m", "kipoi"]
    done = subprocess.run(
        [
            *command,
            "predict",
            f"models/synthetic/{NAME}",
            "--source",
            "dir",
            "--dataloader_args",
            f"intervals_file={bed}",
            f"fasta_file={FASTA}",
            "-o",
            tmp_path / "out.tsv",
        ],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    one_problem(done, "kipoi: error: ", *words)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.bed"]


def test_bad_input_found_by_a_worker_ends_our_program_with_one_line(tmp_path, one_problem, run_python):
    (tmp_path / "bad.bed").write_text("1\t0\t200\n1\t200\t400\n")
    (tmp_path / "genome.fa").write_text(">1\n" + "A" * 300 + "E" + "A" * 99 + "\n")
    done = run_python(
        "-m",
        "kipoi_motifrep",
        "predict",
        f"models/synthetic/{NAME}",
        "--source",
        "dir",
        "-n",
        "1",
        "--batch_size",
        "1",
        "--dataloader_args",
        f"intervals_file={tmp_path}/bad.bed",
        f"fasta_file={tmp_path}/genome.fa",
        "-o",
        tmp_path / "out.tsv",
    )
    one_problem(done, "genome.fa: 1, base 301 is no DNA letter")


# models/invivo


@pytest.fixture(scope="module", params=["invivo/cnn_25", "invivo_best/cnn_100_exp"])
def in_vivo_name(request):
    return request.param


@pytest.fixture(scope="module")
def in_vivo(in_vivo_name):
    return kipoi.get_model(str(CHECKOUT / "models" / in_vivo_name), source="dir")


def test_in_vivo_predictions_of_a_stretch_of_the_genome(real_kipoi, in_vivo_name, in_vivo, expected, tmp_path):
    import keras

    done = real_kipoi(
        "predict",
        f"models/{in_vivo_name}",
        "--source",
        "dir",
        "-m",
        "--dataloader_args",
        f"intervals_file={WINDOWS}",
        f"fasta_file={FASTA}",
        "-o",
        tmp_path / "out.tsv",
    )
    assert done.returncode == 0, done.stderr
    assert not LOGGED_WARNING.search(done.stdout + done.stderr)
    rows, inputs, *_ = expected
    found = pd.read_csv(tmp_path / "out.tsv", sep="\t")
    assert found["metadata/ranges/start"].tolist() == [int(row[1]) for row in rows]
    group, name = in_vivo_name.split("/")
    network = keras.models.load_model(CHECKOUT / f"models/{group}/weights/{name}.keras")
    labels = in_vivo.schema.targets.column_labels
    np.testing.assert_allclose(
        found[[f"preds/{i}" for i in range(len(labels))]], network.predict_on_batch(inputs), rtol=1e-4, atol=1e-6
    )
    assert not any(name.startswith(f"preds/{len(labels)}") for name in found)


@pytest.mark.parametrize(
    "factor, matrix", [("CEBPB", "MA0466.2"), ("FOSL1", "MA0477.1"), ("MAX", "MA0058.3"), ("NFYB", "MA0502.1")]
)
def test_in_vivo_networks_know_a_factors_motif(in_vivo, factor, matrix):
    motif, rng = load("JASPAR2016")[matrix], np.random.default_rng(0)
    codes = rng.integers(0, 4, (200, 200))
    half = codes[::2]  # gets the motif's best letters
    half[:, 90 : 90 + motif.width] = motif.pwm.argmax(axis=1)
    scores = in_vivo.predict_on_batch(np.eye(4, dtype=np.float32)[codes])
    place = in_vivo.schema.targets.column_labels.index(factor)
    higher = (scores[::2, None, place] > scores[None, 1::2, place]).mean()
    assert higher > 0.9


def test_in_vivo_results_and_floor_are_of_the_same_labels(in_vivo_name, in_vivo):
    labels, group = list(in_vivo.schema.targets.column_labels), CHECKOUT / "models" / in_vivo_name.split("/")[0]
    floor, results = read_table(group / "baseline.tsv"), read_table(group / "results.tsv")
    assert [row["label"] for row in floor] == labels and list(results[0])[3:] == labels
    for row in results:
        values = [float(row[label]) for label in labels]
        assert float(row["mean"]) == pytest.approx(np.mean(values), abs=2e-4)
        if row["figure"] == "auroc" and row["model"] not in ("cnn3_50",):
            assert float(row["mean"]) > 0.8
        if row["model"].endswith("_exp"):  # what the card says
            worse = [
                label for one, label in zip(floor, labels, strict=True) if float(row[label]) < float(one[row["figure"]])
            ]
            assert worse in ([], ["MEF2A"])


# python -m kipoi_motifrep


def test_our_program_is_kipoi_with_this_plugin(run_python):
    listed = run_python("-m", "kipoi_motifrep", "list_plugins")
    assert listed.returncode == 0 and re.search(r"kipoi_motifrep\s+True\s+True", listed.stdout)


def test_our_program_has_kipois_commands_and_ours(run_python, tmp_path):
    found = run_python("-m", "kipoi_motifrep", "ls", "--source", "dir")
    assert found.returncode == 0 and "models" in found.stdout
    (tmp_path / "bad.bed").write_text("chr21\t0\t200\n")
    done = run_python(
        "-m", "kipoi_motifrep", "motifrep", "validate", "--intervals", tmp_path / "bad.bed", "--fasta", FASTA
    )
    assert done.returncode == 2 and "row 1: chromosome 'chr21'" in done.stdout


# Python


def test_pipeline_predicts(model, expected):
    found = model.pipeline.predict({"intervals_file": str(WINDOWS), "fasta_file": str(FASTA)}, batch_size=10)
    np.testing.assert_allclose(found, expected[3], rtol=1e-4, atol=1e-6)


def test_pipeline_predicts_with_workers_and_to_a_file(model, expected, tmp_path):
    model.pipeline.predict_to_file(
        str(tmp_path / "out.h5"),
        {"intervals_file": str(WINDOWS), "fasta_file": str(FASTA)},
        batch_size=10,
        num_workers=2,
        keep_metadata=True,
    )
    with h5py.File(tmp_path / "out.h5") as file:
        np.testing.assert_allclose(file["preds"][()], expected[3], rtol=1e-4, atol=1e-6)
        assert file["metadata/ranges/id"][()].astype(str).tolist() == [row[3] for row in expected[0]]


def test_the_example_predicts(model, expected):
    np.testing.assert_allclose(model.pipeline.predict_example(batch_size=7), expected[3], rtol=1e-4, atol=1e-6)


def test_a_bed_writer_takes_the_ranges(model, expected, tmp_path):
    from kipoi.writers import BedBatchWriter

    loader = model.default_dataloader(intervals_file=str(WINDOWS), fasta_file=str(FASTA))
    writer = BedBatchWriter(str(tmp_path / "out.bed"), metadata_schema=loader.get_output_schema().metadata)
    for batch in loader.batch_iter(batch_size=16):
        writer.batch_write({"metadata": batch["metadata"], "preds": model.predict_on_batch(batch["inputs"])})
    writer.close()
    lines = [line.split("\t") for line in (tmp_path / "out.bed").read_text().splitlines() if not line.startswith("#")]
    assert [line[:4] for line in lines[-len(expected[0]) :]] == [row[:4] for row in expected[0]]


def test_predictions_activations_and_gradients_of_a_batch(model, expected):
    import keras

    _, inputs, network, predictions = expected
    np.testing.assert_allclose(model.predict_on_batch(inputs), predictions, rtol=1e-5)
    conv = model.predict_activation_on_batch(inputs[:5], layer="conv1_activation")
    part = keras.Model(network.inputs[0], network.get_layer("conv1_activation").output)
    np.testing.assert_allclose(conv, np.asarray(part(inputs[:5], training=False)), rtol=1e-4, atol=1e-5)
    gradients = model.input_grad(inputs[:5], filter_idx=3, pre_nonlinearity=True)
    assert gradients.shape == (5, 200, 4)
    alone = model.input_grad(inputs[2:3], filter_idx=3, pre_nonlinearity=True)
    np.testing.assert_allclose(gradients[2], alone[0], rtol=1e-3, atol=1e-6)


def test_pipeline_gives_layers_and_gradients(model, expected):
    arguments = {"intervals_file": str(WINDOWS), "fasta_file": str(FASTA)}
    layer = np.concatenate(list(model.pipeline.predict_generator(arguments, batch_size=16, layer="dense_activation")))
    assert layer.shape == (len(expected[0]), 96 if NAME == "cnn_50_2" else 512)
    found = model.pipeline.input_grad(arguments, batch_size=16, filter_idx=0)
    np.testing.assert_allclose(found["grads"], model.input_grad(expected[1], filter_idx=0), rtol=1e-3, atol=1e-6)


def test_the_schema_names_the_labels(model):
    from kipoi_motifrep.datasets.simulate import LABEL_NAMES
    from kipoi_motifrep.networks.keras_files import read_metadata

    assert tuple(model.schema.targets.column_labels) == LABEL_NAMES
    assert tuple(read_metadata(GROUP / f"weights/{NAME}.keras")["label_names"]) == LABEL_NAMES


def test_a_whole_run_of_a_bgzip_genome_and_a_gzip_bed(model, expected, tmp_path):
    import pysam

    pysam.tabix_compress(str(FASTA), str(tmp_path / "genome.fa.gz"))
    (tmp_path / "windows.bed.gz").write_bytes(gzip.compress(WINDOWS.read_bytes()))
    found = model.pipeline.predict(
        {
            "intervals_file": str(tmp_path / "windows.bed.gz"),
            "fasta_file": str(tmp_path / "genome.fa.gz"),
            "outside": "refuse",
        }
    )
    np.testing.assert_allclose(found, expected[3], rtol=1e-4, atol=1e-6)


# Weights behind a URL


MODEL_YAML = """
defined_as: kipoi_motifrep.Keras3Model
args:
  weights: {{url: "file://{weights}", md5: "{md5}"}}
default_dataloader: {loader}
info: {{authors: [{{name: somebody}}], doc: a test}}
dependencies: {{pip: [keras]}}
schema:
  inputs: {{name: sequence, shape: "(200, 4)", special_type: DNASeq, doc: sequence}}
  targets: {{name: motifs, shape: "(12,)", doc: motifs}}
"""


def test_weights_are_fetched_from_a_url_and_checked(tmp_path, expected):
    weights = GROUP / f"weights/{NAME}.keras"
    md5 = hashlib.md5(weights.read_bytes()).hexdigest()
    shutil.copytree(EXAMPLES / "intervals", tmp_path / "loader")
    for folder, claimed in (("right", md5), ("wrong", "0" * 32)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.yaml").write_text(
            MODEL_YAML.format(weights=weights, md5=claimed, loader="../loader")
        )
    model = kipoi.get_model(str(tmp_path / "right"), source="dir")
    assert not os.path.splitext(model.weights)[1], "Kipoi names downloads by their md5 alone"
    np.testing.assert_allclose(model.predict_on_batch(expected[1]), expected[3], rtol=1e-5)
    with pytest.raises(InputError, match=f"md5 {md5}, expected {'0' * 32}"):
        kipoi.get_model(str(tmp_path / "wrong"), source="dir")

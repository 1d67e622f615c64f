"""The one file that travels with an exported group: its class and its loader do what ours do."""

import gzip
import hashlib
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.packaging import small_network

from kipoi_motifrep import IntervalsDl, Keras3Model
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.zoo.export import open_alone
from kipoi_motifrep.zoo.standalone import GroupIntervals, GroupModel, keras_version

# The loader


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genome")
    random = np.random.default_rng(0)
    letters = list("ACGTacgtNRYSWKMBDHVnryu")
    with open(folder / "g.fa", "w") as file:
        for name, size in (("chr1", 230), ("2", 97), ("chrM", 40)):
            text = "".join(random.choice(letters, size))
            file.write(f">{name} description\n" + "".join(f"{text[i : i + 50]}\n" for i in range(0, size, 50)))
    return folder


@st.composite
def interval(draw, width):
    name, size = draw(st.sampled_from([("chr1", 230), ("1", 230), ("2", 97), ("chr2", 97), ("M", 40)]))
    start = draw(st.integers(0, size - 1))
    width = draw(st.integers(1, 60)) if width is None else width
    return [name, start, start + width, draw(st.sampled_from(["", "peak", "a b"])), 0, draw(st.sampled_from("+-"))]


@settings(deadline=None)
@given(
    data=st.data(),
    length=st.sampled_from([None, 1, 8, 33, 300]),
    stranded=st.booleans(),
    head=st.sampled_from(["", "# a comment\n", "track name=x\n\n"]),
)
def test_the_loader_gives_what_ours_gives(genome, data, length, stranded, head):
    rows = data.draw(st.lists(interval(None if length else 20), min_size=1, max_size=6))
    bed = genome / "x.bed"
    bed.write_text(head + "".join("\t".join(map(str, row)) + "\n" for row in rows))
    given = {
        "intervals_file": str(bed),
        "fasta_file": str(genome / "g.fa"),
        "auto_resize_len": length,
        "use_strand": stranded,
    }
    try:
        ours = IntervalsDl(**given).load_all()
    except InputError:  # resized off the chromosome
        return
    theirs = GroupIntervals(**given).load_all()
    assert theirs["inputs"].dtype == ours["inputs"].dtype == np.float32
    np.testing.assert_array_equal(theirs["inputs"], ours["inputs"])
    for field in ("chr", "start", "end", "id", "strand"):
        np.testing.assert_array_equal(theirs["metadata"]["ranges"][field], ours["metadata"]["ranges"][field])


def test_the_loader_takes_texts_gzip_and_workers(genome):
    bed = genome / "y.bed.gz"
    bed.write_bytes(gzip.compress(b"".join(b"chr1\t%d\t%d\tn\t0\t-\n" % (i, i + 9) for i in range(50))))
    loader = GroupIntervals(str(bed), str(genome / "g.fa"), "6", "True")
    whole = loader.load_all()["inputs"]
    assert whole.shape == (50, 6, 4)
    parts = [batch["inputs"] for batch in loader.batch_iter(batch_size=7, num_workers=2)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(
        GroupIntervals(str(bed), str(genome / "g.fa"), "6", "False").load_all()["inputs"], whole[:, ::-1, ::-1]
    )


@pytest.mark.parametrize(
    "rows, words",
    [
        ("chr1\t0\t9\nchr7\t0\t9\n", "row 2: there is no chromosome 'chr7'"),
        ("chr1\t9\n", "row 1: needs a chromosome"),
        ("chr1\t-1\t9\n", "row 1: needs"),
        ("chr1\t9\t9\n", "chr1:9-9 is empty"),
        ("chr1\t500\t509\n", "past the end"),
        ("chr1\t0\t9\nchr1\t0\t8\n", "row 2: is 8 bp wide, and the first is 9; give auto_resize_len"),
        ("", "no intervals"),
        ("#\n", "no intervals"),
    ],
)
def test_the_loader_names_the_row(genome, rows, words):
    (genome / "bad.bed").write_text(rows)
    with pytest.raises(ValueError, match=words):
        GroupIntervals(str(genome / "bad.bed"), str(genome / "g.fa"))


def test_the_loader_names_what_else_is_wrong(genome):
    (genome / "bad.bed").write_text("chr1\t0\t9\tx\t0\t.\n")
    with pytest.raises(ValueError, match=r"row 1: its strand is '\.'; it must be \+ or -"):
        GroupIntervals(str(genome / "bad.bed"), str(genome / "g.fa"), use_strand=True)
    (genome / "odd.fa").write_text(">chr1\nACGTZACGTA\n")
    with pytest.raises(ValueError, match=r"odd.fa: chr1:0-9 holds 'Z', which is no nucleotide"):
        GroupIntervals(str(genome / "bad.bed"), str(genome / "odd.fa")).load_all()


# The model class


@pytest.fixture(scope="module")
def x():
    return np.eye(4, dtype=np.float32)[np.random.default_rng(1).integers(0, 4, (5, 60))]


@pytest.fixture(scope="module", params=[".keras", ".h5"])
def file(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / f"net{request.param}"
    small_network(seed=3).save(path)
    return path


@pytest.fixture(scope="module")
def both(file):
    return GroupModel(str(file)), Keras3Model(str(file))


def test_the_class_predicts_what_ours_predicts(both, x):
    alone, ours = both
    np.testing.assert_array_equal(alone.predict_on_batch(x), ours.predict_on_batch(x))
    for layer in [layer.name for layer in ours.model.layers]:
        np.testing.assert_array_equal(
            alone.predict_activation_on_batch(x, layer), ours.predict_activation_on_batch(x, layer)
        )


@pytest.mark.parametrize(
    "how",
    [
        {"filter_idx": 1},
        {"filter_idx": slice(0, 2)},
        {"avg_func": "sum"},
        {"avg_func": "max"},
        {"avg_func": "min"},
        {"avg_func": "absmax"},
        {"filter_idx": slice(1, 3), "avg_func": "max"},
        {"layer": 0, "filter_idx": 2, "avg_func": "max"},
        {"layer": 0, "filter_idx": (10, 2)},
    ],
)
def test_the_class_gives_the_gradients_that_ours_gives(both, x, how):
    alone, ours = both
    if "layer" in how:
        how = {**how, "layer": ours.model.layers[0].name}
    expected = ours.input_grad(x, **how)
    assert expected.any()
    np.testing.assert_allclose(alone.input_grad(x, **how), expected, atol=1e-7)


def test_the_class_says_what_is_wrong(both, x, file, tmp_path):
    alone, _ = both
    with pytest.raises(ValueError, match=r"shape \(60, 4\), these have \(50, 4\); give the dataloader auto_resize_len"):
        alone.predict_on_batch(x[:, :50])
    for wrong in (
        lambda: alone.predict_activation_on_batch(x, "dense", pre_nonlinearity=True),
        lambda: alone.input_grad(x, 0, pre_nonlinearity=True),
        lambda: alone.predict_activation_on_batch(x, "nonsense"),
    ):
        with pytest.raises(ValueError, match=r"pre_nonlinearity is not supported|No such layer"):
            wrong()
    md5 = hashlib.md5(file.read_bytes()).hexdigest()
    shutil.copy(file, tmp_path / md5)
    assert GroupModel(str(tmp_path / md5)).predict_on_batch(x).shape == (5, 3)
    shutil.copy(file, tmp_path / ("0" * 32))
    with pytest.raises(ValueError, match=f"damaged, its md5 is {md5}; remove the file and fetch it again"):
        GroupModel(str(tmp_path / ("0" * 32)))


def test_networks_of_keras_2(tmp_path, x):
    tf_keras = pytest.importorskip("tf_keras")
    network = tf_keras.Sequential(
        [
            tf_keras.layers.Input((60, 4)),
            tf_keras.layers.Conv1D(3, 5, activation="relu"),
            tf_keras.layers.Flatten(),
            tf_keras.layers.Dense(2),
        ]
    )
    for name in ("net.h5", "net.keras"):
        network.save(tmp_path / name)
        assert keras_version(tmp_path / name).startswith("2.")
        np.testing.assert_allclose(open_alone(tmp_path / name)(x).numpy(), network(x).numpy(), atol=1e-6)
    (tmp_path / "broken.keras").write_bytes((tmp_path / "net.keras").read_bytes()[:500])
    with pytest.raises(InputError, match=r"broken\.keras: cannot be opened by the code that travels with the group"):
        open_alone(tmp_path / "broken.keras")

"""The worked examples of docs/pipelines: they run, and what they give is right."""

import ast
import csv
import importlib.util
import itertools
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import kipoi
import numpy as np
import pyarrow.parquet as pq
import pytest
from support.documents import CHECKOUT, blocks, run_command, run_page, workspace

FOLDER = CHECKOUT / "docs/pipelines"
NETWORK = str(CHECKOUT / "models/synthetic/cnn_25")


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    return workspace(tmp_path_factory.mktemp("pipelines") / "workspace")


@pytest.fixture
def folder(stand_ins, tmp_path):
    shutil.copytree(stand_ins, tmp_path / "workspace", symlinks=True)
    return tmp_path / "workspace"


@pytest.fixture(scope="module")
def model():
    return kipoi.get_model(NETWORK, source="dir")


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_plain_keras_needs_neither_kipoi_nor_this_package(folder, model):
    code = "\n".join(block.text for block in blocks(FOLDER / "keras.md") if block.language == "python")
    (folder / "script.py").write_text(
        f"{code}\nimport sys\nassert not {{'kipoi', 'kipoi_motifrep'}} & set(sys.modules)"
        "\nassert maps.shape == (300, 200, 30) and mine(x[:2]).shape == (2, 2)"
        "\nnp.savez('found.npz', x=x, probabilities=probabilities)\n"
    )
    # As a script elsewhere, so that the checkout is not on the path.
    done = subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = np.load(folder / "found.npz")
    np.testing.assert_allclose(model.predict_on_batch(found["x"]), found["probabilities"], atol=1e-5)
    assert done.stdout.count("peak_") == 3


def test_kipoi_in_python(folder, monkeypatch):
    found = run_page(FOLDER / "kipoi_python.md", folder, monkeypatch)
    assert found["maps"].shape == (32, 200, 30) and found["gradient"].shape == (32, 200, 4)
    np.testing.assert_allclose(1 / (1 + np.exp(-found["logits"])), found["probabilities"], atol=1e-5)
    assert found["factors"][5] == "MAX"
    assert len(rows_of(folder / "by_kipoi.tsv")) == len(found["predictions"])


def test_a_genome_in_tiles(folder, monkeypatch, model):
    found = run_page(FOLDER / "genome_tiles.md", folder, monkeypatch)
    expected = sum(length // 200 for length in found["lengths"].values())
    lines = (folder / "MAX.bedGraph").read_text().splitlines()[1:]
    assert (
        len(lines) == expected == sum(pq.read_table(folder / f"{name}.parquet").num_rows for name in found["lengths"])
    )
    cells = [line.split("\t") for line in lines]
    spans = [(name, int(start), int(end)) for name, start, end, _ in cells]
    assert spans == sorted(set(spans)), "a bedGraph is sorted, and its intervals are apart"
    assert all(one[0] != two[0] or one[2] <= two[1] for one, two in itertools.pairwise(spans))
    # One tile by hand.
    chromosome, start, end, value = cells[1234]
    record = (folder / "hg38.fa").read_text().partition(f">{chromosome}")[2].partition(">")[0]
    text = "".join(record.splitlines()[1:])
    x = np.eye(4, dtype="float32")[["ACGT".index(letter) for letter in text[int(start) : int(end)].upper()]]
    np.testing.assert_allclose(model.predict_on_batch(x[None])[0, 5], float(value), atol=1e-4)
    by_kipoi = pq.read_table(folder / "chr20.kipoi.parquet")
    ours = pq.read_table(folder / "chr20.parquet")
    assert by_kipoi.num_rows == ours.num_rows
    if importlib.util.find_spec("pyBigWig"):
        import pyBigWig

        with pyBigWig.open(str(folder / "MAX.bw")) as track:
            assert track.chroms() == found["lengths"]
            assert track.values(chromosome, int(start), int(start) + 1)[0] == pytest.approx(float(value), abs=1e-4)
    # Done is done.
    before = (folder / "chr20.parquet").stat().st_mtime_ns
    (folder / "chr7.parquet").unlink()
    run_page(FOLDER / "genome_tiles.md", folder, monkeypatch)
    assert (folder / "chr20.parquet").stat().st_mtime_ns == before and (folder / "chr7.parquet").exists()


def test_in_silico_mutagenesis(folder, monkeypatch, model):
    found = run_page(FOLDER / "mutagenesis.md", folder, monkeypatch)
    rows = rows_of(folder / "mutagenesis.tsv")
    assert len(rows) == 600 and all(row["reference"] != row["alternative"] for row in rows)
    # The variant alone, and one more by hand, agree with the table.
    effect = dict(zip(found["factors"], found["after"] - found["before"], strict=True))
    variant = {"position": str(found["position"]), "alternative": found["alternative"]}
    (same,) = [row for row in rows if variant.items() <= row.items()]
    one = rows[77]
    text = list(found["reference"])
    assert text[int(one["position"]) - 1 - found["start"]] == one["reference"]
    text[int(one["position"]) - 1 - found["start"]] = one["alternative"]
    by_hand = found["logits"](found["one_hot"]("".join(text))[None])[0] - found["before"]
    for place, factor in enumerate(found["factors"]):
        assert float(same[factor]) == pytest.approx(effect[factor], abs=2e-3, rel=2e-3)
        assert float(one[factor]) == pytest.approx(by_hand[place], abs=2e-3, rel=2e-3)
    for name in ("mutagenesis.svg", "mutagenesis_logo.svg"):
        assert ElementTree.parse(folder / name).getroot().tag.endswith("svg")


def without(page, word, folder):
    """Copy a page without the blocks that hold a word."""
    text = re.sub(
        r"```python\n(.*?)```", lambda found: "" if word in found[1] else found[0], page.read_text(), flags=re.DOTALL
    )
    copy = folder / page.name
    copy.write_text(text)
    return copy


def test_gradients(folder, monkeypatch):
    monkeypatch.setattr("support.documents.CHECKOUT", folder)
    found = run_page(without(FOLDER / "gradients.md", "kipoi_interpret", folder), folder, monkeypatch)
    np.testing.assert_allclose(found["centred"].sum(axis=2), 0, atol=1e-4)
    # Along the gradient the logit changes as it says.
    model, x, factor = found["model"], found["x"][:4], found["factor"]
    step = 1e-3 * found["gradient"][:4]

    def logit(inputs):
        last = len(model.model.layers) - 1
        return model.predict_activation_on_batch(inputs, last, pre_nonlinearity=True)[:, factor].astype(float)

    rise = (logit(x + step) - logit(x - step)) / 2
    np.testing.assert_allclose(rise, (step * found["gradient"][:4]).sum(axis=(1, 2)), rtol=0.1, atol=1e-4)
    assert ElementTree.parse(folder / "cebpb_gradient.svg").getroot().tag.endswith("svg")


def test_gradients_through_kipoi_interpret(folder, monkeypatch):
    pytest.importorskip("kipoi_interpret")
    found = run_page(FOLDER / "gradients.md", folder, monkeypatch)
    np.testing.assert_allclose(found["scores"], found["gradient"], atol=1e-6)
    assert (found["saliency"] >= 0).all() and found["contribution"].any()


# Snakemake


class Named(list):
    """A rule's files: by place, by name, or all of them in a line."""

    def __init__(self, positional, named):
        super().__init__([*positional, *named.values()])
        self.__dict__.update(named)

    def __str__(self):
        return " ".join(map(str, self))

    def __format__(self, _):
        return str(self)


def read_snakefile(text):
    """Read what the rules of a Snakefile say; a syntax error in any part is one here."""
    names = {"expand": lambda pattern, **values: expand(pattern, values), "touch": lambda path: path}
    head, *rules = re.split(r"^rule (\w+):\n", text, flags=re.MULTILINE)
    exec(compile(ast.parse(head), "Snakefile", "exec"), names)
    found = {}
    for name, body in zip(rules[::2], rules[1::2], strict=True):
        parts = re.split(r"^    (\w+):(?: |\n)", body, flags=re.MULTILINE)
        assert not parts[0].strip(), f"rule {name}: {parts[0]}"
        found[name] = {
            key: eval(f"gather({value.strip()})", {**names, "gather": lambda *a, **k: (a, k)})
            for key, value in zip(parts[1::2], parts[2::2], strict=True)
        }
    return found


def expand(pattern, values):
    texts = [pattern]
    for key, options in values.items():
        texts = [text.replace(f"{{{key}}}", option) for text in texts for option in options]
    return texts


def job(rule, **wildcards):
    """Fill in a rule as Snakemake does: its shell command and its outputs."""
    given = SimpleNamespace(**wildcards)

    def filled(key):
        positional, named = rule.get(key, ((), {}))
        flat = [one for entry in positional for one in (entry if isinstance(entry, list) else [entry])]
        return Named(
            [one.format(**wildcards) for one in flat], {name: one.format(**wildcards) for name, one in named.items()}
        )

    inputs, outputs = filled("input"), filled("output")
    params = {}
    for name, value in rule.get("params", ((), {}))[1].items():
        arguments = {"input": inputs, "output": outputs}
        wanted = value.__code__.co_varnames[1 : value.__code__.co_argcount]
        made = value(given, **{one: arguments[one] for one in wanted})
        params[name] = " ".join(made) if isinstance(made, list) else made
    command = rule["shell"][0][0].format(
        wildcards=given,
        input=inputs,
        output=outputs,
        params=SimpleNamespace(**params),
        threads=rule.get("threads", ((1,),))[0][0],
    )
    return command, outputs


def test_the_snakefiles_commands_run(folder, monkeypatch):
    text = (FOLDER / "Snakefile").read_text()
    assert text == next(block.text for block in blocks(FOLDER / "snakemake.md") if block.language == "snakemake") + "\n"
    rules = read_snakefile(text)
    assert set(rules) == {"all", "validate", "predict", "interpret", "compare"}
    monkeypatch.chdir(folder)
    for name, wildcards in (
        ("validate", {"sample": "windows"}),
        ("predict", {"sample": "windows", "model": "cnn_2"}),
        ("predict", {"sample": "windows", "model": "cnn_25"}),
        ("interpret", {"model": "cnn_2"}),
        ("interpret", {"model": "cnn_25"}),
        ("compare", {}),
    ):
        command, outputs = job(rules[name], **wildcards)
        for output in outputs:
            (folder / output).parent.mkdir(parents=True, exist_ok=True)  # Snakemake does so
        run_command(command, folder, f"rule {name}")
        assert name == "validate" or all((folder / output).stat().st_size for output in outputs)
    wanted = [one for entry in rules["all"]["input"][0] for one in (entry if isinstance(entry, list) else [entry])]
    assert all((folder / one).exists() for one in wanted)


@pytest.mark.slow
def test_the_snakefile_by_snakemake(folder):
    pytest.importorskip("snakemake")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", str(FOLDER / "Snakefile"), "--cores", "1", "-n"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

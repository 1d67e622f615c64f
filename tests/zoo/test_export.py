"""Groups for the public zoo: they stand alone, without this package."""

import ast
import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from support.packaging import INFO, contents, md5, read_table, rendered

from kipoi_motifrep.training.architectures import ARCHITECTURES
from kipoi_motifrep.zoo import standalone
from kipoi_motifrep.zoo.check import check_export, kipoi_test
from kipoi_motifrep.zoo.description import PRECISION_DECIMAL, GroupInfo, link, read_info
from kipoi_motifrep.zoo.export import (
    PACKAGE,
    Export,
    export_zoo,
    licence,
    pinned_dependencies,
    write_code,
    write_pull_request,
)
from kipoi_motifrep.zoo.packaged import find_networks


def test_files_of_an_export(export):
    group, upload = contents(export.group), contents(export.upload)
    assert {str(path) for path in upload if path.suffix != ".fai"} == {
        "first.keras",
        "second.h5",
        "first.expect.h5",
        "second.expect.h5",
        "windows.bed",
        "hg19_chr20_200kb.fa",
    }
    assert {str(path) for path in group} == {
        "README.md",
        "model-template.yaml",
        "models.tsv",
        "dataloader.yaml",
        "my_lab_kipoi.py",
        "test_subset.txt",
    }
    assert (export.group / "test_subset.txt").read_text() == "first\n"
    assert sum(map(len, group.values())) < 200_000


def test_addresses_of_an_export(export):
    model = rendered(export.group, "second")
    base = "https://zenodo.org/records/1/files"
    assert model["args"] == {"weights": {"url": f"{base}/second.h5", "md5": md5(export.upload / "second.h5")}}
    assert model["test"]["expect"] == {
        "url": f"{base}/second.expect.h5",
        "md5": md5(export.upload / "second.expect.h5"),
    }
    loader = yaml.safe_load((export.group / "dataloader.yaml").read_text())
    for argument in ("intervals_file", "fasta_file"):
        example = loader["args"][argument]["example"]
        assert example == {
            "url": f"{base}/{example['name']}",
            "md5": md5(export.upload / example["name"]),
            "name": example["name"],
        }
    assert loader["defined_as"] == "my_lab_kipoi.GroupIntervals" and model["defined_as"] == "my_lab_kipoi.GroupModel"
    assert model["default_dataloader"] == ".."
    assert loader["info"]["authors"] == [{"name": "Ada Example", "github": "ada"}]
    assert "kipoi_motifrep" not in (export.group / "model-template.yaml").read_text()


def test_the_exported_loader_is_described_by_its_own_words(export):
    described = yaml.safe_load((export.group / "dataloader.yaml").read_text())
    assert list(described["args"]) == list(inspect.signature(standalone.GroupIntervals).parameters)
    for name, argument in described["args"].items():
        assert argument["doc"] in " ".join(standalone.GroupIntervals.__doc__.split()), name
        assert argument.get("optional", False) == (name in ("auto_resize_len", "use_strand"))
    assert [argument["type"] for argument in described["args"].values()] == ["str", "str", "int", "bool"]


def test_links():
    assert link("https://x.org/a/", "f.h5") == "https://x.org/a/f.h5"
    assert link("https://x.org/a/?download=1", "f.h5") == "https://x.org/a/f.h5?download=1"


def test_every_dependency_is_pinned(export, networks):
    import kipoi
    from kipoi.cli.env import KIPOI_DEPS

    dependencies = rendered(export.group, "first")["dependencies"]
    assert dependencies == pinned_dependencies(networks)
    assert all(re.fullmatch(r"(conda-forge|bioconda)::[\w-]+=[\d.]+", one) for one in dependencies["conda"])
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", one) for one in dependencies["pip"])
    pinned = {re.split(r"=+", one.rpartition("::")[2])[0] for one in dependencies["conda"] + dependencies["pip"]}
    # As 'kipoi env export' does it.
    merged = KIPOI_DEPS.merge(kipoi.specs.Dependencies(**dependencies))
    assert list(merged.to_env_dict("x")["channels"]) == ["conda-forge", "bioconda", "defaults"]
    imported = {name.split(".")[0] for name in imports((export.group / "my_lab_kipoi.py").read_text())}
    assert imported - set(sys.stdlib_module_names) <= pinned and "pip" in pinned


def imports(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import would not be followed"
            yield node.module


def test_copied_code_needs_nothing_else_of_this_package(export):
    """An independent look: the one file, whole, imports nothing of the package."""
    code = (export.group / "my_lab_kipoi.py").read_text()
    assert code.endswith(Path(standalone.__file__).read_text())
    assert not [name for name in imports(code) if name.split(".")[0] == PACKAGE]
    assert PACKAGE not in code.replace(f"Copied from {PACKAGE} ", "").replace(f"the {PACKAGE} authors", "")


def test_copied_code_is_clean(export):
    """No name is left undefined or unused by what was left out."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,E9", str(export.group)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_names_of_two_groups_do_not_collide(tmp_path):
    entries = {write_code(tmp_path / name, name): name for name in ("KooEddy", "Koo_Eddy", "My-Lab")}
    assert list(entries) == ["kooeddy_kipoi", "koo_eddy_kipoi", "my_lab_kipoi"]
    code = (
        "import sys; sys.modules['kipoi_motifrep'] = None; import os; from kipoi_utils.utils import load_obj\n"
        "found = []\n"
        "for folder, entry in zip(sys.argv[1::2], sys.argv[2::2]):\n"
        "    os.chdir(folder); found += [load_obj(entry + '.GroupModel'), load_obj(entry + '.GroupIntervals')]\n"
        "print(*[one.__module__ for one in found]); assert len(set(found)) == len(found)"
    )
    arguments = [part for entry, name in entries.items() for part in (str(tmp_path / name), entry)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.stdout.split() == [entry for entry in entries for _ in range(2)], done.stderr


def test_code_travels_with_its_own_licence(export, checkout):
    lines = (export.group / "my_lab_kipoi.py").read_text().splitlines()
    text = "".join(f"{line[2:]}\n" for line in lines[2 : lines.index("")])
    assert text == (checkout / "LICENSE").read_text() == licence()
    assert rendered(export.group, "first")["info"]["license"] == "BSD-3-Clause"
    assert "MIT" in licence()


def test_export_again_into_the_same_folder(tmp_path, networks, info, export):
    out = tmp_path / "again"
    shutil.copytree(export.out, out)
    again = export_zoo(networks[1:], out, info, export.base_url, export.name)
    assert {path.name for path in again.upload.iterdir()} >= {"second.h5", "second.expect.h5", "windows.bed"}
    assert not (again.upload / "first.keras").exists() and not (again.upload / "first.expect.h5").exists()
    assert md5(again.upload / "second.expect.h5") == md5(export.upload / "second.expect.h5")
    assert (again.group / "test_subset.txt").read_text() == "second\n"


def tensorflow_version():
    import tensorflow

    return tensorflow.__version__


def test_text_of_the_pull_request(export, tmp_path):
    text, _, answers = write_pull_request(export, []).read_text().partition("\n## What a reviewer may ask\n")
    assert (
        text
        == """# Add My-Lab

2 models by Ada Example
(https://doi.org/10.1000/1), licence BSD-3-Clause.

| model | architecture | parameters |
|---|---|---|
| first | 3 layers | 131 |
| second | 3 layers | 195 |

They read one-hot sequences of 60 bp and predict 3 labels:
CTCF, GATA1, NO.

- [x] `kipoi test` passes for every model without a warning
- [x] weights, expected predictions and example files are `url` + `md5`
- [x] all dependencies are pinned
- [x] model class and dataloader travel in the group, in one file
- [ ] the contents of `upload/` are public at https://zenodo.org/records/1/files
- [ ] no group of the zoo is called My-Lab
"""
    )
    # Each answer is one line, since GitHub breaks a pull request's text where a line ends; its numbers are those here.
    assert all(re.match(r"- \*\*.+\*\* ", line) for line in answers.strip().splitlines())
    size = sum(len(text) for text in contents(export.group).values())
    uploaded = sum(len(text) for path, text in contents(export.upload).items() if path.suffix != ".fai")
    assert f"6 files with {size / 1e3:.0f} kB, none for git-lfs; the 6 files behind addresses" in answers
    assert f"have {uploaded / 1e6:.1f} MB." in answers and "Of the networks: BSD-3-Clause." in answers
    assert f"TensorFlow {tensorflow_version()} and Keras" in answers
    code = (export.group / "my_lab_kipoi.py").read_text()
    assert f"`my_lab_kipoi.py` does all that ({code.count(chr(10))} lines" in answers
    assert ("`kipoi test` passed where" in answers, "passed" in write_pull_request(export, None).read_text()) == (1, 0)
    assert "- [ ] `kipoi test` passes" in write_pull_request(export, None).read_text()
    assert "- [ ] `kipoi test` passes" in write_pull_request(export, ["first"]).read_text()
    nameless = GroupInfo({**export.info.info, "contributors": [{"name": "Bob"}]}, None, export.info.path)
    shutil.copytree(export.out, tmp_path / "copy")
    unknown = Export(export.networks, nameless, tmp_path / "copy", export.name, "https://x.org")
    assert "- [ ] missing: the GitHub account of Bob\n" in write_pull_request(unknown, []).read_text()


PREDICT_ALONE = """
import sys
sys.modules["kipoi_motifrep"] = None
import h5py, kipoi, numpy as np
model = kipoi.get_model(sys.argv[1], source="dir")
with h5py.File(sys.argv[2]) as file:
    np.save(sys.argv[3], model.predict_on_batch(file["inputs"][:]))
assert not any(name.startswith("kipoi_motifrep.") for name in sys.modules)
"""


def exported_and_moved(tmp_path, group, names):
    """Export a shipped network to a file:// address and move the group away from it."""
    (tmp_path / "info.yaml").write_text(INFO)
    weights = [group / "weights" / f"{name}.keras" for name in names]
    upload = tmp_path / "out/upload"
    export = export_zoo(
        find_networks(weights), tmp_path / "out", read_info(tmp_path / "info.yaml"), upload.as_uri(), "KooEddy"
    )
    elsewhere = tmp_path / "zoo"
    elsewhere.mkdir()
    return export, shutil.move(export.group, elsewhere / "KooEddy")


def predictions_alone(moved, name, inputs, tmp_path):
    written = tmp_path / "predictions.npy"
    done = subprocess.run(
        [sys.executable, "-c", PREDICT_ALONE, str(moved / name), str(inputs), str(written)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return np.load(written)


def test_zoo_group_passes_without_this_project(tmp_path, shipped):
    group, names = shipped
    _, moved = exported_and_moved(tmp_path, group, names[:1])
    assert kipoi_test(moved / names[0], alone=True) == []
    assert (moved / f"downloaded/model_files/{names[0]}/weights" / md5(group / f"weights/{names[0]}.keras")).exists()


@pytest.mark.slow
def test_every_zoo_model_passes_and_predicts_as_ours(tmp_path, shipped):
    import keras

    group, names = shipped
    export, moved = exported_and_moved(tmp_path, group, names)
    for name in names:
        assert kipoi_test(moved / name, alone=True) == [], name
        with h5py.File(group / f"expect/{name}.h5") as file:
            inputs, expected = file["inputs"][:], file["preds"][:]
        alone = predictions_alone(moved, name, group / f"expect/{name}.h5", tmp_path)
        ours = keras.saving.load_model(group / f"weights/{name}.keras", compile=False).predict(inputs, verbose=0)
        np.testing.assert_allclose(alone, ours, atol=1e-6)
        # Recorded on another processor, whose sums differ.
        np.testing.assert_allclose(ours, expected, atol=0.1**PRECISION_DECIMAL)
    shutil.move(moved, export.group)
    assert dict(check_export(export)) == {name: [] for name in names}


@pytest.mark.slow
def test_every_shipped_model_passes(shipped):
    group, names = shipped
    assert set(names) <= set(ARCHITECTURES)
    for name in names:
        assert kipoi_test(group / name) == [], name


@pytest.mark.slow
def test_kipoi_commands_on_groups(tmp_path, shipped, run_python):
    group, names = shipped
    _, moved = exported_and_moved(tmp_path, group, names[:2])
    assert "KooEddy/ (2)" in run_python("-m", "kipoi", "ls", "--source", "dir", cwd=moved.parent).stdout
    listed = run_python("-m", "kipoi", "ls", "KooEddy", "--source", "dir", cwd=moved.parent).stdout
    assert set(names[:2]) <= {line.split("/")[-1] for line in listed.split()}
    said = run_python("-m", "kipoi", "info", f"KooEddy/{names[0]}", "--source", "dir", cwd=moved.parent).stdout
    assert "github: ada" in said and "license: BSD-3-Clause" in said and "intervals_file:" in said
    done = run_python(
        "-m",
        "kipoi",
        "get-example",
        f"KooEddy/{names[0]}",
        "--source",
        "dir",
        "-o",
        tmp_path / "example",
        cwd=moved.parent,
    )
    arguments = json.loads(done.stdout.strip().splitlines()[-1])
    assert sorted(path.name for path in (tmp_path / "example").iterdir()) == ["hg19_chr20_200kb.fa", "windows.bed"]
    assert set(arguments) == {"intervals_file", "fasta_file"}


def test_the_shipped_group_is_what_package_writes(shipped):
    """Its table, weights and expected predictions agree; nothing was changed by hand."""
    group, names = shipped
    assert names == [name for name in ARCHITECTURES if name in names]
    for row in read_table(group / "models.tsv"):
        assert row["weights"] == f"{row['model']}.keras"
        assert row["weights_md5"] == md5(group / "weights" / row["weights"])
        assert row["expect_md5"] == md5(group / "expect" / f"{row['model']}.h5")
    networks = find_networks([group / "weights" / f"{name}.keras" for name in names[:1]])
    template = yaml.safe_load((group / "model-template.yaml").read_text())
    assert template["schema"]["targets"]["column_labels"] == list(networks[0].label_names)
    assert {path.stem for path in (group / "weights").glob("*.keras")} == set(names)

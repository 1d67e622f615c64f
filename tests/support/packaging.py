"""What the tests of packaging share: small networks, an author's file, and ways to look at a group."""

import csv
import hashlib

import yaml

LABELS = ("CTCF", "GATA1", "NO")
LENGTH = 60
INFO = """\
authors:
  - name: Ada Example
    github: ada
license: BSD-3-Clause
cite_as: https://doi.org/10.1000/1
doc: "Network {{ model }}: {{ architecture }}; {{ parameters }} parameters."
trained_on: Nothing at all.
"""


def filled(example):
    """Fill in the example of an author's file, as its reader would."""
    for old, new in (
        ("Your Name", "Ada"),
        ("your-account", "ada"),
        ("10.xxxx/xxxxx", "10.1/2"),
        ("One or two", "Two"),
        ("Which data", "Data"),
    ):
        assert old in example
        example = example.replace(old, new)
    return example


def small_network(length=LENGTH, n_outputs=3, seed=0, filters=4):
    import keras

    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.layers.Input((length, 4)),
            keras.layers.Conv1D(filters, 7, activation="relu", padding="same"),
            keras.layers.GlobalMaxPooling1D(),
            keras.layers.Dense(n_outputs, activation="sigmoid"),
        ]
    )


def read_table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rendered(group, model):
    from jinja2 import Template

    [row] = [row for row in read_table(group / "models.tsv") if row["model"] == model]
    return yaml.safe_load(Template((group / "model-template.yaml").read_text()).render(**row))

"""The yaml of a Kipoi group, from what its author says and what its networks are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from kipoi_motifrep.errors import InputError
from kipoi_motifrep.packaging.networks import Packaged

MODEL_CLASS = "kipoi_motifrep.Keras3Model"
PRECISION_DECIMAL = 5  # float32 sums differ from processor to processor beyond that
REQUIRED = ("authors", "license", "cite_as", "doc", "trained_on")

EXAMPLE_INFO = """\
# What only you know of your networks. In every text, {{ model }}, {{ architecture }}, {{ parameters }}, {{ auroc }},
# {{ aupr }} and {{ seed }} stand for the columns of models.tsv.
authors:
  - name: Your Name
    github: your-account
contributors:            # who packages it; the authors if left out
  - name: Your Name
    github: your-account
license: MIT
cite_as: https://doi.org/10.xxxx/xxxxx
doc: >
  One or two sentences: which question does the network {{ model }} answer, and what should it not be used for?
trained_on: >
  Which data, which genome build, which chromosomes were held out.
training_procedure: >
  Optional: optimizer, early stopping.
tags: [DNA binding]
"""


@dataclass(frozen=True)
class GroupInfo:
    """What the author says of a group.

    Attributes
    ----------
    info : Mapping
        Kipoi's ``info``, as in the file.
    dataloader : str or None
        Relative path of a dataloader folder; the group's own if None.
    """

    info: Mapping[str, object]
    dataloader: str | None


def read_info(path: str | os.PathLike) -> GroupInfo:
    """Read the author's file.

    Parameters
    ----------
    path : str or path-like
        YAML as in :data:`EXAMPLE_INFO`.

    Returns
    -------
    GroupInfo
        Its contents.

    Raises
    ------
    InputError
        If it is missing, is no YAML, or lacks a field that the zoo wants.
    """
    try:
        info = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("there is no such file; 'kipoi-motifrep package --example-info' prints one to fill in",
                         path=path) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError("is no valid YAML", path=path, row=mark.line + 1 if mark else None) from error
    missing = [field for field in REQUIRED if not (isinstance(info, dict) and info.get(field))]
    if missing:
        raise InputError(f"lacks {', '.join(missing)}", path=path)
    dataloader = info.pop("dataloader", None)
    info.setdefault("contributors", info["authors"])
    return GroupInfo(info, dataloader)


def model_template(group: GroupInfo, network: Packaged, *, model_class: str = MODEL_CLASS,
                   base_url: str | None = None, dependencies: Mapping[str, list[str]] | None = None) -> str:
    """Write a group's ``model-template.yaml``.

    Parameters
    ----------
    group : GroupInfo
        What the author says.
    network : Packaged
        Any network of the group: all have the same inputs and outputs.
    model_class : str
        Python name of the Kipoi model class.
    base_url : str, optional
        Where weights and expected predictions will lie; in the group by default.
    dependencies : mapping, optional
        Kipoi's ``dependencies``; this package by default.

    Returns
    -------
    str
        YAML with ``{{ column }}`` for the columns of ``models.tsv``.
    """
    weights, expect = "weights/{{ model }}.keras", "expect/{{ model }}.h5"
    args: dict[str, object] = {"weights": weights, "md5": "{{ weights_md5 }}"}
    expected: object = expect
    if base_url is not None:
        args = {"weights": {"url": f"{base_url}/{weights}", "md5": "{{ weights_md5 }}"}}
        expected = {"url": f"{base_url}/{expect}", "md5": "{{ expect_md5 }}"}
    info = {"name": "{{ model }}", "version": "0.1", **group.info}
    return dump({
        "defined_as": model_class,
        "args": args,
        "default_dataloader": group.dataloader or "..",
        "info": info,
        "dependencies": dependencies or {"conda": ["python=3.11"],
                                         "pip": ["kipoi_motifrep", "tensorflow>=2.21,<2.22", "keras>=3.12,<4"]},
        "schema": {
            "inputs": {"name": "sequence", "shape": f"({network.length}, 4)", "special_type": "DNASeq",
                       "doc": f"One-hot sequence of {network.length} bp, ACGT", "associated_metadata": "ranges"},
            "targets": {"name": "labels", "shape": f"({len(network.label_names)},)",
                        "doc": "Probability of each label", "column_labels": list(network.label_names)},
        },
        "test": {"expect": expected, "precision_decimal": PRECISION_DECIMAL},
    })


def dump(description: Mapping[str, object]) -> str:
    """Write a mapping as YAML in its own order.

    Parameters
    ----------
    description : mapping
        Plain values.

    Returns
    -------
    str
        YAML text.
    """
    return yaml.dump(dict(description), Dumper=_Readable, sort_keys=False, width=110, allow_unicode=True)


class _Readable(yaml.SafeDumper):
    """Long texts folded, nothing said once and referred to."""

    def ignore_aliases(self, data):
        return True


_Readable.add_representer(str, lambda dumper, text: dumper.represent_scalar(
    "tag:yaml.org,2002:str", text, style=">" if len(text) > 100 else None))

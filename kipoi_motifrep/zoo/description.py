"""The yaml of a Kipoi group, from what its author says and what its networks are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.zoo.packaged import TEMPLATE_MARK, Packaged

MODEL_CLASS = "kipoi_motifrep.Keras3Model"
PRECISION_DECIMAL = 5  # float32 sums differ from processor to processor beyond that
PEOPLE = ("authors", "contributors")
REQUIRED = ("authors", "license", "cite_as", "doc", "trained_on")
OPTIONAL = ("contributors", "name", "version", "training_procedure", "tags", "dataloader", "card")
PLACEHOLDERS = ("Your Name", "your-account", "10.xxxx")  # of the example
DEEPEST = 10  # levels of nesting; three are needed
SHOWN = 40  # characters of a broken placeholder
_PLACEHOLDER = re.compile(r"\{\{ *(\w+) *\}\}", re.A)
DEPENDENCIES = {
    "conda": ["conda-forge::python=3.11", "conda-forge::pip"],
    "pip": ["kipoi_motifrep", "tensorflow>=2.21,<2.22", "keras>=3.12,<4"],
}

EXAMPLE_INFO = """\
# What only you know of your networks. In every text, {{ model }}, {{ architecture }} and {{ parameters }} stand for the
# columns of models.tsv; so do {{ auroc }}, {{ aupr }} and {{ seed }} for networks of 'kipoi-motifrep train'.
authors:                 # who made the networks
  - name: Your Name
    github: your-account
contributors:            # who packages them; the authors if left out
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
card: |
  Optional, in Markdown, for the group's README.md: what the networks are for and what not, limits, an example.
"""


class Files(NamedTuple):
    """Where the files of a network lie, with ``{weights}`` and ``{model}`` to be filled in."""

    weights: str
    expect: str


IN_GROUP = Files("weights/{weights}", "expect/{model}.h5")
# Zenodo and GitHub releases have no folders.
UPLOADED = Files("{weights}", "{model}.expect.h5")


@dataclass(frozen=True)
class GroupInfo:
    """What the author says of a group.

    Attributes
    ----------
    info : Mapping
        Kipoi's ``info``, as in the file.
    dataloader : str or None
        Relative path of a dataloader folder; the group's own if None.
    path : pathlib.Path
        The file.
    card : str
        What the model card shall say, in Markdown.
    """

    info: Mapping[str, Any]  # as nested as YAML is; read_info has looked at every field
    dataloader: str | None
    path: Path
    card: str = ""


def read_info(path: str | os.PathLike) -> GroupInfo:
    r"""Read the author's file.

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
        If it is missing, is no YAML, lacks a field that the zoo wants, or holds what the example holds.

    Examples
    --------
    >>> from kipoi_motifrep.core.scratch import scratch
    >>> with scratch() as folder:
    ...     _ = (folder / "info.yaml").write_text("authors: [{name: Ada}]\nlicense: MIT\ncite_as: 10.1/2\n"
    ...                                           "doc: Finds CTCF.\ntrained_on: hg38 without chr8.")
    ...     read_info(folder / "info.yaml").info["license"]
    'MIT'
    """
    info = _read_yaml(Path(path))
    missing = [field for field in REQUIRED if not (isinstance(info, dict) and info.get(field))]
    if missing:
        raise InputError(f"lacks {', '.join(missing)}", path=path)
    unknown = [field for field in info if field not in REQUIRED + OPTIONAL]
    if unknown:
        raise InputError(f"has an unknown field {unknown[0]!r}; known are {', '.join(REQUIRED + OPTIONAL)}", path=path)
    for field in info:
        _check_field(field, info[field], path)
    example = yaml.safe_load(EXAMPLE_INFO)
    left = [
        field
        for field in info
        if field != "license"
        and (
            (info[field] == example.get(field) and field in REQUIRED)
            or any(word in text for text in _texts(info[field]) for word in PLACEHOLDERS)
        )
    ]
    if left:
        raise InputError(
            f"{', '.join(left)} {'is' if len(left) == 1 else 'are'} still as in the example; say what is "
            "true of your networks",
            path=path,
        )
    for field in ("training_procedure", "card"):  # what is optional and was left alone says nothing
        if info.get(field) == example[field]:
            del info[field]
    dataloader, card = info.pop("dataloader", None), info.pop("card", "")
    info.setdefault("contributors", info["authors"])
    return GroupInfo({"name": "{{ model }}", "version": "0.1", **info}, dataloader, Path(path), card)


def _read_yaml(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        # A few lines that refer to each other can stand for more text than there is memory; brackets without end, for
        # more time than there is.
        depth = 0
        for event in yaml.parse(text):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > DEEPEST:
                what = "is nested too deeply" if depth > DEEPEST else "refers to another part of itself"
                raise InputError(f"{what}; write plain texts and lists", path=path, row=event.start_mark.line + 1)
        return yaml.safe_load(text)
    except FileNotFoundError as error:
        raise InputError(
            "there is no such file; 'kipoi-motifrep package --example-info' prints one to fill in", path=path
        ) from error
    except UnicodeDecodeError as error:
        raise InputError("is no UTF-8 text", path=path) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not readable"
        raise InputError(f"is no valid YAML ({problem})", path=path, row=mark.line + 1 if mark else None) from error


def _check_field(field: str, value: object, path: str | os.PathLike) -> None:
    if field in PEOPLE:
        if not isinstance(value, list) or not all(
            isinstance(one, dict) and one.get("name") and all(isinstance(text, str) for text in one.values())
            for one in value
        ):
            raise InputError(f"{field} must be a list of people, '- name: ...' each, all texts", path=path)
    elif field == "tags":
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise InputError("tags must be a list of texts", path=path)
    elif not isinstance(value, str):
        raise InputError(f"{field} is {value!r}; it must be a text (put it in quotes)", path=path)


def check_placeholders(group: GroupInfo, columns: Sequence[str]) -> None:
    """Check that the author's texts hold no template code but plain ``{{ column }}``, and that each has a value.

    Parameters
    ----------
    group : GroupInfo
        What the author says.
    columns : sequence of str
        Of ``models.tsv``.

    Raises
    ------
    InputError
        If one has no value, or what opens like code of a template is anything else.

    Examples
    --------
    >>> check_placeholders(GroupInfo({"doc": "Network {{ model }}"}, None, Path("info.yaml")), ["model"])
    >>> check_placeholders(GroupInfo({"doc": "{{ 7 * 6 }}"}, None, Path("info.yaml")), ["model"])
    Traceback (most recent call last):
    ...
    kipoi_motifrep.core.errors.InputError: info.yaml: has a broken {{ placeholder }} at '{{ 7 * 6 }} '; ...
    """
    known = f"known are {', '.join(columns)}"
    text = " ".join(_texts([group.info, group.dataloader or ""]))
    # From left to right, as Jinja reads: what opens at one mark must be a whole placeholder.
    for mark in TEMPLATE_MARK.finditer(text):
        placeholder = _PLACEHOLDER.match(text, mark.start())
        if placeholder is None:
            raise InputError(
                f"has a broken {{{{ placeholder }}}} at {text[mark.start() : mark.start() + SHOWN]!r}; it "
                f"may hold the plain name of a column alone: {known}",
                path=group.path,
            )
        if placeholder[1] not in columns:
            raise InputError(f"{{{{ {placeholder[1]} }}}} is not known of these networks; {known}", path=group.path)


def _texts(value: object) -> Iterator[str]:
    """All texts in nested values, the keys of mappings among them."""
    if isinstance(value, Mapping):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for one in value:
            yield from _texts(one)
    else:
        yield str(value)


def unfinished(group: GroupInfo) -> list[str]:
    """List what the zoo will ask for.

    Parameters
    ----------
    group : GroupInfo
        What the author says.

    Returns
    -------
    list of str
        Missing GitHub accounts.

    Examples
    --------
    >>> people = [{"name": "Ada", "github": "ada"}, {"name": "Bob"}]
    >>> unfinished(GroupInfo({"authors": people, "contributors": people}, None, Path("info.yaml")))
    ['the GitHub account of Bob']
    """
    people = {one["name"]: one.get("github") for field in PEOPLE for one in group.info[field]}
    return [f"the GitHub account of {name}" for name, account in people.items() if not account]


def link(base_url: str, file: str) -> str:
    """Make a file's address below a base.

    Parameters
    ----------
    base_url : str
        Address of a folder; ``?download=1`` and the like go to the end.
    file : str
        Its name.

    Returns
    -------
    str
        The address.

    Examples
    --------
    >>> link("https://example.org/files?download=1", "cnn_2.keras")
    'https://example.org/files/cnn_2.keras?download=1'
    """
    base, mark, query = base_url.partition("?")
    return f"{base.rstrip('/')}/{file}{mark}{query}"


def model_template(
    group: GroupInfo,
    network: Packaged,
    *,
    model_class: str = MODEL_CLASS,
    base_url: str | None = None,
    dependencies: Mapping[str, list[str]] = DEPENDENCIES,
) -> str:
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
    files = IN_GROUP if base_url is None else UPLOADED
    weights, expect = (file.format(weights="{{ weights }}", model="{{ model }}") for file in files)
    args: dict[str, object] = {"weights": weights, "md5": "{{ weights_md5 }}"}
    expected: object = expect
    if base_url is not None:
        args = {"weights": {"url": link(base_url, weights), "md5": "{{ weights_md5 }}"}}
        expected = {"url": link(base_url, expect), "md5": "{{ expect_md5 }}"}
    return dump(
        {
            "defined_as": model_class,
            "args": args,
            "default_dataloader": group.dataloader or "..",
            "info": group.info,
            "dependencies": dependencies,
            "schema": {
                "inputs": {
                    "name": "sequence",
                    "shape": f"({network.length}, 4)",
                    "special_type": "DNASeq",
                    "doc": f"One-hot sequence of {network.length} bp, ACGT",
                    "associated_metadata": "ranges",
                },
                "targets": {
                    "name": "labels",
                    "shape": f"({len(network.label_names)},)",
                    "doc": "Prediction for each label",
                    "column_labels": list(network.label_names),
                },
            },
            "test": {"expect": expected, "precision_decimal": PRECISION_DECIMAL},
        }
    )


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

    Examples
    --------
    >>> print(dump({"name": "{{ model }}", "tags": ["DNA binding"]}), end="")
    name: '{{ model }}'
    tags:
      - DNA binding
    """
    # Long texts are folded. A placeholder is one word meanwhile, so that no line ends within it.
    text = yaml.dump(dict(description), Dumper=_Readable, sort_keys=False, width=110, allow_unicode=True)
    return re.sub(r"\{\{(\w+)\}\}", r"{{ \1 }}", text)


class _Readable(yaml.SafeDumper):
    """Long texts folded, nothing said once and referred to, lists set in."""

    def ignore_aliases(self, data):
        return True

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)


def _represent_text(dumper: _Readable, text: str) -> yaml.ScalarNode:
    whole = re.sub(r"\{\{\s*(\w+)\s*\}\}", r"{{\1}}", text)  # no line may end within a placeholder
    return dumper.represent_scalar("tag:yaml.org,2002:str", whole, style=">" if len(text) > 100 else None)


_Readable.add_representer(str, _represent_text)

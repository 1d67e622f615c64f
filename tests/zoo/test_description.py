"""What the author of a group says, and how it gets into Kipoi's template."""

import re
import shutil
from pathlib import Path

import jinja2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.packaging import INFO, filled, rendered

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.zoo.description import EXAMPLE_INFO, GroupInfo, check_placeholders, dump, read_info, unfinished
from kipoi_motifrep.zoo.group import write_group


def test_the_example_info_is_to_be_filled_in(tmp_path, networks):
    path = tmp_path / "info.yaml"
    path.write_text(EXAMPLE_INFO)
    with pytest.raises(
        InputError,
        match=r"info.yaml: authors, contributors, cite_as, doc, trained_on are still as in "
        "the example; say what is true",
    ):
        read_info(path)
    for old, field in (("Ada", "authors"), ("Two", "doc"), ("Data", "trained_on"), ("10.1/2", "cite_as")):
        was = {"Ada": "Your Name", "Two": "One or two", "Data": "Which data", "10.1/2": "10.xxxx/xxxxx"}[old]
        path.write_text(filled(EXAMPLE_INFO).replace(old, was))
        with pytest.raises(InputError, match=rf"{field}(, contributors)? (is|are) still as in the example"):
            read_info(path)
    path.write_text(filled(EXAMPLE_INFO).replace("github: ada", "github: your-account", 1))
    with pytest.raises(InputError, match="authors is still as in the example"):
        read_info(path)
    path.write_text(filled(EXAMPLE_INFO))
    write_group(networks, tmp_path / "Mine", read_info(path))
    assert "does the network first answer" in rendered(tmp_path / "Mine", "first")["info"]["doc"]
    assert unfinished(read_info(path)) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("authors:\n- [", "row 2: is no valid YAML"),
        ("a: 1\nb: {\nc: 2", "row 3: is no valid YAML"),
        ("", "lacks authors, license, cite_as, doc, trained_on"),
        ("just words", "lacks authors"),
        ("[1, 2]", "lacks authors"),
        (INFO.replace("license: BSD-3-Clause", "licence: MIT"), "lacks license"),
        (INFO + "licence: MIT\n", "unknown field 'licence'; known are authors, license"),
        (INFO.replace("  - name: Ada Example\n    github: ada", "  Ada"), "authors must be a list of people"),
        (INFO.replace("name: Ada", "nmae: Ada"), "authors must be a list of people"),
        (INFO + "contributors: [Ada]\n", "contributors must be a list of people"),
        (INFO + "tags: DNA\n", "tags must be a list"),
        (INFO + "version: 0.1\n", "version is 0.1; it must be a text"),
        (INFO + "dataloader: {defined_as: x.y}\n", "dataloader is"),
    ],
)
def test_info_files_that_are_wrong(tmp_path, text, words):
    path = tmp_path / "info.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(words) if "(" in words else words) as error:
        read_info(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_info_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match="no such file; 'kipoi-motifrep package --example-info' prints one"):
        read_info(tmp_path / "missing.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"doc: \xfc\xff")
    with pytest.raises(InputError, match=r"latin.yaml: is no UTF-8 text"):
        read_info(tmp_path / "latin.yaml")


def test_info_files_that_would_take_all_memory(tmp_path):
    path = tmp_path / "info.yaml"
    path.write_text(
        "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    )
    with pytest.raises(InputError, match=r"info.yaml, row 2: refers to another part of itself"):
        read_info(path)
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"info.yaml, row 1: is nested too deeply"):
        read_info(path)


def test_placeholders(info):
    def asking(text):
        return GroupInfo({**info.info, "doc": text}, None, info.path)

    check_placeholders(asking("{{ model }} {{parameters}}"), ["model", "parameters", "architecture"])
    with pytest.raises(InputError, match=r"{{ modle }} is not known of these networks; known are model"):
        check_placeholders(asking("{{ modle }}"), ["model", "parameters", "architecture"])
    with pytest.raises(InputError, match=r"info.yaml: has a broken {{ placeholder }}"):
        check_placeholders(asking("{{ model }"), ["model", "parameters", "architecture"])


def test_no_line_of_yaml_ends_within_a_placeholder():
    for n in range(80, 130):
        text = "x " * (n // 2) + "y" * (n % 2) + " {{ model }} and {{parameters}} " + "more words " * 9
        dumped = dump({"doc": text.strip()})
        assert "{{ model }}" in dumped and "{{ parameters }}" in dumped
        assert yaml.safe_load(dumped)["doc"].split() == text.replace("{{parameters}}", "{{ parameters }}").split()


def test_a_dataloader_elsewhere(tmp_path, networks, checkout):
    shutil.copytree(checkout / "dataloaders/intervals", tmp_path / "loaders/intervals", symlinks=False)
    (tmp_path / "info.yaml").write_text(INFO + "dataloader: ../../loaders/intervals\n")
    write_group(networks, tmp_path / "Mine", read_info(tmp_path / "info.yaml"))
    assert rendered(tmp_path / "Mine", "first")["default_dataloader"] == "../../loaders/intervals"
    assert not (tmp_path / "Mine/dataloader.yaml").exists() and not (tmp_path / "Mine/example_files").exists()
    (tmp_path / "info.yaml").write_text(INFO + "dataloader: ../loaders/intervals\n")
    with pytest.raises(
        InputError,
        match=r"the dataloader ../loaders/intervals is not there: it is relative to .*"
        r"Mine/MODEL, and .*Mine/loaders/intervals holds no dataloader.yaml",
    ):
        write_group(networks, tmp_path / "Mine", read_info(tmp_path / "info.yaml"))


# Texts that would run: Kipoi renders a group's template with Jinja, and reads YAML with Python objects in it

CODE = [
    "{{ [].append(model) }}",
    "{% set x = 1 %}",
    "{# hidden #}",
    "{{ model.upper() }}",
    "{{ model|upper }}",
    "{{{ model }}}",
    "{{{model}}{ 7*7 }}",
    "{%- raw %}{{ model }}",
    "{{\nmodel }} {{ 7*7 }}",
    "{{- model }}",
]


@pytest.mark.parametrize("code", CODE)
@pytest.mark.parametrize("where", ["doc", "cite_as", "license", "tags", "name", "github", "key", "dataloader"])
def test_code_in_the_authors_texts_is_refused(info, where, code):
    columns = ["model", "architecture", "parameters"]

    def asking(text):
        people = [{"name": "Ada", "github": "ada"}]
        if where in ("name", "github"):
            people[0][where] = text
        elif where == "key":
            people[0][text] = "x"
        elif where == "dataloader":
            return GroupInfo(info.info, text, info.path)
        else:
            return GroupInfo({**info.info, where: [text] if where == "tags" else text}, None, info.path)
        return GroupInfo({**info.info, "authors": people}, None, info.path)

    with pytest.raises(InputError, match=r"info.yaml: has a broken {{ placeholder }} at '{"):
        check_placeholders(asking(f"x {code}"), columns)
    check_placeholders(asking("a { b } % # }} {x} {{ model }}{{model}}"), columns)


@given(st.text("{}%# model\n", max_size=12), st.text("{}%# model\n", max_size=12))
def test_what_passes_says_what_jinja_renders(before, after):
    """An oracle: Jinja's own reading of a text is that of replacing plain placeholders, or the text is refused."""
    text = f"{before}{{{{ model }}}}{after}"
    try:
        check_placeholders(GroupInfo({"doc": text}, None, Path("info.yaml")), ["model"])
    except InputError:
        return
    expected = re.sub(r"\{\{ *model *\}\}", "NAME", text)
    assert jinja2.Template(text, keep_trailing_newline=True).render(model="NAME") == expected


def test_a_group_with_hostile_texts_is_data_to_kipoi(tmp_path, networks, info):
    """Texts that look like YAML come back from Kipoi's own reader as they were."""
    import kipoi

    hostile = '!!python/object/apply:os.system ["touch x"]\n- a: &b *b "\'# {x} }} %}'
    texts = GroupInfo({**info.info, "doc": hostile, "authors": [{"name": hostile, "github": "x: y"}]}, None, info.path)
    write_group(networks, tmp_path / "Mine", texts)
    found = kipoi.get_model_descr(str(tmp_path / "Mine/first"), source="dir").info
    assert found.doc == hostile and found.authors[0].name == hostile and found.authors[0].github == "x: y"

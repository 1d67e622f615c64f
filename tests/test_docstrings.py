"""What docstrings promise: examples that run, and every public name with one."""

import ast
import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import kipoi_motifrep

PACKAGE = Path(kipoi_motifrep.__file__).parent
MODULES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert tried and not failed


@pytest.mark.parametrize("name", sorted(kipoi_motifrep._PUBLIC))
def test_a_public_name_shows_an_example(name):
    assert ">>> " in (inspect.getdoc(getattr(kipoi_motifrep, name)) or "")


def raising(checkout):
    """Public functions and methods that raise an error of their own: (place, name, error, docstring)."""
    for path in sorted((checkout / "kipoi_motifrep").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                for error in {
                    one.exc.func.id
                    for one in ast.walk(node)
                    if isinstance(one, ast.Raise)
                    and isinstance(one.exc, ast.Call)
                    and isinstance(one.exc.func, ast.Name)
                }:
                    yield f"{path.relative_to(checkout)}:{node.name}", error, ast.get_docstring(node)


def test_docstrings_say_what_is_raised(checkout):
    assert not [(place, error) for place, error, text in raising(checkout) if text and error not in text]

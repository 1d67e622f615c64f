"""The house as a whole: its rooms, its front door, its types."""

import ast
import re
import subprocess
import sys

import pytest

import kipoi_motifrep

ROOT_FILES = {"__init__.py", "__main__.py", "py.typed"}


def test_rooms_import_from_lower_ranks_only(run_python):
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = run_python("-c", code)
    assert done.returncode == 0, done.stdout
    assert "1 kept, 0 broken" in done.stdout


def test_the_root_holds_twelve_rooms_at_most(checkout):
    entries = {path.name for path in (checkout / "kipoi_motifrep").iterdir() if path.name != "__pycache__"}
    assert entries >= ROOT_FILES and len(entries - ROOT_FILES) <= 12


def test_a_file_of_tests_fits_a_reader(checkout):
    lengths = {
        str(path.relative_to(checkout)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (checkout / "tests").rglob("*.py")
    }
    assert not {path: length for path, length in lengths.items() if length > 500}


def definitions(checkout):
    """Names of files and of classes, each with the places that have it; a command's file is named like what it runs."""
    files, classes = {}, {}
    for path in (checkout / "kipoi_motifrep").rglob("*.py"):
        place = path.relative_to(checkout / "kipoi_motifrep")
        if place.parts[0] != "cli" and path.name not in ROOT_FILES:
            files.setdefault(path.stem, []).append(str(place))
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, []).append(str(place))
    return files, classes


def test_a_name_says_one_thing(checkout):
    for names in definitions(checkout):
        assert not {name: places for name, places in names.items() if len(places) > 1}


def test_the_two_lists_of_public_names_agree(checkout):
    tree = ast.parse((checkout / "kipoi_motifrep/__init__.py").read_text(encoding="utf-8"))
    typed = {
        alias.asname: node.module.removeprefix("kipoi_motifrep.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kipoi_motifrep.")
        for alias in node.names
    }
    assert typed == kipoi_motifrep._PUBLIC
    for name in kipoi_motifrep.__all__:
        assert hasattr(kipoi_motifrep, name)


@pytest.fixture(scope="module")
def checked(checkout, tmp_path_factory):
    """The type checker's word on the package, and on a program that uses every public name."""
    names = sorted(kipoi_motifrep._PUBLIC)
    program = tmp_path_factory.mktemp("typed") / "every_public_name.py"
    program.write_text(
        "import kipoi_motifrep as km\n" + "".join(f"reveal_type(km.{name})\n" for name in names) + "km.intrepret\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "kipoi_motifrep", str(program)],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    lines = done.stdout.splitlines()
    # By the file's name: what the checker keeps from an earlier run is said with the folder of that run.
    return names, [one for one in lines if program.name in one], [one for one in lines if program.name not in one]


def test_types_are_sound(checked):
    assert not [line for line in checked[2] if ": error:" in line]


def test_public_names_have_types(checked):
    """A type checker, and so an editor, knows each function's arguments and each class."""
    names, said, _ = checked
    revealed = [re.search(r'Revealed type is "(.*)"', line).group(1) for line in said if "Revealed type" in line]
    assert len(revealed) == len(names)
    for name, kind in zip(names, revealed, strict=True):
        assert kind.startswith(("def (", "Overload(def (")), (name, kind)
    assert any("intrepret" in line for line in said if ": error:" in line)

"""The program ``kipoi-motifrep``: help, start-up, and how it ends when something is wrong."""

import argparse
import os
import re
import subprocess
import sys

import pytest

import kipoi_motifrep
from kipoi_motifrep.cli import program as cli
from kipoi_motifrep.core.errors import InputError, one_line

HEAVY = ("tensorflow", "keras", "torch", "jax", "pandas", "matplotlib", "sklearn", "kipoi", "pysam", "h5py", "numpy")
PROGRAM = "import sys; from kipoi_motifrep.cli.program import main; sys.exit(main())"


# Help and start-up


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    examples = out.partition("example:\n")[2].strip().splitlines()
    assert examples and any(f"kipoi-motifrep {command}" in line for line in examples)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_examples_of_the_help_are_valid(command):
    """All that argparse can tell: the options in them exist and have the right types."""
    import importlib
    import shlex

    example = importlib.import_module(f"kipoi_motifrep.cli.{command}").EXAMPLE
    for line in example.replace("\\\n", " ").splitlines():
        words = shlex.split(line.partition("#")[0])
        if "kipoi-motifrep" in words:
            words = words[words.index("kipoi-motifrep") + 1 :]
            end = next((i for i, word in enumerate(words) if word in ("|", ">", "&&", ";")), len(words))
            assert cli.build_parser().parse_args(words[:end]).command == command


def test_the_programs_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^\s+{command}\s", out, re.MULTILINE) for command in cli.COMMANDS)


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0 and kipoi_motifrep.__version__ in capsys.readouterr().out


def test_options_are_documented():
    for action in cli.build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, parser in action.choices.items():
                options = [one for one in parser._actions if not isinstance(one, argparse._SubParsersAction)]
                assert all(one.help for one in options), f"an option of {name} has no help"


@pytest.mark.parametrize(
    "program, arguments",
    [
        ("import kipoi_motifrep", []),
        ("import kipoi_motifrep; dir(kipoi_motifrep); kipoi_motifrep.cli_main", []),
        ("from kipoi_motifrep.cli.program import main\ntry: main()\nexcept SystemExit: pass", ["--help"]),
        ("from kipoi_motifrep.cli.program import main\ntry: main()\nexcept SystemExit: pass", ["train", "--help"]),
    ],
)
def test_help_and_import_load_nothing_heavy(run_python, program, arguments):
    done = run_python("-c", program + f"\nimport sys; print([m for m in {HEAVY} if m in sys.modules])", *arguments)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_public_names_are_there():
    for name in ("InputError", "IntervalsDl", "SequencesDl", "DatasetDl", "Keras3Model", "cli_main"):
        assert name in dir(kipoi_motifrep)
    for name in kipoi_motifrep._PUBLIC:
        assert getattr(kipoi_motifrep, name) is not None
    assert kipoi_motifrep.InputError is InputError
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        getattr(kipoi_motifrep, "nonsense")  # noqa: B009
    assert kipoi_motifrep.ModelParser is None and kipoi_motifrep.DataloaderParser is None


# Ends


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["simulate"], ["simulate", "-n", "many", "-o", "x"], ["validate", "--intervals", "x"]],
)
def test_wrong_usage_ends_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2 and "usage: kipoi-motifrep" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error, line",
    [
        (InputError("is wrong", path="f.bed", row=3), "f.bed, row 3: is wrong"),
        (InputError("is wrong", row=3), "row 3: is wrong"),
        (InputError("is wrong"), "is wrong"),
        (FileNotFoundError(2, "No such file or directory", "x"), "x: no such file or directory"),
        (
            OSError(28, "No space left on device", "x"),
            "x: no space left on device; make room there, or choose another output",
        ),
        (OSError("odd"), "odd"),
        (OSError(), "OSError"),
        (PermissionError(13, "Permission denied", "/x"), "/x: permission denied"),
    ],
)
def test_errors_are_one_line_and_status_2(monkeypatch, capsys, error, line):
    def fail(_):
        raise error

    monkeypatch.setattr("kipoi_motifrep.cli.simulate.run", fail)
    assert cli.main(["simulate", "-o", "x"]) == 2
    assert capsys.readouterr().err == f"kipoi-motifrep: error: {line}\n"
    assert one_line(error) == line


def test_too_little_memory_is_said(monkeypatch, capsys):
    def greedy(_):
        raise MemoryError("Unable to allocate 149. TiB")

    monkeypatch.setattr("kipoi_motifrep.cli.simulate.run", greedy)
    assert cli.main(["simulate", "-o", "x"]) == 2
    assert (
        capsys.readouterr().err
        == "kipoi-motifrep: error: not enough memory (Unable to allocate 149. TiB); ask for less at a time\n"
    )


@pytest.mark.parametrize("arguments", [["simulate"], ["train", "x.h5"], ["match", "x.meme"]])
def test_an_output_without_a_name_is_refused(capsys, arguments):
    assert cli.main([*arguments, "-o", ""]) == 2
    assert "the name of the output is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, name",
    [
        (["validate", "--intervals", "", "--genome", "x.fa"], "intervals"),
        (["match", "q.meme", "--database", "", "-o", "x"], "database"),
        (["compare", "a", "", "-o", "x"], "folders"),
        (["filters", "", "--fasta", "x.fa", "-o", "x"], "model"),
    ],
)
def test_an_input_without_a_name_is_refused(capsys, arguments, name):
    assert cli.main(arguments) == 2
    assert f"the name of the {name} is empty (a shell variable that is not set?)" in capsys.readouterr().err


def test_simulate_onto_a_folder_is_refused_before_the_work(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("kipoi_motifrep.datasets.simulate.simulate", None)
    assert cli.main(["simulate", "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith(f"{tmp_path}: is a folder; name a file to write\n")


def test_an_interrupt_ends_with_status_130(monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("kipoi_motifrep.cli.simulate.run", interrupted)
    assert cli.main(["simulate", "-o", "x"]) == 130
    assert capsys.readouterr().err == "kipoi-motifrep: stopped\n"


def test_a_bug_is_not_hidden(monkeypatch):
    def bug(_):
        raise ZeroDivisionError

    monkeypatch.setattr("kipoi_motifrep.cli.simulate.run", bug)
    with pytest.raises(ZeroDivisionError):
        cli.main(["simulate", "-o", "x"])


def test_the_plugin_hook_ends_with_the_status(capsys):
    with pytest.raises(SystemExit) as ended:
        kipoi_motifrep.cli_main("motifrep", ["validate", "--intervals", "/none", "--fasta", "/none"])
    assert ended.value.code == 2 and capsys.readouterr().err.startswith("kipoi motifrep: error: /none")


def run_with_no_reader(*arguments):
    """Run the program with a standard output that nobody reads, buffered as it is for users."""
    reading, writing = os.pipe()
    os.close(reading)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        check=False,
    )
    os.close(writing)
    return done


@pytest.mark.parametrize("problems", [1, 3000], ids=["little output", "much output"])
def test_a_reader_that_goes_away_is_no_error(tmp_path, problems):
    bed, fasta = tmp_path / "x.bed", tmp_path / "x.fa"
    bed.write_text("chr9\t0\t10\n" * problems)
    fasta.write_text(">chr1\nACGT\n")
    done = run_with_no_reader("validate", "--intervals", bed, "--fasta", fasta)
    assert done.stderr == "" and done.returncode in (0, 2)


@pytest.mark.parametrize("arguments", [["--help"], ["validate", "--help"], ["--version"]])
def test_help_to_a_reader_that_goes_away_is_no_error(arguments):
    done = run_with_no_reader(*arguments)
    assert done.stderr == "" and done.returncode == 0

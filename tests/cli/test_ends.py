"""How the program ends on a signal, with closed streams, on names that are no text, and on a slip of the fingers."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from kipoi_motifrep.cli import program as cli
from kipoi_motifrep.core.scratch import PREFIX

PROGRAM = "import sys; from kipoi_motifrep.cli.program import main; sys.exit(main())"
# A command that has begun to write and goes on for long.
SLOW = """
import sys, time
from kipoi_motifrep.cli import program, simulate
from kipoi_motifrep.core.outputs import replacing, staged
from kipoi_motifrep.core.scratch import scratch
def run(args):
    with replacing(args.output) as file, staged(sys.argv[1]) as stage, scratch() as folder:
        for path in (file, stage / "a", folder / "b"):
            path.write_text("half")
        print("begun", flush=True)
        time.sleep(60)
simulate.run = run
sys.exit(program.main(["simulate", "-o", sys.argv[1] + "/out.h5"]))
"""


def heeding():
    """Let a child heed all signals, though these tests may run under nohup or in the background, which ignore some."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def begun(tmp_path, before=heeding):
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.PIPE,
        preexec_fn=before,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
    )
    assert process.stdout.readline() == "begun\n", process.stderr.read()
    assert len(list(tmp_path.rglob(f"{PREFIX}*"))) == 4  # these three, and that of libraries' temporary files
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_program_and_leaves_nothing(tmp_path, number):
    process = begun(tmp_path)
    process.send_signal(number)
    assert process.wait(20) == 128 + number
    assert process.stderr.read() == "kipoi-motifrep: stopped\n"
    assert {path.name for path in tmp_path.rglob("*")} == {"tmp", "out"}  # two empty folders


def test_under_nohup_the_terminal_may_close(tmp_path):
    process = begun(tmp_path, before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.terminate()
    assert process.wait(20) == 128 + signal.SIGTERM


def test_handlers_of_the_caller_come_back(monkeypatch):
    before = [signal.getsignal(getattr(signal, name)) for name in cli.ENDING_SIGNALS]
    monkeypatch.setattr("kipoi_motifrep.cli.simulate.run", lambda args: None)
    assert cli.main(["simulate", "-o", "x"]) == 0
    assert [signal.getsignal(getattr(signal, name)) for name in cli.ENDING_SIGNALS] == before


@pytest.mark.slow
def test_workers_end_at_once_with_the_program(tmp_path):
    """A pool would wait until they have trained their networks."""
    from kipoi_motifrep.zoo.shipped import EXAMPLES

    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            PROGRAM,
            "train",
            EXAMPLES / "synthetic.h5",
            "--architecture",
            "cnn_25",
            "cnn_50",
            "--jobs",
            "2",
            "--epochs",
            "100000",
            "--patience",
            "100000",
            "-o",
            tmp_path,
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    while len(list(tmp_path.glob("*/trial_0/*"))) < 2 and process.poll() is None:
        time.sleep(0.2)
    process.terminate()
    assert process.wait(30) == 128 + signal.SIGTERM
    assert process.stderr.read().endswith("kipoi-motifrep: stopped\n")


# Streams


@pytest.fixture
def bed(tmp_path):
    (tmp_path / "x.bed").write_text("chr9\t0\t10\n")
    (tmp_path / "x.fa").write_text(">chr1\nACGT\n")
    return ["validate", "--intervals", str(tmp_path / "x.bed"), "--fasta", str(tmp_path / "x.fa")]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(tmp_path, bed, closed):
    """Nor does what is said there end up in a file that happens to get the stream's number."""

    def shell(*arguments):
        return subprocess.run(
            ["bash", "-c", f'exec "$@" {closed}', "-", sys.executable, "-c", PROGRAM, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )

    done = shell(*bed)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert ("x.bed: 1 problem\n" in done.stdout) == (">&-" not in closed.split())
    done = shell("simulate", "-n", "10", "-o", str(tmp_path / "out.h5"))
    assert done.returncode == 0 and "Traceback" not in done.stderr
    from kipoi_motifrep import open_dataset

    assert open_dataset(tmp_path / "out.h5").length == 200
    assert shell("simulate", "-n", "1", "-o", str(tmp_path / "out.h5")).returncode == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")
def test_a_full_disk_behind_standard_output_is_one_line(bed):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *bed], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    said = "standard output: no space left on device; make room there, or send it elsewhere"
    assert done.returncode == 2 and done.stderr == f"kipoi-motifrep: error: {said}\n"


# Names


@pytest.mark.parametrize("name", [b"peaks\xff.bed", b"red\x1b[31m.bed", b"a\rb.bed", b"\xc2\x9b31m.bed"])
def test_names_are_shown_harmlessly(tmp_path, name):
    path = os.fsencode(tmp_path) + b"/" + name
    with open(path, "w") as file:
        file.write("chr9\t0\t10\n")
    (tmp_path / "x.fa").write_text(">chr1\nACGT\n")
    genome = os.fsencode(tmp_path) + b"/" + name + b".fa"
    (tmp_path / "good.bed").write_text("chr1\t0\t3\n")
    shutil.copy(tmp_path / "x.fa", genome)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "validate", "--intervals", tmp_path / "good.bed", "--genome", genome],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for last in (b"validate", b"missing"):
        given = path if last == b"validate" else path + b".no"
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "validate", "--intervals", given, "--fasta", tmp_path / "x.fa"],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 2 and b"Traceback" not in done.stderr
        said = done.stdout + done.stderr
        assert said.isascii() and all(byte >= 32 or byte == 10 for byte in said), said
        assert b".bed" in said
    done = subprocess.run([sys.executable, "-c", PROGRAM, b"validate" + name], capture_output=True, check=False)
    assert done.returncode == 2 and b"\x1b" not in done.stderr and done.stderr.count(b"\n") == 1


# Slips


def test_alone_it_prints_its_help(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and all(re.search(rf"^ +{one}\b", said, re.M) for one in cli.COMMANDS)


@pytest.mark.parametrize(
    "typed, meant",
    [
        ("interpet", "interpret"),
        ("datasets", "dataset"),
        ("experiments", "experiment"),
        ("math", "match"),
        ("simulated", "simulate"),
        ("pakage", "package"),
    ],
)
def test_a_command_that_is_nearly_one_is_suggested(typed, meant, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([typed, "x"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1
    assert f"there is no command '{typed}'; did you mean '{meant}'?" in said


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["nonsense"], "there is no command 'nonsense'; there are demo, interpret, "),
        (["dataset", "peak", "-o", "x"], "there is no builder 'peak'; did you mean 'peaks'?"),
        (["simulate"], "simulate: error: the following arguments are required: -o/--output"),
        (["--verson"], "kipoi-motifrep: error: unrecognized arguments: --verson; did you mean --version?"),
        (
            ["interpret", "x", "--fastaa", "y"],
            "interpret: error: unrecognized arguments: --fastaa; did you mean --fasta?",
        ),
        (
            ["dataset", "peaks", "--genme=x"],
            "dataset peaks: error: unrecognized arguments: --genme=x; did you mean --genome?",
        ),
        (["simulate", "-n", "many", "-o", "x"], "argument -n/--number: invalid int value: 'many'"),
        (["simulate", "-o", "x", "--sed", "1", "--what"], "unrecognized arguments: --sed --what; did you mean --seed?"),
        (
            ["simulate", "-o", "x", "what"],
            "kipoi-motifrep simulate: error: unrecognized arguments: what; for its usage",
        ),
        (
            ["dataset", "table", "t", "-o", "x", "--maskd=2"],
            "dataset table: error: unrecognized arguments: --maskd=2; did",
        ),
    ],
)
def test_wrong_usage_is_one_line(arguments, words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1 and words in said and said.endswith(" --help\n")


def test_problems_are_told_in_options(tmp_path, bed, capsys):
    (tmp_path / "x.bed").write_text("chr1\t0\t3\nchr1\t0\t2\n")
    assert cli.main(bed) == 2
    said = capsys.readouterr().out
    assert "row 2: is 2 bp wide, and row 1 is 3; give --auto-resize-len 3, or the width" in said


def test_one_problem_and_several(tmp_path, bed, capsys):
    assert cli.main(bed) == 2
    assert capsys.readouterr().out.endswith("x.bed: 1 problem\n")
    (tmp_path / "x.bed").write_text("chr9\t0\t10\n" * 2)
    assert cli.main(bed) == 2
    assert capsys.readouterr().out.endswith("x.bed: 2 problems\n")

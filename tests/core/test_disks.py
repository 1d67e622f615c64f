"""Full disks: one line that names the place and the setting that moves it, and nothing left behind."""

import errno
import gc
import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from support.small_disks import fill, small_disk
from support.small_files import PROGRAM, small_files

from kipoi_motifrep.core.cache import cache_folder
from kipoi_motifrep.core.disks import full_disk, on_disk, on_temporary_disk, quiet_after_full_disks, temporaries
from kipoi_motifrep.core.errors import InputError, one_line
from kipoi_motifrep.core.outputs import replacing, write_text
from kipoi_motifrep.core.scratch import own_temporaries, scratch

EXAMPLES = Path(__file__).parents[2] / "kipoi_motifrep/sequences/examples"
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
TMPDIR = "set TMPDIR to a folder on another disk"


# What the error of a full disk is, and what is said of it


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("wrapped", [False, True])
def test_the_place_is_named_whatever_a_library_made_of_it(number, wrapped, tmp_path):
    with pytest.raises(OSError) as raised, on_disk(tmp_path / "x.h5"):
        try:
            raise OSError(number, os.strerror(number))
        except OSError as error:
            if wrapped:
                raise ValueError("the weights are damaged") from error
            raise
    assert raised.value.filename == str(tmp_path / "x.h5")
    said = f"{tmp_path}/x.h5: no space left on device; make room there, or choose another output"
    assert one_line(raised.value) == said


def test_the_innermost_place_is_the_one(tmp_path):
    with pytest.raises(OSError) as raised, on_disk(tmp_path / "out"), on_temporary_disk(), on_disk("inner", "do this"):
        raise RuntimeError("Can't write (errno = 28, error message = 'No space left on device')")
    assert one_line(raised.value) == "inner: no space left on device; make room there, or do this"
    with pytest.raises(OSError) as raised, on_disk(tmp_path / "out"), on_temporary_disk():
        raise FULL
    assert one_line(raised.value) == f"{temporaries()}: no space left on device; make room there, or {TMPDIR}"


def test_the_cache_has_a_setting_of_its_own():
    with pytest.raises(OSError, match="set XDG_CACHE_HOME"), replacing(cache_folder("networks") / "x"):
        raise FULL
    with pytest.raises(OSError, match="choose another output"), replacing("x"):
        raise FULL


def test_a_place_that_nobody_named_is_one_of_those_that_are_listed():
    said = one_line(FULL)
    assert all(word in said for word in (temporaries(), "TMPDIR", str(cache_folder()), "XDG_CACHE_HOME", "output"))


@pytest.mark.parametrize("error", [ValueError("x"), FileNotFoundError(2, "No such file"), InputError("y"), None])
def test_other_errors_stay_as_they_are(error):
    assert full_disk(error) is None
    if error is not None:
        with pytest.raises(type(error)) as raised, on_disk("place"):
            raise error
        assert raised.value is error


def test_objects_that_cannot_be_closed_are_silent(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    quiet_after_full_disks()
    hook = sys.unraisablehook
    quiet_after_full_disks()
    assert sys.unraisablehook is hook

    class Bad:
        def __init__(self, error):
            self.error = error

        def __del__(self):
            raise self.error

    for error in (FULL, ValueError("told")):
        bad = Bad(error)
        del bad
        gc.collect()
    assert [str(one.exc_value) for one in seen] == ["told"]


def test_temporary_files_of_libraries_go_with_the_run(tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with own_temporaries():
        left = Path(tempfile.mkdtemp())
        (left / "weights.h5").write_text("half")
        assert temporaries() == str(tmp_path)  # as the user knows it
        with scratch() as folder:
            assert folder.parent.parent == tmp_path
    assert tempfile.tempdir == str(tmp_path) and not list(tmp_path.iterdir())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with own_temporaries():
        assert tempfile.tempdir == str(tmp_path / "none")


def test_a_signal_during_the_cleaning_up_leaves_nothing(tmp_path, monkeypatch):
    remove, calls = shutil.rmtree, []

    def interrupted(path, **options):
        calls.append(path)
        if len(calls) == 1:
            raise KeyboardInterrupt
        remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path) as folder:
        (folder / "file").write_text("half")
    assert len(calls) == 2 and not list(tmp_path.iterdir())


# Commands, on a disk that is full for real


@pytest.fixture
def disk(tmp_path):
    """Makes a small disk, and skips where that is not allowed."""
    with ExitStack() as stack:

        def make(size):
            folder = stack.enter_context(small_disk(tmp_path / "disk", size))
            if folder is None:
                pytest.skip("mounting a small disk needs root")
            return folder

        yield make


@pytest.fixture
def files(tmp_path):
    random = np.random.default_rng(0)
    with open(tmp_path / "many.fa", "w") as fasta, open(tmp_path / "many.bed", "w") as bed:
        for i, start in enumerate(random.integers(0, 190_000, 20_000)):
            fasta.write(f">s{i}\n{'ACGT' * 50}\n")
            bed.write(f"20\t{start}\t{start + 200}\n")
    (tmp_path / "genome.fa").write_bytes((EXAMPLES / "hg19_chr20_200kb.fa").read_bytes())
    return tmp_path


def run(run_python, *arguments, **environment):
    done = run_python("-c", PROGRAM, *arguments, env={**os.environ, **{k: str(v) for k, v in environment.items()}})
    assert "Exception ignored" not in done.stderr
    return done


def test_temporary_files_of_loaders(disk, files, run_python, one_problem):
    folder = disk("200k")
    done = run(
        run_python, "validate", "--intervals", files / "many.bed", "--genome", files / "genome.fa", TMPDIR=folder
    )
    one_problem(done, f"error: {folder}: no space left on device; make room there, or {TMPDIR}")
    assert not list(folder.iterdir())


def test_temporary_files_of_keras_are_no_fault_of_the_weights(disk, files, run_python, one_problem, checkout):
    folder, weights = disk("16k"), checkout / "models/synthetic/weights/cnn_25.keras"
    done = run(run_python, "filters", weights, "--fasta", EXAMPLES / "planted.fa", "-o", files / "out", TMPDIR=folder)
    one_problem(done, f"error: {folder}: no space left on device; make room there, or {TMPDIR}")
    assert "cnn_25" not in done.stderr and not list(folder.iterdir()) and not (files / "out").exists()


@pytest.mark.parametrize("size", ["4k", "20k", "100k"])
def test_outputs(disk, run_python, one_problem, size):
    folder = disk(size)
    done = run(run_python, "simulate", "-n", "5000", "-o", folder / "data.h5")
    one_problem(done, f"error: {folder}/data.h5: no space left on device; make room there, or choose another output")
    assert not list(folder.iterdir())


def test_a_cache_that_is_full_costs_time_only(disk, tmp_path, run_python):
    folder, queries = disk("16k"), Path(__file__).parents[1] / "motifs/data/full.meme"
    done = run(run_python, "match", queries, "--database", "JASPAR2014", "-o", tmp_path / "o", XDG_CACHE_HOME=folder)
    assert done.returncode == 0 and "no space" not in done.stderr
    assert (tmp_path / "o/matches.tsv").exists()


def test_an_index_goes_to_the_cache_when_the_genomes_disk_is_full(disk, tmp_path, run_python, one_problem):
    folder = disk("300k")
    (folder / "genome.fa").write_text("".join(f">contig{i}\nACGTACGTACGTACGTACGT\n" for i in range(6000)))
    (tmp_path / "x.bed").write_text("contig3\t0\t20\n")
    fill(folder)
    command = ["validate", "--intervals", tmp_path / "x.bed", "--genome", folder / "genome.fa"]
    done = run(run_python, *command, XDG_CACHE_HOME=tmp_path / "cache")
    assert done.returncode == 0 and "nothing wrong" in done.stdout, done.stderr
    assert [path.name for path in (tmp_path / "cache").rglob("*.fai")] == ["genome.fa.fai"]
    done = run(run_python, *command, XDG_CACHE_HOME=folder)
    one_problem(done, f"{folder}", "no space left on device; make room there, or set XDG_CACHE_HOME")


def test_kipoi_predict(disk, files, run_python, checkout):
    folder = disk("200k")
    command = ["-m", "kipoi_motifrep", "predict", checkout / "models/synthetic/cnn_25", "--source", "dir"]
    command += ["--dataloader", "kipoi_motifrep.SequencesDl", "--dataloader_args", f"fasta_file={files / 'many.fa'}"]
    for environment, output, words in (
        ({"TMPDIR": str(folder)}, files / "x.tsv", f"kipoi: error: {folder}: no space left on device; make room"),
        ({}, folder / "x.tsv", "kipoi: error: no space left on device: that of the output, of temporary files"),
    ):
        done = run_python(*command, "--batch_size", "1024", "-o", output, env={**os.environ, **environment})
        assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
        assert done.stderr.strip().splitlines()[-1].startswith(words)
        assert {path.name for path in folder.iterdir()} <= {"x.tsv"}  # which Kipoi itself leaves, half written


def test_a_limit_on_files_is_a_full_disk(tmp_path, run_python, one_problem):
    """As Slurm and ulimit -f set it; this needs no small disk."""
    program = small_files(50_000) + PROGRAM
    done = run_python("-c", program, "simulate", "-n", "5000", "-o", tmp_path / "data.h5")
    one_problem(done, f"{tmp_path}/data.h5: no space left on device; make room there, or choose another output")
    assert not list(tmp_path.iterdir())


def test_written_whole_or_not_at_all(disk, tmp_path):
    folder = disk("64k")
    write_text(folder / "a", "before")
    with pytest.raises(OSError, match="no space left"):
        write_text(folder / "a", "x" * 100_000)
    assert (folder / "a").read_text() == "before" and [path.name for path in folder.iterdir()] == ["a"]

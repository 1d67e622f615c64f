"""Opening outputs: whole or not at all, never over an input, one process at a time, and what is left by a kill."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.packaging import contents

from kipoi_motifrep.core import scratch as passing
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import check_output_file, output_folder, replacing, staged, write_json, write_text
from kipoi_motifrep.core.scratch import PREFIX, scratch
from kipoi_motifrep.core.tables import write_table
from kipoi_motifrep.networks.file_kinds import NetworkFile

# One file


def test_replacing_writes_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "folder" / "out.txt"
    write_text(path, "first")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        assert temporary.suffix == ".txt" and path.read_text() == "first"
        raise RuntimeError
    assert path.read_text() == "first" and [found.name for found in path.parent.iterdir()] == ["out.txt"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def test_a_full_disk_names_the_file(tmp_path):
    with pytest.raises(OSError, match=r"data\.txt"), replacing(tmp_path / "data.txt"):
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_a_link_stays_and_what_it_names_is_written(tmp_path):
    (tmp_path / "link").symlink_to("file")
    write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "text"


def test_devices_pipes_and_folders_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for path, kind in (
        ("pipe", "no regular file"),
        ("link", "no regular file"),
        (".", "a folder"),
        ("/dev/null", "no regular file"),
    ):
        with pytest.raises(InputError, match=f"is {kind}; name"):
            write_text(tmp_path / path, "text")
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "link"} and (tmp_path / "pipe").is_fifo()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_json_takes_numpy_and_paths(tmp_path):
    import numpy as np

    write_json(tmp_path / "x.json", {"a": np.float32(0.5), "b": np.arange(2), "c": tmp_path})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 0.5, "b": [0, 1], "c": str(tmp_path)}


# Files that belong together


def test_staged_files_arrive_together_beside_others(tmp_path):
    (tmp_path / "old").write_text("old")
    with staged(tmp_path) as stage:
        (stage / "sub").mkdir()
        (stage / "sub/new").write_text("new")
        (stage / "old").write_text("newer")
        assert (tmp_path / "old").read_text() == "old"
    assert contents(tmp_path) == {
        one.relative_to(tmp_path): text for one, text in [(tmp_path / "old", b"newer"), (tmp_path / "sub/new", b"new")]
    }


def test_nothing_moves_when_a_name_is_taken(tmp_path):
    """By a folder where a file shall go, or by a file where a folder shall."""
    for name in ("taken", "sub"):
        folder = tmp_path / name
        write_text(folder / "a", "old")
        if name == "sub":
            write_text(folder / "sub", "a file")
        else:
            write_text(folder / "taken/x", "in a folder")
        before = contents(folder)
        with (
            pytest.raises(InputError, match=rf"{name}/{name}: is a (folder|file where a folder)"),
            staged(folder) as stage,
        ):
            write_text(stage / "a", "new")
            write_text(stage / ("sub/x" if name == "sub" else "taken"), "new")
        assert contents(folder) == before


def test_names_that_are_taken_are_told_before_the_work(tmp_path):
    (tmp_path / "report.html").mkdir()
    for opened in (staged, output_folder):
        with (
            pytest.raises(InputError, match=r"report\.html: is a folder; name a file to write"),
            opened(tmp_path, ["report.html"]),
        ):
            pytest.fail("the work began")


NAMES = st.sampled_from(["a", "b", "sub/a", "sub/b", "sub/deep/c", "d"])
FILES = st.dictionaries(NAMES, st.binary(max_size=3), max_size=5)


@given(old=FILES, new=FILES, gone=st.sets(NAMES, max_size=3), stop=st.integers(0, 15), killed=st.booleans())
def test_a_move_is_whole_or_undone_wherever_it_stops(tmp_path_factory, old, new, gone, stop, killed):
    """An oracle: two dictionaries. A kill is an error after which nothing is tidied until the next run."""
    folder = tmp_path_factory.mktemp("move")
    for name, data in old.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    calls, undo = [], passing._undo

    def replace(source, target):
        calls.append(target)
        if len(calls) == stop:
            raise KeyboardInterrupt
        os.rename(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passing.os, "replace", replace)
        if killed:
            patch.setattr(passing, "_undo", lambda stage, folder: None)
            patch.setattr(passing.shutil, "rmtree", lambda folder, ignore_errors: None)
        stopped = False
        try:
            with staged(folder, gone=[folder / name for name in gone]) as stage:
                for name, data in new.items():
                    (stage / name).parent.mkdir(parents=True, exist_ok=True)
                    (stage / name).write_bytes(data)
        except KeyboardInterrupt:
            stopped = True
            if killed:
                patch.undo()
                with output_folder(folder):  # the next run
                    pass
    assert passing._undo is undo
    left = {name: data for name, data in old.items() if name not in gone} | new
    expected = old if stopped else left
    found = {str(path): data for path, data in contents(folder).items() if not path.parts[0].startswith(PREFIX)}
    assert found == expected and (killed or not list(folder.glob(f"{PREFIX}*")))


# Inputs


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.bed").write_text("kept")
    (tmp_path / "link").symlink_to("in.bed")
    os.link(tmp_path / "in.bed", tmp_path / "twin")
    (tmp_path / "to_be").symlink_to("later.h5")
    (tmp_path / "sub").mkdir()
    return tmp_path


@pytest.mark.parametrize("output", ["in.bed", "./in.bed", "sub/../in.bed", "link", "twin"])
@pytest.mark.parametrize(
    "inputs", ["in.bed", "link", ["x", "twin"], {"a": {"b": ["link"]}}, Path("in.bed"), ("in.bed",)]
)
def test_an_input_is_no_output_under_any_name(kept, output, inputs):
    with pytest.raises(InputError, match="is also an input"):
        check_output_file(output, [None, 3, inputs])
    with pytest.raises(InputError, match="is also an input"), staged(".", [output], inputs):
        pytest.fail("the work began")
    with pytest.raises(InputError, match="is also an input"), staged(".", inputs=inputs) as stage:
        write_text(stage / Path(output).name, "new")
    assert (kept / "in.bed").read_text() == "kept" and (kept / "link").is_symlink()


def test_both_files_of_a_network_are_inputs(kept):
    for pair in (NetworkFile("in.bed", "x"), NetworkFile("x", "in.bed")):
        with pytest.raises(InputError, match="is also an input"):
            check_output_file("twin", [pair])


def test_what_is_no_input_is_free(kept):
    for inputs in (None, [], 7, "no\0name", "x" * 5000, "in.bed ", {"in.bed": 1}, b"in.bed", "sub", object()):
        check_output_file("in.bed", inputs)
    with pytest.raises(InputError, match="is also an input"):
        check_output_file("later.h5", "to_be")


# One at a time


def test_two_blocks_do_not_write_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(passing, "LOCK_SECONDS", 0.2)
    for opened in (staged, output_folder):
        with opened(tmp_path), pytest.raises(InputError, match="another process is writing here"), staged(tmp_path):
            pytest.fail("two at once")
    with staged(tmp_path):
        pass


def test_the_second_waits_for_the_first(tmp_path):
    first_is_in, order = threading.Event(), []

    def first():
        with staged(tmp_path) as stage:
            first_is_in.set()
            write_text(stage / "a", "first")
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    first_is_in.wait()
    with staged(tmp_path) as stage:
        order.append("second")
        write_text(stage / "a", "second")
    thread.join()
    assert order == ["first", "second"] and (tmp_path / "a").read_text() == "second"


# What is left by a kill

KILLED = """
import os, signal, sys
from kipoi_motifrep.core.outputs import replacing, staged
from kipoi_motifrep.core.scratch import scratch
opened = {"replacing": lambda: replacing(sys.argv[2] + "/out.h5"), "staged": lambda: staged(sys.argv[2]),
          "scratch": lambda: scratch(sys.argv[2])}[sys.argv[1]]
with opened() as path:
    (path if path.is_dir() else path.parent).joinpath("half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("left", ["replacing", "staged", "scratch"])
@pytest.mark.parametrize("later", ["replacing", "staged", "scratch"])
def test_the_next_run_removes_what_a_killed_one_left(tmp_path, left, later):
    done = subprocess.run([sys.executable, "-c", KILLED, left, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL and len(list(tmp_path.glob(f"{PREFIX}*"))) == 1
    (tmp_path / f"{PREFIX}file").write_text("no folder of ours")
    with {
        "replacing": lambda: replacing(tmp_path / "x"),
        "staged": lambda: staged(tmp_path),
        "scratch": lambda: scratch(tmp_path),
    }[later]() as path:
        if later == "replacing":
            path.write_text("x")
        live = [one for one in tmp_path.glob(f"{PREFIX}*") if one.is_dir()]
        assert len(live) == 1 and not (live[0] / "half").exists()
        with scratch(tmp_path):
            assert live[0].exists()  # nobody removes what is in use
    assert {path.name for path in tmp_path.iterdir()} - {"x"} == {f"{PREFIX}file"}


@pytest.mark.parametrize("note", ['["../mine"]', '["{}/mine"]', '["../mi', ""])
def test_a_note_that_is_damaged_or_not_ours_removes_nothing(tmp_path, note):
    (tmp_path / "mine").write_text("mine")
    left = tmp_path / "out" / f"{PREFIX}left"
    left.mkdir(parents=True)
    (left / "journal.json").write_text(note.replace("{}", str(tmp_path)))
    with staged(tmp_path / "out"):
        assert not left.exists()
    assert (tmp_path / "mine").read_text() == "mine"


def test_folders_of_other_users_stay(tmp_path, monkeypatch):
    (tmp_path / f"{PREFIX}left").mkdir()
    me = os.getuid()
    monkeypatch.setattr(passing.os, "getuid", lambda: me + 1)
    with scratch(tmp_path):
        assert (tmp_path / f"{PREFIX}left").exists()


# Names that are no text


def test_bytes_that_are_no_text_do_not_stop_a_table(tmp_path):
    name = os.fsdecode(b"peaks\xff.bed")
    write_table(tmp_path / "a.tsv", ["file"], [[name]])
    write_text(tmp_path / "b.txt", name)
    assert (tmp_path / "a.tsv").read_text() == "file\npeaks\\udcff.bed\n"
    assert (tmp_path / "b.txt").read_text() == "peaks\\udcff.bed"
    write_text(tmp_path / name, "a name that is no text")
    assert os.path.exists(os.fsencode(tmp_path) + b"/peaks\xff.bed")

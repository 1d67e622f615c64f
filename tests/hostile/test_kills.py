"""Commands that are killed at a random moment: nothing half-written, and the next run gives the same as ever."""

import signal
import time

import numpy as np
import pytest
from hostile.commands import COMMANDS, EXAMPLES, Command, write_inputs
from support.training import assert_same

from kipoi_motifrep.core.disks import PREFIX

pytestmark = pytest.mark.hostile
TRAIN = Command(
    ("train", str(EXAMPLES / "synthetic.h5"), "--architecture", "cnn_50_2", "--epochs", "6", "-o", "out"), (), 2, 0
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("hostile") / "inputs")


def litter(folder):
    found = [path for path in folder.rglob("*") if path.name.startswith(PREFIX) or path.parent.name == "tmp"]
    return [path for path in found if "dask" not in path.name]  # whose folders Dask removes when it starts again


def killed(command, inputs, folder, number, seconds, random):
    """Start a command, and kill it at some moment; give its status."""
    process = command.start(inputs, folder)
    time.sleep(random.uniform(0, 1.05 * seconds))
    process.send_signal(number)
    process.communicate()
    return process.returncode


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_run_leaves_nothing_half_written(name, inputs, tmp_path, count, rounds):
    command, random = COMMANDS[name], np.random.default_rng([1, *name.encode()])
    command.run(inputs, tmp_path / "first")  # it fills caches
    begin = time.monotonic()
    command.run(inputs, tmp_path / "whole")
    seconds, whole = time.monotonic() - begin, command.contents(tmp_path / "whole")
    assert all(whole.values()) and command.contents(tmp_path / "first") == whole
    for trial in range(command.kills * rounds):
        out, number = tmp_path / f"out{trial}", [signal.SIGKILL, signal.SIGTERM][trial % 2]
        status = killed(command, inputs, out, number, seconds, random)
        assert status in (0, -number, 128 + number), status
        left = command.contents(out)
        assert all(found in (None, whole[file]) for file, found in left.items()), f"{name}: half-written"
        if status == 128 + signal.SIGTERM:
            assert not litter(tmp_path), "SIGTERM left something behind"
        command.run(inputs, out)
        assert command.contents(out) == whole, "the run that goes on gives another result"
        assert not litter(tmp_path), "the next run left something behind"
        done = "ended before" if status == 0 else "whole or nothing, then the same"
        count(f"{signal.Signals(number).name} during {name}", done)


def test_a_training_that_is_killed_goes_on_to_the_same_network(tmp_path, count, rounds):
    random = np.random.default_rng(2)
    begin = time.monotonic()
    TRAIN.run(tmp_path, tmp_path / "whole")
    seconds = time.monotonic() - begin
    for trial in range(TRAIN.kills * rounds):
        out, number = tmp_path / f"out{trial}", [signal.SIGKILL, signal.SIGTERM][trial % 2]
        for _ in range(2):  # and killed again where it went on
            status = killed(TRAIN, tmp_path, out, number, seconds, random)
            assert status in (0, -number, 128 + number), status
        TRAIN.run(tmp_path, out)
        assert_same(out / "out/cnn_50_2/trial_0", tmp_path / "whole/out/cnn_50_2/trial_0")
        count(f"{signal.Signals(number).name}, twice, during train", "the same network, bit by bit")

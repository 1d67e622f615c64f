"""Commands whose disk is full after a random number of bytes: one line, status 2, and nothing half-written."""

import numpy as np
import pytest
from hostile.commands import COMMANDS, write_inputs

from kipoi_motifrep.core.disks import PREFIX

pytestmark = pytest.mark.hostile


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("hostile") / "inputs")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(name, inputs, tmp_path, count, rounds):
    command, random = COMMANDS[name], np.random.default_rng([3, *name.encode()])
    command.run(inputs, tmp_path / "whole")
    whole = command.contents(tmp_path / "whole")
    largest = max(len(found) for found in whole.values())
    for trial in range(command.full_disks * rounds):
        out = tmp_path / f"out{trial}"
        process = command.start(inputs, out, limit=int(random.integers(0, largest + 1)))
        _, said = process.communicate()
        assert process.returncode in (0, 2) and "Traceback" not in said and "Exception ignored" not in said, said
        left = command.contents(out)
        assert all(found in (None, whole[file]) for file, found in left.items()), f"{name}: half-written"
        assert not [path for path in tmp_path.rglob("*") if path.name.startswith(PREFIX)]
        if process.returncode:
            errors = [line for line in said.splitlines() if "error: " in line]
            assert len(errors) == 1 and "no space left on device; make room there, or " in errors[0], said
        command.run(inputs, out)
        assert command.contents(out) == whole
        count(f"full disk during {name}", "one line, nothing half-written" if process.returncode else "it had room")

"""Text files, packed or not."""

import pysam
import pytest

from kipoi_motifrep import InputError
from kipoi_motifrep.core.steps import Steps
from kipoi_motifrep.core.textfile import open_text
from kipoi_motifrep.networks.keras_descriptions import read_description
from kipoi_motifrep.report import read_interpretation
from kipoi_motifrep.training.experiment.record import read_record
from kipoi_motifrep.zoo.packaged import find_networks


def test_a_bgzip_file_cut_off_between_its_blocks_is_told(tmp_path):
    """Such a file unpacks without an error, short of its last rows."""
    rows = b"".join(b"chr1\t%d\t%d\n" % (i, i + 100) for i in range(20_000))
    whole, cut = tmp_path / "peaks.bed.gz", tmp_path / "cut.bed.gz"
    with pysam.BGZFile(str(whole), "wb") as file:
        file.write(rows)
    with open_text(whole) as file:
        assert file.read() == rows
    packed = whole.read_bytes()
    blocks = [0]
    while blocks[-1] < len(packed):  # bytes 16 and 17 of a block are its size less one
        blocks.append(blocks[-1] + int.from_bytes(packed[blocks[-1] + 16 : blocks[-1] + 18], "little") + 1)
    assert len(blocks) > 4
    for end in blocks[1:-1]:
        cut.write_bytes(packed[:end])
        with pytest.raises(InputError, match="damaged or cut off"), open_text(cut) as file:
            file.read()


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "name, read",
    [
        ("interpretation.json", lambda path: read_interpretation(path.parent)),
        ("units/cnn_2.0.json", read_record),
        ("runs/cnn_2/trial_0/result.json", lambda path: find_networks([path.parents[2]])),
        ("model.json", read_description),
    ],
)
def test_brackets_by_the_thousand_are_one_line(tmp_path, name, read):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name("network.keras").touch()
    path.write_text(DEEP)
    with pytest.raises(InputError) as said:
        read(path)
    assert path.name in str(said.value) and len(str(said.value)) < 1000


def test_a_record_of_steps_with_brackets_by_the_thousand_is_none(tmp_path):
    (tmp_path / "parameters.json").write_text(DEEP)
    assert not Steps(tmp_path, "interpret", {}).current("filters", {}, [])

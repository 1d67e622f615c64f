"""Text files, packed or not."""

import pysam
import pytest

from kipoi_motifrep import InputError
from kipoi_motifrep.core.textfile import open_text


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

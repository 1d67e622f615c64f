"""The command dataset as a whole, and the loader on what it makes."""

import io
import json

import pytest
from support.dataset_files import DIGITS, provenance_of, rows_of, table

from kipoi_motifrep.cli.program import main


@pytest.mark.parametrize("builder", [[], ["peaks"], ["table"], ["deepsea"]])
def test_help_has_an_example(capsys, builder):
    with pytest.raises(SystemExit) as end:
        main(["dataset", *builder, "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert "example:" in shown and f"kipoi-motifrep dataset {' '.join(builder)}" in shown


def test_the_dataset_loader_reads_what_is_built(tmp_path):
    from kipoi_motifrep import DatasetDl

    table(tmp_path, DIGITS, "--masked", "2", "--valid", "none", "--test", "chr3")
    batch = DatasetDl(str(tmp_path / "out.h5"), split="train").load_all()
    assert batch["inputs"].shape == (2, 12, 4) and batch["targets"].tolist() == [[0, 1, -1], [1, 0, 0]]
    assert batch["inputs"][1, 11].tolist() == [0.25] * 4


def test_standard_input(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(DIGITS.encode()))))
    assert (
        main(
            [
                "dataset",
                "table",
                "-",
                "--masked",
                "2",
                "--valid",
                "none",
                "--test",
                "none",
                "-o",
                str(tmp_path / "out.h5"),
            ]
        )
        == 0
    )
    assert len(rows_of(tmp_path / "out.h5")) == 3
    assert json.loads(json.dumps(provenance_of(tmp_path / "out.h5")["sources"])) == [{"path": "-"}]


def test_an_empty_split_is_noted(tmp_path, capsys):
    (tmp_path / "t.tsv").write_text("sequence\tA\nACGTACGT\t1\nACGTACGA\t0\nACGTTCGA\t1\n")
    assert (
        main(
            [
                "dataset",
                "table",
                str(tmp_path / "t.tsv"),
                "--valid",
                "none",
                "--test",
                "none",
                "-o",
                str(tmp_path / "t.h5"),
            ]
        )
        == 0
    )
    said = capsys.readouterr().err
    assert "the split 'valid' is empty" in said and "the split 'test' is empty" in said

"""Model cards."""

import pytest
import yaml

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.zoo.card import CARD_FILE, MARK, model_card, write_card
from kipoi_motifrep.zoo.description import EXAMPLE_INFO, read_info

NETWORK = {"model": "m_1", "weights": "m_1.keras", "architecture": "30 | 2", "parameters": "9", "auroc": "0.91"}
RESULTS = [
    {"model": "m_1", "figure": "auroc", "mean": "0.9", "CTCF": "0.8", "A<b>": ""},
    {"model": "m_1", "figure": "calibration_error", "mean": "0.1", "CTCF": "0.1", "A<b>": "0.2"},
]
INFO = {
    "authors": [{"name": "Ada"}],
    "license": "MIT",
    "cite_as": "10.1/2",
    "doc": "Finds CTCF.",
    "trained_on": "hg38 without chr8.",
}


def test_the_card_holds_text_tables_and_how_to_run():
    card = model_card("mine", [NETWORK], RESULTS, "Not for promoters.\n\n- {{ model }} stays as it is")
    assert card.startswith(MARK + "\n\n# mine\n\nNot for promoters.")
    assert "{{ model }}" in card  # no template: nothing renders a README
    assert "| m_1 | 30 \\| 2 | 9 | 0.91 |" in card
    assert "## AUROC of the test sequences" in card and "## AUPR" not in card
    assert "| network | CTCF | A\\<b\\> |" in card and "0.8 | - |" in card
    assert "kipoi predict mine/m_1" in card


def test_a_readme_of_ones_own_is_kept(tmp_path):
    stage = tmp_path / "stage"
    stage.mkdir()
    (stage / "models.tsv").write_text("model\tweights\nm\tm.keras\n")
    (tmp_path / CARD_FILE).write_text("mine\n")
    with pytest.raises(InputError, match=r"README\.md: is not of this program's making"):
        write_card(stage, "g", "", former=tmp_path)
    assert (tmp_path / CARD_FILE).read_text() == "mine\n" and not (stage / CARD_FILE).exists()
    (tmp_path / CARD_FILE).write_text(f"{MARK}\nold\n")
    write_card(stage, "g", "text", former=tmp_path)
    assert (stage / CARD_FILE).read_text().startswith(f"{MARK}\n\n# g\n\ntext")


def test_the_card_is_no_part_of_kipois_info(tmp_path):
    path = tmp_path / "info.yaml"
    path.write_text(yaml.safe_dump({**INFO, "card": "What for."}))
    info = read_info(path)
    assert info.card == "What for." and "card" not in info.info


@pytest.mark.parametrize("field", ["card", "training_procedure"])
def test_an_optional_text_that_was_left_as_in_the_example_says_nothing(tmp_path, field):
    path = tmp_path / "info.yaml"
    path.write_text(yaml.safe_dump({**INFO, field: yaml.safe_load(EXAMPLE_INFO)[field]}))
    info = read_info(path)
    assert field not in info.info and not info.card

"""Steps of a folder: read where they are up to date, made where they are not."""

import json

import pytest

from kipoi_motifrep.core.steps import Steps


@pytest.fixture
def step(tmp_path):
    """Run one step in a fresh record; tell what it gave, and what was called for that."""

    def run(key, value="made", force=False, name="one"):
        calls, path = [], tmp_path / f"{name}.txt"

        def digest():
            calls.append("digest")
            return key["slow"]

        def make():
            calls.append("make")
            return value

        steps = Steps(tmp_path, "test", {"a": 1}, force)
        found = steps.step(
            name,
            {**key, "slow": digest} if "slow" in key else key,
            [path.name],
            make=make,
            write=path.write_text,
            about=lambda made: {"length": len(made)},
            read=lambda about: (path.read_text(), about["length"]),
        )
        return found, calls

    return run


def test_what_is_up_to_date_is_read(step, tmp_path):
    assert step({"x": 1}) == ("made", ["make"])
    assert step({"x": 1}, "not made") == (("made", 4), [])
    assert json.loads((tmp_path / "parameters.json").read_text())["parameters"] == {"a": 1}


@pytest.mark.parametrize("key", [{"x": 2}, {"x": 1, "y": 1}, {}])
def test_another_key_makes_it_again(step, key):
    step({"x": 1})
    assert step(key, "again") == ("again", ["make"])


def test_force_and_lost_or_changed_files_make_it_again(step, tmp_path):
    step({"x": 1})
    assert step({"x": 1}, force=True)[1] == ["make"]
    (tmp_path / "one.txt").write_text("by somebody else")
    assert step({"x": 1})[1] == ["make"]
    (tmp_path / "one.txt").unlink()
    assert step({"x": 1})[1] == ["make"]


def test_slow_parts_of_a_key_are_asked_for_only_where_they_decide(step):
    assert step({"x": 1, "slow": "a"})[1] == ["make", "digest"]  # for the record
    assert step({"x": 1, "slow": "a"})[1] == ["digest"]
    assert step({"x": 1, "slow": "b"})[1] == ["digest", "make", "digest"]
    assert step({"x": 2, "slow": "b"})[1] == ["make", "digest"]


def test_nothing_made_is_nothing_recorded(step, tmp_path):
    assert step({"x": 1}, None) == (None, ["make"])
    assert not (tmp_path / "one.txt").exists() and not (tmp_path / "parameters.json").exists()


def test_steps_stay_beside_one_another_and_go_together(step, tmp_path):
    step({"x": 1})
    step({"x": 1}, name="two")
    assert step({"x": 1})[1] == []
    Steps(tmp_path, "test", {}).discard("one", "two", "none such")
    assert step({"x": 1})[1] == []
    Steps(tmp_path, "test", {}).discard()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parameters.json"]


def test_a_record_of_another_command_or_a_broken_one_counts_for_nothing(step, tmp_path):
    step({"x": 1})
    for text in ('{"command": "other", "steps": {"one": {}}}', "{", "[]", '{"command": "test", "steps": {"one": 3}}'):
        (tmp_path / "parameters.json").write_text(text)
        assert step({"x": 1})[1] == ["make"]

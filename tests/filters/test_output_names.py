"""What outputs and labels are called."""

from types import SimpleNamespace

import numpy as np
import pytest

from kipoi_motifrep import InputError
from kipoi_motifrep.filters.output_names import label_names, output_names


def kipoi_model(*columns):
    return SimpleNamespace(schema=SimpleNamespace(targets=[SimpleNamespace(column_labels=one) for one in columns]))


def test_names_given_come_first_and_must_be_as_many():
    assert output_names(kipoi_model(["a", "b"]), "model", 2, labels=["x", "y"]) == ("x", "y")
    with pytest.raises(InputError, match="1 labels for 2 outputs"):
        output_names(None, "model", 2, labels=["x"])


@pytest.mark.parametrize(
    ("loaded", "expected"),
    [
        (kipoi_model(["a"], ["b"]), ("a", "b")),  # of two heads
        (kipoi_model(["a", "b", "c"]), ("output0", "output1")),  # not as many
        (kipoi_model(["a", "a"]), ("output0", "output1")),  # not told apart
        (None, ("output0", "output1")),
    ],
)
def test_a_schema_names_outputs_where_it_fits(loaded, expected):
    assert output_names(loaded, "model", 2) == expected


def test_labels_are_of_the_outputs_only_where_they_are_as_many():
    assert label_names(np.zeros((5, 2)), ("a", "b"), None) == ("a", "b")
    assert label_names(np.zeros((5, 3)), ("a", "b"), None) == label_names(None, ("a", "b"), None) == ()

"""Mapping ahead of use."""

import threading

import pytest

from kipoi_motifrep.core.ahead import ahead


@pytest.mark.parametrize(("threads", "most"), [(1, 1), (1, 3), (3, 1), (3, 6)])
@pytest.mark.parametrize("n", [0, 1, 2, 20])
def test_results_come_in_order(n, threads, most):
    assert list(ahead(lambda one: one**2, range(n), threads, most)) == [one**2 for one in range(n)]


def test_the_next_item_is_worked_on_while_one_is_used_and_items_are_taken_here():
    taken, begun = [], [threading.Event() for _ in range(4)]

    def items():
        for one in range(4):
            taken.append(threading.current_thread())
            yield one

    for one in ahead(lambda one: (begun[one].set(), one)[1], items()):
        if one < 3:
            assert begun[one + 1].wait(10)
        assert len(taken) <= one + 2
    assert set(taken) == {threading.current_thread()}


def test_an_error_comes_where_its_result_would():
    results = ahead(lambda one: 6 // one, [3, 2, 0, 1])
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)

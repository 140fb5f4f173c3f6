"""Class accuracy does not depend on names."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.evaluation.classes import class_accuracy


def test_by_hand() -> None:
    true = torch.tensor([1, 1, 1, 2, 2, 3])
    assert class_accuracy(torch.tensor([5, 5, 7, 7, 7, 9]), true) == pytest.approx(5 / 6)
    assert class_accuracy(torch.ones(6).long(), true) == pytest.approx(3 / 6)
    assert class_accuracy(torch.arange(6), true) == pytest.approx(3 / 6)


def test_a_name_is_given_once() -> None:
    # both predicted classes are mostly true class 1: only one of them may be it
    assert class_accuracy(torch.tensor([0, 0, 1, 1, 1]), torch.tensor([1, 1, 1, 1, 2])) == pytest.approx(3 / 5)


@settings(deadline=None, max_examples=40)
@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=30), order=st.permutations(range(5)))
def test_renaming_changes_nothing(labels: list[int], order: list[int]) -> None:
    true = torch.tensor(labels)
    assert class_accuracy(torch.tensor(order)[true], true) == 1.0

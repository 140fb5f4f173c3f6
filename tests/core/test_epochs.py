"""Mini-batches of shuffled epochs: everything comes once before anything comes again."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from cryorbit.core.epochs import stretch_of_epochs
from cryorbit.core.seeds import generator_for

ORDER = partial(generator_for, 7, "a test of epochs")


@given(count=st.integers(1, 12), sizes=st.lists(st.integers(1, 12), min_size=1, max_size=8))
def test_every_epoch_holds_everything_once(count: int, sizes: list[int]) -> None:
    drawn: list[int] = []
    for size in sizes:
        drawn += stretch_of_epochs(count, len(drawn), size, ORDER).tolist()
    epochs = [drawn[first : first + count] for first in range(0, len(drawn), count)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs[:-1])
    assert len(set(epochs[-1])) == len(epochs[-1])


def test_epochs_differ() -> None:
    first, second = stretch_of_epochs(50, 0, 100, ORDER).split(50)
    assert first.tolist() != second.tolist()

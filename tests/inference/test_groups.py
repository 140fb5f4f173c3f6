"""The largest values of groups of uneven size, against Python's own sorting of each group."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.inference.groups import among_largest, largest, leaders

GROUPS = 5
ENTRIES = st.lists(st.tuples(st.integers(0, GROUPS - 1), st.integers(-3, 3)), max_size=30)


@settings(deadline=None, max_examples=100)
@given(ENTRIES, st.integers(1, 6))
def test_the_largest_of_each_group(entries: list[tuple[int, int]], count: int) -> None:
    group = torch.tensor([number for number, _ in entries], dtype=torch.long)
    value = torch.tensor([float(value) for _, value in entries])
    top, lead = largest(value, group, GROUPS), leaders(value, group, GROUPS).tolist()
    among = among_largest(value, group, GROUPS, count)
    assert len(lead) == len({owner for owner, _ in entries})
    for number in range(GROUPS):
        mine = [entry for entry, (owner, _) in enumerate(entries) if owner == number]
        ranked = sorted(mine, key=lambda entry: -entries[entry][1])
        assert float(top[number]) == max((entries[entry][1] for entry in mine), default=-torch.inf)
        # sorting is stable: the first of equal ones leads
        assert [entry for entry in lead if entry in mine] == ranked[:1]
        chosen = [entries[entry][1] for entry in mine if among[entry]]
        assert sorted(chosen, reverse=True) == [entries[entry][1] for entry in ranked[:count]]

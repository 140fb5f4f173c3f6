"""Values that belong to groups of uneven size (the candidates of images, say): the largest of each group.

Groups are numbered from 0; ``group`` holds the number of each value's group, in any order.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def largest(value: Float[Tensor, " e"], group: Int[Tensor, " e"], groups: int) -> Float[Tensor, " g"]:
    """The largest value of each group, minus infinity where there is none."""
    return value.new_full((groups,), -torch.inf).scatter_reduce(0, group, value, "amax")


def leaders(value: Float[Tensor, " e"], group: Int[Tensor, " e"], groups: int) -> Int[Tensor, " l"]:
    """Where the largest value of each group is, the first of equal ones; groups that have none are left out."""
    number = torch.arange(len(value), device=value.device)
    tops = torch.where(value == largest(value, group, groups)[group], number, len(value))
    first = tops.new_full((groups,), len(value)).scatter_reduce(0, group, tops, "amin")
    return first[first < len(value)]


def among_largest(value: Float[Tensor, " e"], group: Int[Tensor, " e"], groups: int, count: int) -> Bool[Tensor, " e"]:
    """Whether a value is one of the ``count`` largest of its group, of which there are never more."""
    sizes = torch.zeros(groups, dtype=torch.long, device=value.device)
    sizes.index_add_(0, group, torch.ones_like(group))
    widest = int(sizes.max()) if len(value) else 0
    if widest <= count:
        return torch.ones_like(group, dtype=torch.bool)
    # a row for each group: one partial sort of short rows in place of two whole ones of everything
    order = group.argsort(stable=True)
    row = group[order]
    column = torch.arange(len(value), device=value.device) - (sizes.cumsum(0) - sizes)[row]
    rows = value.new_full((groups, widest), -torch.inf)
    rows[row, column] = value[order]
    # where a group has fewer, a place behind all of them
    place = torch.full((groups, widest), len(value), dtype=torch.long, device=value.device)
    place[row, column] = order
    among = torch.zeros(len(value) + 1, dtype=torch.bool, device=value.device)
    among[place.gather(1, rows.topk(count, 1).indices)] = True
    return among[:-1]

"""How a diagonal that was estimated is kept from vanishing: rivals behind one protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.optim.ranges import Positive, Share
from cryorbit.optim.settings import Checked


class Floor(Protocol):
    """Raises a curvature where it is too small to be divided by."""

    def __call__(self, curvature: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The curvature, not negative, and where it was small, larger."""
        ...


@dataclass(frozen=True, slots=True)
class PartOfLargest(Checked):
    """At least a part of the largest curvature."""

    part: Share = 1e-3

    def __call__(self, curvature: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The curvature above the floor."""
        return torch.maximum(curvature, self.part * curvature.max())


@dataclass(frozen=True, slots=True)
class Constant(Checked):
    """At least a number (Toader, Brubaker & Lederman 2025: one over the number of points of the largest shell)."""

    least: Positive

    def __call__(self, curvature: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The curvature above the floor."""
        return curvature.clamp_min(self.least)


@dataclass(frozen=True, slots=True)
class PartOfGroupMean(Checked):
    """At least a part of the mean of the group that an entry is in, so that no group's scale is set by another.

    Attributes
    ----------
    groups
        Number of the group of each entry, from 0: of its shell, say.
    part
        Part of the mean.
    """

    groups: Int[Tensor, "*shape"]
    part: Share = 0.05

    def __call__(self, curvature: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The curvature above the floor."""
        groups = self.groups.flatten()
        sums = torch.bincount(groups, curvature.flatten())
        # numbers that no entry has are groups without a mean
        means = sums / torch.bincount(groups).clamp_min(1)
        return torch.maximum(curvature, self.part * means[self.groups].to(curvature))

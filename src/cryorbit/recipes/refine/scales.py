"""Contrast of groups of particles: ice is thicker in some micrographs than in others."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.inference.pose_estimates import PoseEstimates
from cryorbit.recipes.dataset import Dataset

PRIOR_IMAGES = 10.0
"""Images of average contrast that every group is given: groups of a few particles stay near one."""
LEAST_CONTRAST = 0.2
"""Part of the mean contrast that every group keeps. Ice makes contrasts two or three times apart; a group below a fifth
does not show the map. At zero or less it would leave the map for good, or be put in with the wrong sign: factors are
multiplied from pass to pass, and what the map shows of such a group could never bring it back."""


def updated_scales(
    dataset: Dataset, scale: Float[Tensor, " n"] | None, estimates: PoseEstimates
) -> Float[Tensor, " n"] | None:
    """Contrast of every particle, that of its group, after a pass under ``scale``; their mean is one.

    The best factor on a group's model is the posterior mean of its overlap with the images over its power. Particles
    without groups keep one contrast, None; a map that no group shows leaves contrasts as they are.
    """
    group = dataset.particles.group
    if group is None or int(group.max()) == 0:
        return None
    group = group.to(estimates.overlap.device)
    sums = torch.zeros(2, int(group.max()) + 1, dtype=torch.float64, device=group.device)
    sums.index_add_(1, group, torch.stack([estimates.overlap, estimates.model_power]).double())
    overall = sums.sum(1) / len(group)
    overlap, power = sums + PRIOR_IMAGES * overall[:, None]
    factor = (overlap / power)[group]
    moved = (factor if scale is None else scale * factor).clamp_min(0)
    if not bool(moved.any()):
        return scale
    contrast = (moved / moved.mean()).clamp_min(LEAST_CONTRAST)
    return (contrast / contrast.mean()).float()

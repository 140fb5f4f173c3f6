"""Start maps of symmetric particles: their axes must lie where the group has them, or be brought there."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.evaluation.radial_filter import apply_gain, low_pass
from cryorbit.inference.copies import SYMMETRIC, copies_agreement
from cryorbit.inference.symmetry import SymmetryAxes, find_axes, turned_to_axes
from cryorbit.recipes.particle_input import ParticleInput
from cryorbit.recipes.refine.config import RefineConfig

BETTER = 0.2
"""By how much a map must agree better with its copies in another frame to be turned there."""


def on_axes(
    density: Float[Tensor, "m m m"], config: RefineConfig, given: ParticleInput, path: Path
) -> tuple[Float[Tensor, "m m m"], str | None]:
    """A start map with its axes where the group has them, and a sentence if it was turned there.

    Raises
    ------
    InputError
        The map has not the symmetry in any frame, unless start maps are not checked: that is a sentence then.
    """
    if given.operators is None:
        return density, None
    size = density.shape[-1]
    group, radius = given.operators.to(density), min(0.5 * given.diameter_px * size / given.box, size / 2 - 1)
    smooth = apply_gain(density, low_pass(size, given.extent / size, config.initial_resolution))
    agreement = copies_agreement(smooth, smooth, group, radius)
    if agreement is None or agreement >= SYMMETRIC:
        return density, None
    axes = find_axes(smooth, group, radius)
    if axes.structure_score >= max(SYMMETRIC, agreement + BETTER):
        return turned_to_axes(density, axes), _on_turn(axes, config.symmetry, agreement, given.extent / size, path)
    problem = (
        f"the map has no {config.symmetry} symmetry: it agrees with its copies by "
        f"{max(agreement, axes.structure_score):.2f} at best"
    )
    if config.check_start:
        raise InputError(
            problem,
            file=path,
            mend="leave --symmetry out, or give a map that has it, for example one made by "
            f"`cryorbit abinit --symmetry {config.symmetry}`; if you know better, use --no-check-start",
        )
    return density, f"{path.name}: {problem}."


def _on_turn(axes: SymmetryAxes, symmetry: str, before: float, voxel: float, path: Path) -> str:
    angle = math.degrees(math.acos(float(((torch.trace(axes.frame) - 1) / 2).clamp(-1, 1))))
    return (
        f"{path.name}: the axes of {symmetry} lay elsewhere; the map was turned by {angle:.0f} degrees and moved "
        f"by {float(axes.centre.norm()) * voxel:.1f} A; it agrees with its copies by {axes.structure_score:.2f}, "
        f"and did by {before:.2f}."
    )

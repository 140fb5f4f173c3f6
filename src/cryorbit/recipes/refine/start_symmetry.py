"""Start maps of symmetric particles: their axes must lie where the group has them, or be brought there."""

from __future__ import annotations

import math
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.evaluation.radial_filter import apply_gain, low_pass
from cryorbit.inference.copies import SYMMETRIC, copies_agreement
from cryorbit.inference.symmetry import SymmetryAxes, find_axes, turned_to_axes
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.refine.config import RefineConfig

BETTER = 0.2
"""By how much a map must agree better with its copies in another frame to be turned there."""


def on_axes(
    density: Float[Tensor, "m m m"], config: RefineConfig, dataset: Dataset, path: Path
) -> tuple[Float[Tensor, "m m m"], str | None]:
    """A start map with its axes where the group has them, and a sentence if it was turned there.

    Raises
    ------
    InputError
        The map has not the symmetry in any frame, unless start maps are not checked: that is a sentence then.
    """
    if dataset.operators is None:
        return density, None
    size = density.shape[-1]
    group, radius = dataset.operators.to(density), dataset.particle_radius(size)
    smooth = apply_gain(density, low_pass(size, dataset.extent / size, config.initial_resolution))
    agreement = copies_agreement(smooth, smooth, group, radius)
    if agreement is None or agreement >= SYMMETRIC:
        return density, None
    axes = find_axes(smooth, group, radius)
    if axes.structure_score >= max(SYMMETRIC, agreement + BETTER):
        turned = (
            f"{path.name}: the axes of {config.symmetry} lay elsewhere; {_on_turn(axes, group, dataset.extent / size)}"
        )
        agreed = f"it agrees with its copies by {axes.structure_score:.2f}, and did by {agreement:.2f}"
        return turned_to_axes(density, axes), f"{turned}; {agreed}."
    problem = (
        f"the map has no {config.symmetry} symmetry: it agrees with its copies by "
        f"{max(agreement, axes.structure_score):.2f} at best"
    )
    if config.check_start:
        raise InputError(
            problem,
            file=path,
            fix="leave --symmetry out, or give a map that has it, for example one made by "
            f"`cryorbit abinit --symmetry {config.symmetry}`; if you know better, use --no-check-start",
        )
    return density, f"{path.name}: {problem}."


def _on_turn(axes: SymmetryAxes, group: Float[Tensor, "g 3 3"], voxel: float) -> str:
    """How far a map is turned, of the ways that differ by an operator of the group the shortest, and moved."""
    largest_trace = float((group @ axes.frame).diagonal(dim1=-2, dim2=-1).sum(-1).max())
    # rounding may take a cosine beyond one
    angle = math.degrees(math.acos(max(-1.0, min(1.0, (largest_trace - 1) / 2))))
    return f"the map was turned by {angle:.0f} degrees and moved by {float(axes.centre.norm()) * voxel:.1f} Å"

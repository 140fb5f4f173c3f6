"""A grid of all poses, common to all images, and the slices of a model at its rotations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.inference.pose_prior import PosePrior
from cryorbit.volumes.model import Model


@dataclass(frozen=True, slots=True)
class PoseGrid:
    """Rotations and shifts.

    Attributes
    ----------
    rotations
        Of each class, in pairs half a turn apart in the plane of the image (``geometry.so3_grid.paired_grid``).
    shifts
        Common to all, pixels.
    prior
        Density of the poses; None: all are equally probable.
    """

    rotations: Float[Tensor, "k r 3 3"]
    shifts: Float[Tensor, "t 2"]
    prior: PosePrior | None = None

    def __post_init__(self) -> None:
        """Raise ``ValueError`` if the rotations do not come in pairs."""
        if not torch.allclose(self.rotations[:, ::2, :2], -self.rotations[:, 1::2, :2], atol=1e-5):
            raise ValueError("rotations of a pose grid come in pairs half a turn apart")

    @property
    def fronts(self) -> Float[Tensor, "k h 3 3"]:
        """The first of each pair: the slice of the second is the conjugate of its slice."""
        return self.rotations[:, ::2]

    @property
    def rotation_prior(self) -> Float[Tensor, "k r"]:
        """Log of the density at the rotations, nats; 0 where all are equally probable."""
        if self.prior is None:
            return torch.zeros_like(self.rotations[..., 0, 0])
        return self.prior.of_rotations(self.rotations.flatten(0, 1)).unflatten(0, self.rotations.shape[:2])

    @property
    def shift_prior(self) -> Float[Tensor, " t"] | None:
        """Log of the density at the shifts, nats; None where all are equally probable."""
        return None if self.prior is None else self.prior.of_shifts(self.shifts)


def grid_slices(model: Model, rotations: Float[Tensor, "k r 3 3"], disc: HalfDisc) -> Complex[Tensor, "g p"]:
    """Slices of all classes, class after class, each at rotations of its own."""
    classes, count = rotations.shape[:2]
    klass = torch.arange(classes, device=rotations.device).repeat_interleave(count)
    return model.slices(klass, rotations.flatten(0, 1), disc.frequencies)

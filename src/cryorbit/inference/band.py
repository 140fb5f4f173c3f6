"""What images and volumes need for work up to a Fourier radius."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc, half_disc
from cryorbit.volumes.model import ModelGrid
from cryorbit.volumes.voxel import working_grid


@dataclass(frozen=True, slots=True)
class Band:
    """The band of frequencies within a Fourier radius.

    Attributes
    ----------
    grid
        Of the unknown: a working box of volumes, just large enough for the radius.
    disc
        Half disc of images.
    noise_variance
        Of each shell.
    """

    grid: ModelGrid
    disc: HalfDisc
    noise_variance: Float[Tensor, " s"]

    @property
    def radius(self) -> float:
        """Fourier radius, pixels."""
        return self.disc.radius


def band_within(box: int, radius: float, noise_variance: Float[Tensor, " s"]) -> Band:
    """The band within ``radius`` for images of side ``box``, on the device of their noise spectrum."""
    return Band(working_grid(box, radius), half_disc(box, radius).to(noise_variance.device), noise_variance)

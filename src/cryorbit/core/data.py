"""The nouns shared by files and physics: poses and CTF parameters of particles."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Poses:
    """Poses of N particles (signs and axes: ``core.conventions``).

    Attributes
    ----------
    rotations
        RELION's matrices; the slice of pose ``R`` samples the volume's transform at ``R.T @ (kx, ky, 0)``.
    shifts
        ``(x, y)`` in pixels, the displacement that centres the image.
    """

    rotations: Float[Tensor, "n 3 3"]
    shifts: Float[Tensor, "n 2"]

    def __getitem__(self, index: Tensor) -> Poses:
        """Poses of the particles at ``index``."""
        return Poses(self.rotations[index], self.shifts[index])


@dataclass(frozen=True, slots=True)
class CTFParams:
    """Contrast transfer parameters of N particles, float64.

    Attributes
    ----------
    defocus_u, defocus_v
        Defocus along the two axes of astigmatism, A, positive for underfocus.
    defocus_angle
        Angle from the x axis to the axis of ``defocus_u``, radians.
    voltage
        Acceleration voltage, kV.
    spherical_aberration
        Cs, mm.
    amplitude_contrast
        Fraction in [0, 1].
    phase_shift
        Phase plate shift, radians.
    b_factor
        Envelope ``exp(-B k^2 / 4)``, A^2.
    scale
        Factor on the CTF.
    """

    defocus_u: Float[Tensor, " n"]
    defocus_v: Float[Tensor, " n"]
    defocus_angle: Float[Tensor, " n"]
    voltage: Float[Tensor, " n"]
    spherical_aberration: Float[Tensor, " n"]
    amplitude_contrast: Float[Tensor, " n"]
    phase_shift: Float[Tensor, " n"]
    b_factor: Float[Tensor, " n"]
    scale: Float[Tensor, " n"]

    def __getitem__(self, index: Tensor) -> CTFParams:
        """Parameters of the particles at ``index``."""
        return CTFParams(*(getattr(self, field.name)[index] for field in fields(self)))

    def __len__(self) -> int:
        """Number of particles."""
        return len(self.defocus_u)

    @classmethod
    def absent(cls, count: int) -> CTFParams:
        """Parameters of images without a CTF: it is 1 at every frequency, as all contrast is amplitude contrast."""
        zeros, ones = torch.zeros(count, dtype=torch.float64), torch.ones(count, dtype=torch.float64)
        return cls(zeros, zeros, zeros, 300 * ones, zeros, ones, zeros, zeros, ones)

    @property
    def is_absent(self) -> bool:
        """Whether these are parameters of images without a CTF."""
        lens = torch.stack([self.defocus_u, self.defocus_v, self.spherical_aberration, self.phase_shift])
        return bool((lens == 0).all()) and bool((self.amplitude_contrast == 1).all())

    def to(self, device: torch.device | str) -> CTFParams:
        """The same parameters on ``device``, to which they go together."""
        return CTFParams(*torch.stack([getattr(self, field.name) for field in fields(self)]).to(device))

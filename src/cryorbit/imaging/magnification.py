"""Anisotropic magnification: a microscope that stretches its images is undone where they are read.

With RELION's matrix ``M`` (``rlnMagMat00`` ... ``11``) the transform of an image at its own frequency ``k`` is that of
a projection, CTF and aberrations included, at ``M k``. So the image whose transform at ``q`` is the stored one's at
``inv(M) q`` is as if it had not been stretched, and frequencies, CTFs, slices and shifts are as for any other. Only
shifts that tables state are on stored images: ``k . t = q . inv(M).T t``.

Source: Zivanov, Nakane & Scheres, IUCrJ 7 (2020) 253; the direction is held to RELION's in ``tests/golden``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cryorbit.fourier.stretched import stretched


@dataclass(frozen=True, slots=True)
class Magnification:
    """Magnification of N particles that were taken at G settings of the microscope; an `ImageOperator`.

    Attributes
    ----------
    setting
        Setting of each particle.
    matrices
        RELION's matrix of each setting, float64, not singular; images of one that is the identity stay as they are.
    """

    setting: Int[Tensor, " n"]
    matrices: Float[Tensor, "g 2 2"]

    def __getitem__(self, index: Tensor) -> Magnification:
        """Magnification of the particles at ``index``, without the settings that none of them has."""
        used, setting = self.setting[index].unique(return_inverse=True)
        return Magnification(setting, self.matrices[used])

    @property
    def stretches(self) -> Bool[Tensor, " g"]:
        """Mask of the settings that change an image."""
        return (self.matrices != torch.eye(2, dtype=self.matrices.dtype)).flatten(1).any(1)

    def apply(self, images: Float[Tensor, "n y x"]) -> Float[Tensor, "n y x"]:
        """The N images as they would be without the stretch; those of the identity keep every bit."""
        for setting in torch.nonzero(self.stretches)[:, 0]:
            some = torch.nonzero(self.setting == setting)[:, 0].to(images.device)
            undone = stretched(images[some], torch.linalg.inv(self.matrices[setting]))
            images = images.index_copy(0, some, undone)
        return images

    def shifts_on_read(self, stored: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
        """Shifts, pixels, that centre the images as `apply` leaves them, from those that centre the stored ones."""
        return self._times(stored, torch.linalg.inv(self.matrices))

    def shifts_on_stored(self, read: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
        """The way back: shifts, pixels, that centre the images as they are stored."""
        return self._times(read, self.matrices)

    def _times(self, shifts: Float[Tensor, "n 2"], matrices: Float[Tensor, "g 2 2"]) -> Float[Tensor, "n 2"]:
        """Row vectors times the matrices of their settings, in the precision and the place of the shifts."""
        return torch.einsum("ni,nij->nj", shifts, matrices[self.setting].to(shifts))

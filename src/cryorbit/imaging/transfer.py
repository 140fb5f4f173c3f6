"""What the microscope does to the transform of an image: a factor on every coefficient."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Complex, Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Transfer:
    """Transfer ``T = ctf * turn`` of B images on P coefficients.

    Attributes
    ----------
    ctf
        CTF, times the contrast of the image.
    turn
        Factor of modulus 1, by which antisymmetric aberrations turn phases; None for 1, which costs nothing.
    """

    ctf: Float[Tensor, "b p"]
    turn: Complex[Tensor, "b p"] | None = None

    @property
    def power(self) -> Float[Tensor, "b p"]:
        """``|T|^2``."""
        return self.ctf**2

    def apply(self, slices: Complex[Tensor, "b p"]) -> Complex[Tensor, "b p"]:
        """``T x``: the images that a microscope makes of slices."""
        seen = self.ctf * slices
        return seen if self.turn is None else seen * self.turn

    def adjoint(self, images: Complex[Tensor, "b p"]) -> Complex[Tensor, "b p"]:
        """``conj(T) x``."""
        return self.ctf * self.turned_back(images)

    def turned_back(self, images: Complex[Tensor, "b p"]) -> Complex[Tensor, "b p"]:
        """Images as they were without antisymmetric aberrations, still with their CTF."""
        return images if self.turn is None else images * self.turn.conj()

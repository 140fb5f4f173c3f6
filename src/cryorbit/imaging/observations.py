"""What inference needs of a batch of images: three arrays on the half disc.

With noise variance ``s`` per coefficient, transfer ``T`` (the CTF ``c``, turned by antisymmetric aberrations),
transform ``x`` and Hermitian weight ``h = 2``, the log-likelihood of a slice ``Y`` under a shift ``S`` is, up to a
constant of the image,

    Re sum conj(Y) S data - 1/2 sum weight |Y|^2,  data = h conj(T) x / s,  weight = h |T|^2 / s,  power = h |x|^2 / s.

CTF-premultiplied images come as ``c x`` and give the same arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.core.conventions import HERMITIAN_WEIGHT
from cryorbit.imaging.transfer import Transfer


@dataclass(frozen=True, slots=True)
class Observations:
    """A batch of B images on P half-disc coefficients, weighted by CTF and noise (see the module's docstring)."""

    data: Complex[Tensor, "b p"]
    weight: Float[Tensor, "b p"]
    power: Float[Tensor, "b p"]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.data)

    def __getitem__(self, index: Tensor | slice) -> Observations:
        """The images at ``index``."""
        return Observations(self.data[index], self.weight[index], self.power[index])

    def within(self, count: int) -> Observations:
        """The same images on their first ``count`` coefficients, the half disc of a smaller radius."""
        return Observations(self.data[:, :count], self.weight[:, :count], self.power[:, :count])


def observe(
    transform: Complex[Tensor, "b p"],
    transfer: Transfer,
    noise_variance: Float[Tensor, " p"],
    *,
    premultiplied: bool = False,
) -> Observations:
    """Weighted observations of image transforms.

    ``noise_variance`` is that of the image before any multiplication by the CTF. Where a premultiplied image has a
    CTF of zero nothing was measured; its power is recovered only where the CTF is not small.
    """
    factor = HERMITIAN_WEIGHT / noise_variance
    weight = factor * transfer.power
    data = transfer.turned_back(transform)
    if not premultiplied:
        return Observations(factor * transfer.ctf * data, weight, factor * transform.abs() ** 2)
    safe = transfer.ctf.abs().clamp_min(0.1)
    return Observations(factor * data, weight, factor * (transform.abs() / safe) ** 2)

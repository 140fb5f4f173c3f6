"""Fourier shell correlation by direction: within double cones, and the evenness of the resolution.

The area under the correlation of a cone measures how far half-maps agree in its direction; the smallest area over
the largest is the conical FSC area ratio: near 1 for isotropic maps, below 0.5 where views are missing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.evaluation.fsc import THRESHOLD
from cryorbit.fourier.shells import half_spectrum_weights, shell_indices, shell_sums
from cryorbit.geometry.hemisphere import hemisphere

HALF_ANGLE_DEG = 20.0
"""Half the opening of a cone."""
AXIS_ORDER = 2
"""HEALPix order of the axes: 96 of them, on average 15 degrees apart, so that cones overlap."""
ANISOTROPIC = 0.5
"""Area ratio below which directions are missing (cryoSPARC's threshold for its cFAR)."""


@dataclass(frozen=True, slots=True)
class ConicalFSC:
    """Correlations of two half-maps within cones.

    Attributes
    ----------
    axes
        Unit vectors ``(x, y, z)``, one of each opposite pair, evenly spread.
    correlation
        A curve a cone, shells 0 ... n / 2; 1 in shells of which a cone holds no coefficient.
    areas
        Sum of each curve from shell 1 to where it first falls below 0.143, shells.
    """

    axes: Float[Tensor, "c 3"]
    correlation: Float[Tensor, "c s"]
    areas: Float[Tensor, " c"]

    @property
    def area_ratio(self) -> float:
        """Smallest area over the largest, in [0, 1]."""
        # half-maps that agree nowhere have no area at all
        return float(self.areas.min() / self.areas.max().clamp_min(1e-12))

    @property
    def anisotropic(self) -> bool:
        """Whether directions are missing."""
        return self.area_ratio < ANISOTROPIC


def conical_fsc(
    half1: Float[Tensor, "n n n"],
    half2: Float[Tensor, "n n n"],
    mask: Float[Tensor, "n n n"] | None = None,
    last: int | None = None,
) -> ConicalFSC:
    """Correlations of two half-maps, multiplied by a mask first, within cones of 20 degrees about 96 axes.

    They are 0 beyond shell ``last``, the last one in which the half-maps hold data.
    """
    if mask is not None:
        half1, half2 = half1 * mask, half2 * mask
    box = half1.shape[-1]
    count = box // 2 + 1
    shells, directions = _directions(box, half1)
    a, b = (torch.fft.rfftn(half)[shells < count] for half in (half1, half2))
    products = torch.stack([(a * b.conj()).real, a.abs().square(), b.abs().square(), torch.ones_like(a.real)]).double()
    products = products * half_spectrum_weights(box).to(products).expand(shells.shape)[shells < count]
    shells = shells[shells < count]
    axes = hemisphere(AXIS_ORDER).to(half1)
    sums = []
    for axis in axes:
        within = ((directions @ axis).abs() > math.cos(math.radians(HALF_ANGLE_DEG))).nonzero()[:, 0]
        sums.append(shell_sums(products[:, within], shells[within], count))
    cross, power_a, power_b, coefficients = torch.stack(sums, 1)
    power = torch.sqrt(power_a * power_b)
    correlation = torch.where(power > 0, cross / power, 0.0)
    correlation = torch.where(coefficients > 0, correlation, 1.0)
    correlation[:, count if last is None else last + 1 :] = 0.0
    return ConicalFSC(axes.cpu(), correlation.cpu(), _areas(correlation[:, 1:]).cpu())


def _areas(correlation: Float[Tensor, "c s"]) -> Float[Tensor, " c"]:
    """Sum of each curve up to the shell before it first falls below the threshold."""
    return (correlation * torch.cumprod((correlation >= THRESHOLD).to(correlation), 1)).sum(1)


def _directions(box: int, like: Tensor) -> tuple[Int[Tensor, "n n h"], Float[Tensor, "p 3"]]:
    """Shells of the half spectrum, and unit vectors of its coefficients in shells 0 ... n / 2."""
    shells = shell_indices(box).to(like.device)
    full = torch.fft.fftfreq(box, 1 / box, device=like.device)
    half = torch.fft.rfftfreq(box, 1 / box, device=like.device)
    z, y, x = torch.meshgrid(full, full, half, indexing="ij")
    kept = shells <= box // 2
    return shells, torch.nn.functional.normalize(torch.stack([x[kept], y[kept], z[kept]], -1), dim=-1).to(like)

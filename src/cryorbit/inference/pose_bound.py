"""An upper bound on the score of a pose at the full radius, from its score at a smaller radius L.

The score of a slice Y in the terms of ``Observations`` is ``Re sum conj(Y) S data - 1/2 sum weight |Y|^2``. If the
image holds a slice Y0 and noise, the coefficients beyond L add at most ``1/2 sum weight |Y0|^2 + H`` to it (complete
the square), where H is noise of variance ``sum weight |Y|^2``. With the largest power beyond L of any slice,

    P_L = max_Y 1/2 sum_(|k| > L) weight |Y|^2,        score <= score_L + P_L + tau sqrt(2 P_L)

up to tau standard deviations (Punjani et al. 2017, in this package's units). The published deviation, ``sqrt(P_L)``,
takes the two members of a conjugate pair for independent and is too small by the square root of two.

The bound does not cover that the image may not be a slice of this volume, and noise is bounded for each pose and not
for all at once. It holds for the very pose whose score is known: for the cell of poses around it, the score that the
true pose may lose to the centre of its cell, ``1/2 sum_(|k| <= L) weight |Y - Y'|^2`` for slices Y and Y' so far
apart, has to be added as well.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.fourier.half_disc import HalfDisc
from cryorbit.geometry.rotations import rotvec_to_matrix
from cryorbit.geometry.so3_grid import hopf_grid
from cryorbit.imaging.shifts import shift_phases
from cryorbit.inference.pose_grid import grid_slices
from cryorbit.volumes.model import Model

SAMPLE_ORDER, SAMPLE_STRIDE = 2, 32
"""Every 32nd rotation of the grid of 15 degrees: 144 rotations, each with a view direction of its own."""


@dataclass(frozen=True, slots=True)
class BoundSettings:
    """What the bound allows for.

    Attributes
    ----------
    confidence
        Standard deviations of noise, tau.
    deviation
        ``"exact"`` for ``sqrt(2 P)``, ``"published"`` for ``sqrt(P)``.
    ctf
        Whose CTF the powers are computed with: that of each ``"image"``, or the root mean square over the ``"group"``
        of images that are searched together.
    cell_reach
        How far from the centre of its cell the true pose may lie, as a part of the way to the cell's corner; 0 is the
        published evaluation at grid points, with which most optima are missed.
    """

    confidence: float = 4.0
    deviation: Literal["exact", "published"] = "exact"
    ctf: Literal["image", "group"] = "image"
    cell_reach: float = 0.7


@dataclass(frozen=True, slots=True)
class SliceSamples:
    """What the bound needs to know of a volume, at a fixed sample of its slices.

    Attributes
    ----------
    power
        ``|Y|^2``.
    change
        ``|Y - Y'|^2``, where the pose of Y' lies off that of Y by part of a cell.
    """

    power: Float[Tensor, "g p"]
    change: Float[Tensor, "g p"]


def sample_rotations() -> Float[Tensor, "g 3 3"]:
    """The views at which slices of a volume are sampled, float64."""
    return hopf_grid(SAMPLE_ORDER)[::SAMPLE_STRIDE]


def sample_slices(model: Model, disc: HalfDisc, cell: tuple[float, float], settings: BoundSettings) -> SliceSamples:
    """Samples of all classes for cells of a rotation spacing (degrees) and a shift step (px)."""
    spacing, step = cell
    rotations = sample_rotations()
    # the eight corners of rotations and the four of shifts, in turn, so that all are met equally often
    corner = torch.tensor(list(itertools.product((-0.5, 0.5), repeat=5)), dtype=torch.float64)
    corner = settings.cell_reach * corner[torch.arange(len(rotations)) % len(corner)]
    turned = rotvec_to_matrix(corner[:, :3] * math.radians(spacing)) @ rotations
    spectra = model.spectra
    phases = shift_phases((corner[:, 3:] * step).to(spectra.real), disc).to(spectra)
    there, off = (
        grid_slices(model, where.to(spectra.real).expand(len(spectra), -1, 3, 3), disc) for where in (rotations, turned)
    )
    return SliceSamples(there.abs() ** 2, (there - phases.repeat(len(spectra), 1) * off).abs() ** 2)


def omitted_power(
    weight: Float[Tensor, "b p"], samples: SliceSamples, count: int, settings: BoundSettings
) -> Float[Tensor, " b"]:
    """``P_L`` of each image, nats: the coefficients beyond the first ``count`` are those beyond L."""
    return _largest(weight[:, count:], samples.power[:, count:], settings)


def noise_allowance(power: Float[Tensor, " b"], settings: BoundSettings) -> Float[Tensor, " b"]:
    """``tau`` standard deviations of the noise of omitted coefficients of this power, nats."""
    variance = 2 * power if settings.deviation == "exact" else power
    return settings.confidence * variance.sqrt()


def bound_margin(
    weight: Float[Tensor, "b p"], samples: SliceSamples, count: int, settings: BoundSettings
) -> Float[Tensor, " b"]:
    """What to add to a score on the first ``count`` coefficients to bound the full scores in its cell, nats."""
    power = omitted_power(weight, samples, count, settings)
    loss = _largest(weight[:, :count], samples.change[:, :count], settings)
    return power + noise_allowance(power, settings) + loss


def _largest(
    weight: Float[Tensor, "b p"], squares: Float[Tensor, "g p"], settings: BoundSettings
) -> Float[Tensor, " b"]:
    """``max_g 1/2 sum weight squares`` for each image, by its own weights or by their mean."""
    images = len(weight)
    if settings.ctf == "group":
        weight = weight.mean(0, keepdim=True)
    return 0.5 * (weight @ squares.mT).amax(1).expand(images)

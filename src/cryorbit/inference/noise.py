"""The noise spectrum: a variance for each shell, from the background at first and from residuals later."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.conventions import HERMITIAN_WEIGHT
from cryorbit.fourier.half_disc import HalfDisc, half_disc, image_transform
from cryorbit.fourier.shells import shell_sums
from cryorbit.imaging.masks import soft_ball
from cryorbit.imaging.particle_source import ParticleSource

SAMPLE_BATCH = 250
LOW, HIGH = (0.1, 0.5), (0.8, 0.95)
"""Parts of Nyquist where noise is compared: coarser are gradients and neighbours, finer is the edge of a filter."""
VANISHED = 1 / 500
"""Part of the noise at low frequencies below which that at high ones has vanished. Counting leaves a floor in raw
images: the worst camera passes a hundredth of its power at Nyquist."""


def background_spectrum(source: ParticleSource, index: Int[Tensor, " m"], radius: float) -> Float[Tensor, " s"]:
    """Noise variance of shells 0 ... box / 2 from the images outside a circle of ``radius`` pixels.

    The soft hole spreads the spectrum over a shell or two, which a smooth spectrum does not notice. Premultiplied
    images carry noise times CTF; their spectrum is divided by the mean squared CTF. Padded images are left out.
    """
    index = source.unpadded(index)
    disc = half_disc(source.box, source.box / 2).to(source.device)
    edge = 0.1 * source.box
    # however large the particle, a rim is left to measure noise in
    mask = 1 - soft_ball(source.box, min(radius, 0.45 * source.box), edge, dimensions=2).to(source.device)
    power = torch.zeros(len(disc), device=source.device)
    transfer = torch.zeros_like(power)
    for part in source.batches(len(index), SAMPLE_BATCH):
        images = source.read(index[part])
        background = (images * mask).sum((-2, -1), keepdim=True) / mask.sum()
        power += (image_transform((images - background) * mask, disc).abs() ** 2).sum(0)
        if source.premultiplied:
            transfer += source.transfer(index[part], disc).power.sum(0)
    mean = shell_means(power / (len(index) * (mask**2).mean()), disc, source.box)
    if not source.premultiplied:
        return mean
    # where all CTFs are nearly zero, as in the first shells, multiplication has left too little noise to measure
    return mean / shell_means(transfer / len(index), disc, source.box).clamp_min(0.05)


def vanishing_shell(noise: Float[Tensor, " s"]) -> int | None:
    """The shell, of 0 ... box / 2, beyond which images hold no noise to speak of; None in raw images."""
    low, high = (noise[int(part[0] * len(noise)) : int(part[1] * len(noise)) + 1].median() for part in (LOW, HIGH))
    if high >= VANISHED * low:
        return None
    return int(torch.nonzero(noise >= VANISHED * low)[-1])


def shell_means(values: Float[Tensor, " p"], disc: HalfDisc, box: int) -> Float[Tensor, " s"]:
    """Means over shells 0 ... box / 2; shells without coefficients take the nearest one that has some."""
    count = box // 2 + 1
    sums = shell_sums(torch.stack([values, torch.ones_like(values)]), disc.shells, count)
    filled = torch.nonzero(sums[1] > 0)[:, 0]
    nearest = filled[(torch.arange(count, device=values.device)[:, None] - filled).abs().argmin(1)]
    return sums[0, nearest] / sums[1, nearest]


def spectrum_of_residuals(
    noise_variance: Float[Tensor, " s"],
    residual: Float[Tensor, " s"],
    shells: Int[Tensor, " p"],
    images: Float[Tensor, ""],
    prior_weight: float,
) -> Float[Tensor, " s"]:
    """Noise variance of each shell from the residuals of a pass, as `updated_spectrum` has it.

    Parameters
    ----------
    noise_variance
        The spectrum that the pass assumed.
    residual
        Sum over images and the coefficients of each shell of the posterior-mean squared residual, in the units of
        ``Observations.power``.
    shells
        Shell of each coefficient of an image.
    images, prior_weight
        How many images, and the weight of the old spectrum, in images.
    """
    # power is 2 |x|^2 / s for a coefficient that stands for itself and its conjugate
    power = residual / HERMITIAN_WEIGHT
    coefficients = torch.bincount(shells, minlength=len(noise_variance)).to(power)
    return updated_spectrum(noise_variance.double(), power, coefficients, images, prior_weight).to(noise_variance)


def updated_spectrum(
    noise_variance: Float[Tensor, " s"],
    residual: Float[Tensor, " s"],
    coefficients: Float[Tensor, " s"],
    images: float | Float[Tensor, ""],
    prior_weight: float,
) -> Float[Tensor, " s"]:
    """Noise variance from posterior-mean residuals, shrunk to the old spectrum (as in the noise model of cryoSPARC).

    Parameters
    ----------
    noise_variance
        The spectrum under which the residuals were measured.
    residual
        Per shell, the sum over coefficients and images of |residual|^2 over ``noise_variance``.
    coefficients
        How many coefficients of one image that sum has; 0 beyond the current radius, where nothing changes.
    images
        How many images it has.
    prior_weight
        Weight of the old spectrum, in images.
    """
    # images of the prior leave what is expected of them: one for each of their coefficients
    expected = residual + prior_weight * coefficients
    # shells without coefficients keep their variance; the floor only spares them 0 / 0
    ratio = expected / ((images + prior_weight) * coefficients).clamp_min(1e-12)
    return torch.where(coefficients > 0, noise_variance * ratio, noise_variance)

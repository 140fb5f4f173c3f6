"""How much maps of one particle that were made repeatedly differ from each other, shell by shell."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.fourier.shells import shell_means


def relative_spread(maps: Float[Tensor, "k n n n"]) -> Float[Tensor, " s"]:
    """Standard deviation of at least two superposed maps over the root mean square of their mean, in each shell.

    It is 0 where the maps are the same, and far above 1 where they have nothing in common. Shells 0 ... n / 2; those in
    which the mean is zero have spread 0.
    """
    transforms = torch.fft.rfftn(maps.double(), dim=(-3, -2, -1))
    mean = transforms.mean(0)
    deviations = (transforms - mean).abs().square().sum(0) / (len(maps) - 1)
    variance, power = shell_means(torch.stack([deviations, mean.abs().square()]))
    return torch.where(power > 0, variance / power, 0.0).sqrt()

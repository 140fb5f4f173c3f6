"""Maps whose phases say nothing beyond a given shell, while their amplitudes stay (Chen et al. 2013)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.fourier.shells import shell_indices


def randomise_phases(
    volume: Float[Tensor, "n n n"], first_shell: int, generator: torch.Generator
) -> Float[Tensor, "n n n"]:
    """The map with uniformly random phases in ``first_shell`` and all shells beyond it."""
    noise = torch.randn(volume.shape, generator=generator, dtype=volume.dtype, device=generator.device)
    # the phases of a real map's transform are random and yet those of a real map
    phases = torch.sgn(torch.fft.rfftn(noise.to(volume.device)))
    spectrum = torch.fft.rfftn(volume)
    beyond = (shell_indices(volume.shape[-1]) >= first_shell).to(volume.device)
    return torch.fft.irfftn(torch.where(beyond, spectrum.abs() * phases, spectrum), s=volume.shape)

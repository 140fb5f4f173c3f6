"""A map's Fourier transform that can be read at rotated frequencies, and the half ball of frequencies to read.

The transform is taken of the map in a box of twice the size, so that trilinear interpolation between its samples
suffices; the roll-off of that interpolation, sinc^2 in real space, is divided out beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class HalfBall:
    """The P frequencies with 0 < |k| <= radius that describe a real map, one of each pair (k, -k).

    Attributes
    ----------
    frequencies
        ``(kx, ky, kz)`` in Fourier pixels, integers; kx >= 0.
    shells
        Nearest integer to |k|.
    """

    frequencies: Float[Tensor, "p 3"]
    shells: Int[Tensor, " p"]


@dataclass(frozen=True, slots=True)
class OversampledSpectrum:
    """Fourier transform of a map about its centre voxel, sampled at every half Fourier pixel.

    Attributes
    ----------
    parts
        Real and imaginary part, ``[part, kz, ky, kx]``, frequency 0 in the centre.
    """

    parts: Float[Tensor, "2 d d d"]


def half_ball(radius: int, like: Tensor) -> HalfBall:
    """The half ball of ``radius`` Fourier pixels, with the dtype and on the device of ``like``."""
    axis = torch.arange(-radius, radius + 1, device=like.device)
    kz, ky, kx = (k.flatten() for k in torch.meshgrid(axis, axis, axis, indexing="ij"))
    norm = torch.sqrt((kx**2 + ky**2 + kz**2).double())
    ahead = (kx > 0) | ((kx == 0) & ((ky > 0) | ((ky == 0) & (kz > 0))))
    keep = ahead & (norm <= radius)
    return HalfBall(torch.stack([kx, ky, kz], -1)[keep].to(like), norm[keep].round().long())


def coefficients(volume: Float[Tensor, "n n n"], ball: HalfBall) -> Complex[Tensor, " p"]:
    """Transform of a map about its centre voxel at the frequencies of ``ball`` (radius below n / 2)."""
    box = volume.shape[-1]
    kx, ky, kz = ball.frequencies.long().unbind(-1)
    return torch.fft.rfftn(torch.fft.ifftshift(volume))[kz % box, ky % box, kx]


def oversampled_spectrum(volume: Float[Tensor, "n n n"]) -> OversampledSpectrum:
    """The transform of a map, ready for interpolation."""
    box = volume.shape[-1]
    axis = torch.arange(box, device=volume.device) - box // 2
    roll_off = torch.sinc(axis.to(volume.dtype) / (2 * box)) ** 2
    flat = volume / (roll_off[:, None, None] * roll_off[:, None] * roll_off)
    padded = torch.nn.functional.pad(flat, (box // 2, box - box // 2) * 3)
    spectrum = torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(padded)))
    return OversampledSpectrum(torch.view_as_real(spectrum).movedim(-1, 0).contiguous())


def interpolate(spectrum: OversampledSpectrum, frequencies: Float[Tensor, "*b p 3"]) -> Complex[Tensor, "*b p"]:
    """The transform at ``(kx, ky, kz)`` in Fourier pixels of the original box, differentiable in them."""
    size = spectrum.parts.shape[-1]
    # grid_sample measures positions from -1, the first sample, to 1, the last
    positions = (4.0 * frequencies + size) / (size - 1) - 1.0
    sampled = torch.nn.functional.grid_sample(
        spectrum.parts[None], positions.reshape(1, 1, 1, -1, 3), align_corners=True
    )
    return torch.complex(sampled[0, 0], sampled[0, 1]).reshape(frequencies.shape[:-1])

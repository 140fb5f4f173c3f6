"""Real images as real vectors of their Fourier coefficients, with lengths and angles kept.

Of each pair of conjugate coefficients one is taken, times the root of 2, its real and its imaginary part as two
coordinates; the origin stands for itself. White noise of pixel variance s^2 has variance s^2 in every coordinate.
The layout is all real parts, then all imaginary parts.
"""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryorbit.core.conventions import HERMITIAN_WEIGHT
from cryorbit.core.errors import InputError


def odd_plane(side: int) -> Float[Tensor, "p 2"]:
    """Frequencies ``(kx, ky)`` of one of each pair of coefficients of an image of odd side; the origin is the first.

    Raises
    ------
    InputError
        The side is even, so that some coefficients are their own conjugates.
    """
    if side % 2 == 0:
        raise InputError(f"an image of {side} pixels a side has coefficients without a mate", fix="choose an odd side")
    reach = side // 2
    kx, ky = torch.meshgrid(torch.arange(reach + 1), torch.arange(-reach, reach + 1), indexing="ij")
    plane = torch.stack([kx, ky], -1).flatten(0, 1)
    plane = plane[(plane[:, 0] > 0) | (plane[:, 1] >= 0)].double()
    return plane[plane.norm(dim=-1).argsort(stable=True)]


def to_coordinates(spectrum: Complex[Tensor, "*b p"], frequencies: Float[Tensor, "p 2"]) -> Float[Tensor, "*b q"]:
    """Coordinates of coefficients, two each; the imaginary part of the origin is zero."""
    scaled = spectrum * _weights(frequencies).to(spectrum.real)
    return torch.cat([scaled.real, scaled.imag], -1)


def from_coordinates(coordinates: Float[Tensor, "*b q"], frequencies: Float[Tensor, "p 2"]) -> Complex[Tensor, "*b p"]:
    """Coefficients of coordinates: the inverse of ``to_coordinates``."""
    real, imaginary = coordinates.chunk(2, -1)
    return torch.complex(real, imaginary) / _weights(frequencies).to(coordinates)


def images_to_coordinates(images: Float[Tensor, "*b n n"]) -> Float[Tensor, "*b q"]:
    """Coordinates of the unitary transforms, about the centre pixel, of images of odd side, on their ``odd_plane``."""
    side = images.shape[-1]
    kx, ky = odd_plane(side).long().unbind(-1)
    spectrum = torch.fft.fft2(torch.fft.ifftshift(images, dim=(-2, -1)), norm="ortho")
    return to_coordinates(spectrum[..., ky % side, kx], odd_plane(side))


def coordinates_to_images(coordinates: Float[Tensor, "*b q"], side: int) -> Float[Tensor, "*b n n"]:
    """Images of odd side from coordinates on their ``odd_plane``."""
    kx, ky = odd_plane(side).long().unbind(-1)
    values = from_coordinates(coordinates, odd_plane(side))
    plane = values.new_zeros(*values.shape[:-1], side, side)
    plane[..., -ky % side, -kx % side] = values.conj()
    plane[..., ky % side, kx] = values
    return torch.fft.fftshift(torch.fft.ifft2(plane, norm="ortho").real, dim=(-2, -1))


def _weights(frequencies: Float[Tensor, "p 2"]) -> Float[Tensor, " p"]:
    weights = torch.full((len(frequencies),), HERMITIAN_WEIGHT**0.5, dtype=torch.float64, device=frequencies.device)
    return weights.masked_fill_((frequencies == 0).all(-1), 1.0)

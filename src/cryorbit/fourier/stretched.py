"""Images whose transforms are those of others at other frequencies: stretched, turned or sheared about their centres.

The transform of an image is taken on a twice padded grid and interpolated by the Kaiser-Bessel window, so errors are
near 1e-4 up to Nyquist. A whole grid is held, not half of one: frequencies beyond Nyquist come in from the other side.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from cryorbit.core.chunks import chunk_size, chunks
from cryorbit.fourier.kaiser_bessel import PAD, points_within, window, window_transform

BYTES_PER_PIXEL = 100
"""Temporaries of an image: its padded transform, twice."""
CHUNK_BYTES = 2**23
"""Temporaries of the images that are worked on at once, so that they stay near the processor."""


def stretched(images: Float[Tensor, "b n n"], matrix: Float[Tensor, "2 2"]) -> Float[Tensor, "b n n"]:
    """Images ``g`` whose transforms at frequency ``q`` are those of ``images`` at ``matrix @ q``.

    With ``f`` an image and coordinates from the centre pixel, ``g(x) = f(inv(matrix).T @ x) / |det matrix|``. What
    ``f`` is outside its box is not known, and is taken for its mean outside the circle in the box, the background; what
    ``g`` is outside its box is cut off.

    Parameters
    ----------
    images
        Real images, float32.
    matrix
        Not singular; on frequencies ``(x, y)``, float64.
    """
    box = images.shape[-1]
    line = window_transform(box, images.device)
    corners = _corners(box, images.device)
    weight = (_stays_within(box, matrix.to(images.device)) / (line[:, None] * line)).float()
    index, share = _points(box, matrix.to(images.device))
    result = torch.empty_like(images)
    for part in chunks(len(images), chunk_size(BYTES_PER_PIXEL * box**2, CHUNK_BYTES, len(images))):
        background = images[part][:, corners].mean(1)[:, None, None]
        grid = _padded((images[part] - background) * weight)
        result[part] = torch.fft.irfft2(_sum_of_points(grid, index, share, box), s=(box, box)) + background
    return result


def _corners(box: int, device: torch.device) -> Bool[Tensor, "n n"]:
    """Mask of the pixels outside the circle that the box holds."""
    axis = torch.arange(box, device=device) - box // 2
    return torch.hypot(axis.double(), axis[:, None].double()) > box / 2


def _stays_within(box: int, matrix: Float[Tensor, "2 2"]) -> Bool[Tensor, "n n"]:
    """Mask of the pixels that a stretch leaves in the box: ``x`` of ``f`` comes to ``matrix.T @ x``."""
    axis = torch.arange(box, device=matrix.device, dtype=matrix.dtype) - box // 2
    x, y = matrix.T @ torch.stack(torch.broadcast_tensors(axis, axis[:, None])).flatten(1)
    inside = (torch.stack([x, y]) >= -box / 2 - 0.5) & (torch.stack([x, y]) < box / 2 - 0.5)
    return inside.all(0).view(box, box)


def _points(box: int, matrix: Float[Tensor, "2 2"]) -> tuple[Int[Tensor, "p w"], Float[Tensor, "p w"]]:
    """Points of the flattened padded grid around each frequency of a half transform, and their weights."""
    size = PAD * box
    ky = torch.fft.fftfreq(box, 1 / box, device=matrix.device, dtype=matrix.dtype)
    kx = torch.arange(box // 2 + 1, device=matrix.device, dtype=matrix.dtype)
    frequencies = torch.stack(torch.broadcast_tensors(kx, ky[:, None]), -1).flatten(0, 1)
    position = PAD * (frequencies @ matrix.T)
    points = points_within(position)
    share_x, share_y = window(points - position[..., None]).float().unbind(1)
    x, y = points.remainder(size).unbind(1)
    index = y[:, :, None] * size + x[:, None, :]
    return index.flatten(1), (share_y[:, :, None] * share_x[:, None, :]).flatten(1)


def _padded(images: Float[Tensor, "b n n"]) -> Complex[Tensor, "b m m"]:
    """Whole transforms of the images, padded with zeros, about their centre pixels."""
    size = PAD * images.shape[-1]
    margin = (size - images.shape[-1]) // 2
    padded = torch.nn.functional.pad(images, (margin,) * 4)
    return torch.fft.fft2(torch.fft.ifftshift(padded, dim=(-2, -1)))


def _sum_of_points(
    grid: Complex[Tensor, "b m m"], index: Int[Tensor, "p w"], share: Float[Tensor, "p w"], box: int
) -> Complex[Tensor, "b n h"]:
    """Half transforms, about the pixel in the corner, from the weighted points of padded ones."""
    # the same points of all images stand side by side, and an embedding bag sums rows by weight in one kernel
    table = torch.view_as_real(grid.flatten(1).T.contiguous()).flatten(1)
    sums = torch.nn.functional.embedding_bag(index, table, mode="sum", per_sample_weights=share)
    spectrum = torch.view_as_complex(sums.unflatten(1, (-1, 2))).T.reshape(len(grid), box, box // 2 + 1)
    ky, kx = torch.arange(box, device=grid.device)[:, None], torch.arange(box // 2 + 1, device=grid.device)
    return spectrum * (1.0 - 2.0 * ((kx + ky) % 2))

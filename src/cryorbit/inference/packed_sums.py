"""D and W of volumes on the Fourier grid as one real tensor, as optimisers take statistics that add."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor

KEPT_WEIGHT = 1e-3
"""Least part of the reference's weights that statistics are mended to."""


def packed_sums(
    data: Complex[Tensor, "*any q q h"], weight: Float[Tensor, "*any q q h"]
) -> Float[Tensor, "*any 3 q q h"]:
    """Real part of D, imaginary part, W."""
    return torch.stack([data.real, data.imag, weight], -4)


def unpacked_sums(
    sums: Float[Tensor, "*any 3 q q h"],
) -> tuple[Complex[Tensor, "*any q q h"], Float[Tensor, "*any q q h"]]:
    """D and W again."""
    real, imaginary, weight = sums.unbind(-4)
    return torch.complex(real, imaginary), weight


def with_least_weight(
    sums: Float[Tensor, "*any 3 q q h"], reference: Float[Tensor, "*any 3 q q h"]
) -> Float[Tensor, "*any 3 q q h"]:
    """Sums whose W is at least a small part of that of ``reference``, so that an M-step is defined."""
    (data, weight), (_, known) = unpacked_sums(sums), unpacked_sums(reference)
    return packed_sums(data, torch.maximum(weight, KEPT_WEIGHT * known))

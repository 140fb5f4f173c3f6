"""Central slices of a Fourier volume by trilinear interpolation (gather) and the exact adjoint (insert).

The volume is a half transform ``(z, y, x)`` of size ``(M, M, M // 2 + 1)`` in wrapped order with ``x >= 0``; a slice
in pose ``R`` samples it at ``pad * R.T @ (kx, ky, 0)`` (``core.conventions``). Where all slices lie in ``z = 0``, two
of its planes are enough (``volumes.plane``).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Complex, Float, Int64, Shaped
from torch import Tensor

from cryorbit.kernels.table import ADD, ADD_EXACT, GATHER, INSERT


def gather_slices(
    volume: Complex[Tensor, "z m h"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> Complex[Tensor, "g p"]:
    """Slices of ``volume`` in G poses at P half-plane frequencies (Fourier pixels of the unpadded box)."""
    return GATHER.choose(volume)(volume, rotations, frequencies, pad)


def insert_slices(
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    size: int,
    pad: int,
) -> tuple[Complex[Tensor, "m m h"], Float[Tensor, "m m h"]]:
    """Adjoint of ``gather_slices`` applied to ``values``, and the same scatter of real ``weights``.

    The half volumes hold what fell on ``x >= 0``; ``join_mates`` completes the plane ``x = 0``.
    """
    return INSERT.choose(values)(values, weights, rotations, frequencies, size, pad)


def add_slices(
    volume: Complex[Tensor, "z m h"],
    density: Float[Tensor, "z m h"],
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> None:
    """Add to ``volume`` and ``density``, in place, what ``insert_slices`` makes of the slices.

    With the padded grid of a large box, new volumes cost more than the insertion itself, in time and in memory. On the
    CPU the sums do not depend on the number of threads.
    """
    ADD.choose(volume)(volume, density, values, weights, rotations, frequencies, pad)


def add_exact_slices(
    counts: Int64[Tensor, "z m h 3"],
    quanta: tuple[float, float],
    values: Complex[Tensor, "g p"],
    weights: Float[Tensor, "g p"],
    rotations: Float[Tensor, "g 3 3"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
) -> None:
    """Add the same to real part, imaginary part and density as whole numbers of quanta, in place.

    The sums depend neither on the number of threads nor on the order of the calls.
    """
    ADD_EXACT.choose(values)(counts, quanta, values, weights, rotations, frequencies, pad)


def join_mates(half: Tensor) -> Tensor:
    """Add to the plane ``x = 0`` of an inserted half volume ``(..., M, M, h)`` the conjugates of its mates."""
    plane = half[..., 0]
    mates = torch.roll(plane.flip(-2, -1), shifts=(1, 1), dims=(-2, -1)).conj()
    joined = half.clone()
    joined[..., 0] = plane + mates
    return joined


def joined_planes(halves: Shaped[Tensor, "s z m h"]) -> Callable[[slice], Shaped[Tensor, "z m h"]]:
    """The sum of inserted half volumes as ``join_mates`` completes it, some planes (constant z) at a time."""
    edge = join_mates(halves[..., :1]).sum(0)

    def planes(part: slice) -> Shaped[Tensor, "z m h"]:
        total = halves[:, part].sum(0)
        total[..., :1] = edge[part]
        return total

    return planes

"""Scores of candidate poses, each candidate its own slice; the formula is that of ``volumes.model.Model``.

The compiled kernel reads, uses and forgets slices. The unit of work is a run of candidates of one image. It goes
through the coefficients block by block: the image's data under every shift, then every candidate's slice on the block,
its norm and its products. A block of all of these stays in the innermost cache, so main memory sees the volume and the
scores alone.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from numba import prange
from torch import Tensor

from cryorbit.kernels.compiled import compiled, inlined
from cryorbit.kernels.gather import gather_by_class, gather_torch
from cryorbit.kernels.trilinear import BLOCK, block_scratch, plane_axes, sample_block

BYTES_A_POINT = 160
"""Of a slice's coefficient while it is gathered in plain torch and scored: its place and corners, and its products."""
WRITTEN_BYTES = 2**27
"""Of the slices that are written out at a time, with all that comes of them."""
LONGEST_RUN = 32
"""Candidates to a unit of work: enough to share the shifted data, few enough to spread an image over threads."""


def score_torch(
    data: Complex[Tensor, "b p"],
    weight: Float[Tensor, "b p"],
    candidates: tuple[Int[Tensor, " e"], Int[Tensor, " e"], Float[Tensor, "e 3 3"]],
    volumes: Complex[Tensor, "k z m h"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
    phases: Complex[Tensor, "t p"],
) -> Float[Tensor, "e t"]:
    """Scores of every candidate under every shift in plain torch; slices are written out, some candidates at a time."""
    image, klass, rotation = candidates
    scores = weight.new_empty(len(image), len(phases))
    at_once = max(1, WRITTEN_BYTES // (BYTES_A_POINT * len(frequencies)))
    for first in range(0, len(image), at_once):
        part = slice(first, first + at_once)
        slices = gather_by_class(gather_torch, klass[part], rotation[part], volumes, frequencies, pad)
        scores[part] = score_slices(slices, data[image[part]], weight[image[part]], phases)
    return scores


def score_slices(
    slices: Complex[Tensor, "e p"],
    data: Complex[Tensor, "e p"],
    weight: Float[Tensor, "e p"],
    phases: Complex[Tensor, "t p"],
) -> Float[Tensor, "e t"]:
    """Scores of slices that are written out, each against data of its own, under every shift."""
    # Re(z w) = z_re w_re - z_im w_im: the conjugate phases make it a real product of interleaved columns
    columns = torch.view_as_real(phases.conj().resolve_conj()).flatten(1)
    norm = 0.5 * torch.linalg.vecdot(weight, slices.abs() ** 2)
    product = slices.conj() * data
    return torch.view_as_real(product.resolve_conj()).flatten(1) @ columns.mT - norm[:, None]


def score_numba(
    data: Complex[Tensor, "b p"],
    weight: Float[Tensor, "b p"],
    candidates: tuple[Int[Tensor, " e"], Int[Tensor, " e"], Float[Tensor, "e 3 3"]],
    volumes: Complex[Tensor, "k z m h"],
    frequencies: Float[Tensor, "p 2"],
    pad: int,
    phases: Complex[Tensor, "t p"],
) -> Float[Tensor, "e t"]:
    """The same as a compiled kernel in single precision, which writes no slices."""
    image, klass, rotation = candidates
    scores = torch.zeros(len(image), len(phases))
    kx, ky = (pad * frequencies).mT.contiguous().numpy()
    _score(
        volumes.resolve_conj().flatten(1).contiguous().numpy(),
        volumes.shape[2],
        (kx, ky),
        (klass.numpy(), plane_axes(rotation)),
        (image.numpy(), _runs(image)),
        (data.resolve_conj().contiguous().numpy(), weight.contiguous().numpy()),
        phases.resolve_conj().contiguous().numpy(),
        scores.numpy(),
    )
    return scores


def _runs(image: Int[Tensor, " e"]) -> np.ndarray:
    """Bounds of runs of candidates that share an image, at most ``LONGEST_RUN`` long."""
    count = len(image)
    changes = torch.nonzero(image[1:] != image[:-1])[:, 0] + 1
    ends = torch.tensor([0, count])
    return torch.unique(torch.cat([ends, changes, torch.arange(0, count, LONGEST_RUN)])).numpy()


@compiled(parallel=True, fastmath=True)
def _score(grids, size, points, poses, runs, images, phases, scores):
    kx, ky = points
    klass, rotation = poses
    image, bounds = runs
    data, weight = images
    shifts, count = phases.shape
    for run in prange(len(bounds) - 1):
        scratch = block_scratch()
        block = (np.empty(BLOCK, dtype=np.float32), np.empty(BLOCK, dtype=np.float32))
        shifted = np.empty((2 * shifts, BLOCK), dtype=np.float32)
        b = image[bounds[run]]
        for first in range(0, count, BLOCK):
            last = min(first + BLOCK, count)
            part = (kx[first:last], ky[first:last])
            _shift(data[b, first:last], phases[:, first:last], shifted)
            for e in range(bounds[run], bounds[run + 1]):
                sample_block(grids[klass[e]], size, rotation[e], part, scratch, block)
                norm = _norm(block, weight[b, first:last])
                for t in range(shifts):
                    product = _product(block, shifted[2 * t], shifted[2 * t + 1], last - first)
                    scores[e, t] += product - norm


@inlined(fastmath=True)
def _shift(data, phases, shifted):
    for t in range(phases.shape[0]):
        re, im = shifted[2 * t], shifted[2 * t + 1]
        for i in range(data.shape[0]):
            value = data[i] * phases[t, i]
            re[i], im[i] = value.real, value.imag


@inlined(fastmath=True)
def _norm(block, weight):
    re, im = block
    total = np.float32(0)
    for i in range(weight.shape[0]):
        total += weight[i] * (re[i] * re[i] + im[i] * im[i])
    return np.float32(0.5) * total


@inlined(fastmath=True)
def _product(block, data_re, data_im, count):
    re, im = block
    total = np.float32(0)
    for i in range(count):
        total += re[i] * data_re[i] + im[i] * data_im[i]
    return total

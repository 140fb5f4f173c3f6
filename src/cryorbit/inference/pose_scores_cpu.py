"""Scores of candidate poses as a compiled CPU kernel: slices are read, used and forgotten; see ``pose_scores``.

The unit of work is a run of candidates of one image. It goes through the coefficients block by block: the image's
data under every shift, then every candidate's slice on the block, its norm and its products. A block of all of these
stays in the innermost cache, so main memory sees the volume and the scores alone.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from numba import njit, prange
from torch import Tensor

from cryorbit.fourier.trilinear_cpu import BLOCK, block_scratch, sample_block
from cryorbit.imaging.observations import Observations
from cryorbit.volumes.voxel import PAD

LONGEST_RUN = 32
"""Candidates to a unit of work: enough to share the shifted data, few enough to spread an image over threads."""


def pose_scores(
    observations: Observations,
    candidates: tuple[Int[Tensor, " e"], Int[Tensor, " e"], Float[Tensor, "e 3 3"]],
    volumes: Complex[Tensor, "k q q h"],
    frequencies: Float[Tensor, "p 2"],
    phases: Complex[Tensor, "t p"],
) -> Float[Tensor, "e t"]:
    """Scores of every candidate under every shift; see ``pose_scores.pose_scores``."""
    image, klass, rotation = candidates
    scores = torch.zeros(len(image), len(phases))
    kx, ky = (PAD * frequencies).mT.contiguous().numpy()
    _score(
        volumes.resolve_conj().flatten(1).contiguous().numpy(),
        volumes.shape[1],
        (kx, ky),
        (klass.numpy(), rotation[:, :2].flatten(1).contiguous().numpy()),
        (image.numpy(), _runs(image)),
        (observations.data.resolve_conj().contiguous().numpy(), observations.weight.contiguous().numpy()),
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


@njit(parallel=True, fastmath=True, cache=True)
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


@njit(fastmath=True, cache=True)
def _shift(data, phases, shifted):
    for t in range(phases.shape[0]):
        re, im = shifted[2 * t], shifted[2 * t + 1]
        for i in range(data.shape[0]):
            value = data[i] * phases[t, i]
            re[i], im[i] = value.real, value.imag


@njit(fastmath=True, cache=True)
def _norm(block, weight):
    re, im = block
    total = np.float32(0)
    for i in range(weight.shape[0]):
        total += weight[i] * (re[i] * re[i] + im[i] * im[i])
    return np.float32(0.5) * total


@njit(fastmath=True, cache=True)
def _product(block, data_re, data_im, count):
    re, im = block
    total = np.float32(0)
    for i in range(count):
        total += re[i] * data_re[i] + im[i] * data_im[i]
    return total

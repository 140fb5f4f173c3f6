"""Log-likelihoods of candidate poses, each candidate its own slice: chosen by device and precision.

For a candidate e of image b with slice Y and every shift t of a small lattice, in the terms of ``Observations``,

    score_et = Re sum conj(Y_e) S_t data_b - 1/2 sum weight_b |Y_e|^2.

The plain torch implementation runs on any device and is the reference; on the CPU in single precision a compiled
kernel does the same without ever writing a slice.
"""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from cryorbit.core.chunks import chunk_size, chunks
from cryorbit.core.memory import BATCH_BYTES
from cryorbit.fourier.interpolation import gather_slices
from cryorbit.imaging.observations import Observations
from cryorbit.inference import pose_scores_cpu
from cryorbit.volumes.voxel import PAD

BYTES_A_POINT = 160
"""Of a slice's coefficient while it is gathered in plain torch and scored: its place and corners, and its products."""


def pose_scores(
    observations: Observations,
    candidates: tuple[Int[Tensor, " e"], Int[Tensor, " e"], Float[Tensor, "e 3 3"]],
    volumes: Complex[Tensor, "k q q h"],
    frequencies: Float[Tensor, "p 2"],
    phases: Complex[Tensor, "t p"],
) -> Float[Tensor, "e t"]:
    """Scores, in nats, of every candidate under every shift.

    Parameters
    ----------
    observations
        Images, moved to the centres of their shift lattices.
    candidates
        Image, class and rotation of each candidate; the fewer times the image changes, the less is computed twice.
    volumes
        Padded transforms of the classes, from ``volumes.voxel.synthesize``.
    frequencies
        Of the half disc, Fourier pixels.
    phases
        Of the lattice of shifts.
    """
    if volumes.device.type == "cpu" and volumes.dtype == torch.complex64:
        return pose_scores_cpu.pose_scores(observations, candidates, volumes, frequencies, phases)
    return reference_scores(observations, candidates, volumes, frequencies, phases)


def reference_scores(
    observations: Observations,
    candidates: tuple[Int[Tensor, " e"], Int[Tensor, " e"], Float[Tensor, "e 3 3"]],
    volumes: Complex[Tensor, "k q q h"],
    frequencies: Float[Tensor, "p 2"],
    phases: Complex[Tensor, "t p"],
) -> Float[Tensor, "e t"]:
    """The same in plain torch, for any device and precision; slices are written out, some candidates at a time."""
    image, klass, rotation = candidates
    # Re(z w) = z_re w_re - z_im w_im: the conjugate phases make it a real product of interleaved columns
    columns = torch.view_as_real(phases.conj().resolve_conj()).flatten(1)
    scores = observations.power.new_empty(len(image), len(phases))
    for part in chunks(len(image), chunk_size(BYTES_A_POINT * len(frequencies), BATCH_BYTES, max(1, len(image)))):
        slices = slices_by_class(klass[part], rotation[part], volumes, frequencies)
        seen = observations[image[part]]
        norm = 0.5 * torch.linalg.vecdot(seen.weight, slices.abs() ** 2)
        product = slices.conj() * seen.data
        scores[part] = torch.view_as_real(product.resolve_conj()).flatten(1) @ columns.mT - norm[:, None]
    return scores


def slices_by_class(
    klass: Int[Tensor, " e"],
    rotation: Float[Tensor, "e 3 3"],
    volumes: Complex[Tensor, "k q q h"],
    frequencies: Float[Tensor, "p 2"],
) -> Complex[Tensor, "e p"]:
    """The slice of each class in each rotation."""
    if len(volumes) == 1:
        return gather_slices(volumes[0], rotation, frequencies, PAD)
    slices = volumes.new_empty(len(klass), len(frequencies))
    for k, volume in enumerate(volumes):
        mine = klass == k
        slices[mine] = gather_slices(volume, rotation[mine], frequencies, PAD)
    return slices

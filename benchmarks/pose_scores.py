"""What the fused kernel for scores of candidate poses gains over gathered slices and the same in plain torch.

    python benchmarks/pose_scores.py --output benchmarks/results/pose_scores.json

Both sides score the same candidates (children of a few rotations of each image, as refinement makes them), in turn, so
that whatever else the machine does hits both; times are medians of CPU time, per candidate and coefficient.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import cyclopts
import torch
from torch import Tensor

from cryorbit.api.devices import limit_threads
from cryorbit.core.chunks import chunks
from cryorbit.fourier.half_disc import HalfDisc, half_disc
from cryorbit.geometry.rotations import random_rotations
from cryorbit.geometry.so3_grid import subdivide
from cryorbit.imaging.observations import Observations
from cryorbit.imaging.shifts import shift_phases
from cryorbit.kernels.pose_scores import score_slices
from cryorbit.volumes.voxel import VoxelModel, working_grid
from tables import Row, save, show

FAMILY = 8
SPACING = 3.75


def main(
    *,
    radii: tuple[float, ...] = (12.0, 20.0, 32.0, 60.0),
    shifts: tuple[int, ...] = (1, 7, 9, 21),
    candidates: tuple[int, ...] = (32, 96),
    images: int = 16,
    repeats: int = 7,
    threads: int | None = None,
    output: Path | None = None,
) -> None:
    """Compare both at Fourier radii, numbers of local shifts and numbers of candidates an image."""
    limit_threads(threads)
    rows = [measure(radius, t, e, images, repeats) for radius in radii for t in shifts for e in candidates]
    show("Scores of candidate poses", rows, [f"{torch.get_num_threads()} threads; {images} images; times in ns"])
    save(output, "pose_scores", {"threads": torch.get_num_threads(), "images": images, "rows": rows})


def measure(radius: float, shifts: int, candidates: int, images: int, repeats: int) -> Row:
    """Both times of one case, and their largest difference beside the largest score."""
    generator = torch.Generator().manual_seed(1)
    disc = half_disc(int(2 * radius) + 8, radius)
    arguments = draw(disc, shifts, candidates, images, generator)
    found, expected = fused_scores(*arguments), unfused_scores(*arguments)
    times: dict[str, list[float]] = {"torch": [], "kernel": []}
    for _ in range(repeats):
        for name, function in (("torch", unfused_scores), ("kernel", fused_scores)):
            began = time.process_time()
            for part in chunks(images, 8):
                function(*_images(arguments, part))
            times[name].append(time.process_time() - began)
    work = 1e-9 * images * candidates * len(disc)
    torch_ns, kernel_ns = (statistics.median(t) / work for t in times.values())
    return {
        "radius": radius,
        "P": len(disc),
        "T": shifts,
        "E an image": candidates,
        "torch": torch_ns,
        "kernel": kernel_ns,
        "ratio": torch_ns / kernel_ns,
        "difference": float((found - expected).abs().max() / expected.abs().max()),
    }


def fused_scores(
    observations: Observations, candidates: tuple, model: VoxelModel, frequencies: Tensor, phases: Tensor
) -> Tensor:
    """Scores by the model, which writes no slices."""
    return model.scores(observations.data, observations.weight, candidates, frequencies, phases)


def unfused_scores(
    observations: Observations, candidates: tuple, model: VoxelModel, frequencies: Tensor, phases: Tensor
) -> Tensor:
    """The same from slices that are gathered by a kernel of their own, and written out."""
    image, klass, rotation = candidates
    slices = model.slices(klass, rotation, frequencies)
    return score_slices(slices, observations.data[image], observations.weight[image], phases)


def draw(disc: HalfDisc, shifts: int, candidates: int, images: int, generator: torch.Generator) -> tuple:
    """Arguments of both on random numbers."""
    grid = working_grid(disc.box, disc.radius)
    model = grid.model(torch.randn(1, *(grid.size,) * 3, generator=generator))
    shape = (images, len(disc))
    data = torch.randn(shape, dtype=torch.complex64, generator=generator)
    observations = Observations(data, torch.rand(shape, generator=generator), data.abs())
    parents = random_rotations(images * candidates // FAMILY, generator).float()
    image = torch.arange(images).repeat_interleave(candidates)
    poses = (image, torch.zeros_like(image), subdivide(parents, 2 * SPACING).flatten(0, 1))
    phases = shift_phases(torch.randn(shifts, 2, generator=generator), disc)
    return observations, poses, model, disc.frequencies, phases


def _images(arguments: tuple, part: slice) -> tuple:
    """The arguments for some of the images, as a batch of refinement has them."""
    observations, (image, klass, rotation), *rest = arguments
    mine = (image >= part.start) & (image < part.stop)
    return observations[part], (image[mine] - part.start, klass[mine], rotation[mine]), *rest


if __name__ == "__main__":
    cyclopts.run(main)

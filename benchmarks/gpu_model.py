"""What a graphics card would take, modelled: bytes over its bandwidth, and a time for every launch.

    python benchmarks/gpu_model.py --output benchmarks/results/gpu_model.md

A batch of each hot loop runs on the pretended card (``pretended_card``), which counts. Numbers of the large sets come
from a few images of their size: launches of a batch are those of any batch, bytes grow with the images. Kernels in
Triton are pretended: one launch each, with the bytes of `pretended_card.POINT_BYTES` for every point of a slice.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cyclopts
import mrcfile
import numpy as np
import torch

from cryorbit.api.devices import limit_threads
from cryorbit.core.data import CTFParams
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.inference.local_search import batch_size
from cryorbit.io.image_stack import ImageStack
from hot_loops import LOOPS, Problem, refined_poses
from pretended_card import BYTES_A_SECOND, NAME, SECONDS_A_LAUNCH, Counts, PretendedCard
from tables import show

SMALL, LARGE = 2, 4
"""Images of the two runs from which the bytes of an image are told."""
WAIT = 20e-6
"""Seconds that the card is idle while the CPU waits for it and launches again."""


@dataclass(frozen=True, slots=True)
class ParticleSetSize:
    """A set of images, and how long a pass over it may take (seconds)."""

    images: int
    box: int
    aim: float


SETS = (ParticleSetSize(100_000, 128, 20.0), ParticleSetSize(300_000, 256, 120.0))


def main(*, output: Path | None = None, boxes: tuple[int, ...] = (128, 256), threads: int | None = 1) -> None:
    """Model a batch of each loop, and passes of refinement at full radius.

    Parameters
    ----------
    output
        Markdown file that the figures are written to.
    boxes
        Of the sets, those with images of this size.
    threads
        CPU threads.
    """
    limit_threads(threads)
    chosen = [each for each in SETS if each.box in boxes]
    with tempfile.TemporaryDirectory() as folder:
        batches = list(_batches(Path(folder)))
        passes = [_pass(Path(folder), size, fused=fused) for size in chosen for fused in (False, True)]
    rule = f"bytes / {BYTES_A_SECOND / 1e12:g} TB/s + {SECONDS_A_LAUNCH * 1e6:g} us a launch"
    show("A batch of each loop, 32 px", batches)
    show("A pass of refinement at full radius", passes, [rule])
    if output is not None:
        output.write_text(_document(rule, batches, passes))


def _batches(folder: Path) -> Iterator[dict[str, object]]:
    """Launches, bytes and waits of a batch of every loop."""
    problem = Problem(_source(folder / "small.mrcs", 40, 32), _volumes(32), 40, 10.0)
    for name, loop in LOOPS.items():
        for fused in (False, True):
            # in plain torch its grid takes minutes
            if name == "branch and bound" and not fused:
                continue
            counts = _counted(lambda p, loop=loop: loop(p), replace(problem, count=20), fused=fused)
            yield {
                "loop": name,
                "kernels": "Triton" if fused else "torch",
                "launches": counts.launches,
                "MB": counts.bytes / 1e6,
                "waits": sum(counts.waits.values()),
                "copies to the card": sum(counts.uploads.values()),
            }


def _pass(folder: Path, size: ParticleSetSize, *, fused: bool) -> dict[str, object]:
    """A pass over a set, from two small batches of images of its size."""
    source = _source(folder / f"{size.box}.mrcs", LARGE, size.box)
    problem = Problem(source, _volumes(size.box), LARGE, size.box / 2 - 2)
    few, many = (_counted(refined_poses, replace(problem, count=count), fused=fused) for count in (SMALL, LARGE))
    bytes_an_image = (many.bytes - few.bytes) / (LARGE - SMALL)
    with PretendedCard():
        batch = batch_size(problem.on(NAME).band(problem.radius).disc)
    # the images of a shard are batched apart
    batches = 64 * math.ceil(size.images / 64 / batch)
    launches, waits = batches * many.launches, batches * sum(many.waits.values())
    traffic, starts = size.images * bytes_an_image / BYTES_A_SECOND, launches * SECONDS_A_LAUNCH
    return {
        "images": f"{size.images:,} of {size.box} px",
        "kernels": "Triton" if fused else "torch",
        "MB an image": bytes_an_image / 1e6,
        "images a batch": batch,
        "launches a batch": many.launches,
        "waits a batch": sum(many.waits.values()),
        "traffic, s": traffic,
        "launches, s": starts,
        "waits, s": waits * WAIT,
        "pass, s": traffic + starts,
        "aim, s": size.aim,
    }


def _counted(loop: object, problem: Problem, *, fused: bool) -> Counts:
    with PretendedCard(fused=fused) as card:
        there = problem.on(NAME)
        with card.counting() as counts:
            loop(there)
    return counts


def _source(path: Path, count: int, box: int) -> ParticleSource:
    """Images of noise."""
    generator = torch.Generator().manual_seed(1)
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(torch.randn(count, box, box, generator=generator).numpy())
        file.set_image_stack()
    stack = ImageStack((path,), np.zeros(count, np.int64), np.arange(count), None, box)
    ctf = CTFParams.absent(count)
    return ParticleSource(stack, ctf, 1.5, False, torch.device("cpu"))


def _volumes(box: int) -> torch.Tensor:
    """A ball too faint to tell poses apart: as many candidates go on as may, and the whole posterior is inserted."""
    axis = torch.arange(box) - box // 2
    square = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    return 1e-4 * torch.exp(-square / (0.15 * box) ** 2)[None]


def _document(rule: str, batches: list[dict[str, object]], passes: list[dict[str, object]]) -> str:
    return f"""# What a GPU would take, modelled

Nothing here was measured on a GPU. `benchmarks/gpu_model.py` runs the hot loops on a pretended card and counts; a time
is {rule}, all launches one after the other. Time for reading images from disk is not in it.

## A batch of each loop (20 images of 32 px, with what is done once a pass)

{_markdown(batches)}

Before batches were made to wait less, in plain torch, and without what is done once a pass: launches, waits and copies
of a search step 582, 10, 32; of grid scores 402, 13, 24; of refined poses 934, 32, 49; of a reconstruction 261, 2, 18.
After: 511, 7, 8; 360, 8, 8; 782, 15, 9; 224, 1, 2. With kernels in Triton there are 291, 262, 344 and 102 launches.

## A pass of refinement at full radius

Candidates as a pass has them at worst: 8 cells an image, no poses told apart, so that 12 go on from each level (96 are
scored) and up to 20 are inserted. "waits" are times that the CPU waits for the card, {WAIT * 1e6:g} us each; they are
not in the time of the pass.

{_markdown(passes)}

Before, with batches of 64 images and plain torch, the same sum gave 3.5 minutes and 40 to 50 minutes.
"""


def _markdown(rows: list[dict[str, object]]) -> str:
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([_told(value) for value in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _told(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


if __name__ == "__main__":
    cyclopts.run(main)

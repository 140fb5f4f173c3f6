"""Refinement of a crowded field of known poses: simulated particles with neighbours in their boxes.

    python benchmarks/crowded_field.py --map apoferritin.mrc --symmetry O --ctf-from particles.star --neighbours 2

Every image holds its particle at the middle and neighbours at the distances given, all of one defocus, under white
noise; the CTFs are those of a real set. The refinement starts from the map low-passed at 30 A. The rows say how far
half-maps agree, beside those from the true poses; a note, how far poses are from the truth (the nearest symmetry copy).
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import cyclopts
import mrcfile
import pandas as pd
import starfile
import torch

from cryorbit.core.data import CTFParams, Poses
from cryorbit.geometry.rotations import matrix_to_euler
from cryorbit.io.particles import read_particles
from cryorbit.simulate.particles import Truth, clean_images, draw_poses
from cryorbit.simulate.projection import PreparedMap, prepare_map
from half_maps import read_map, structure_fsc
from jobs import Record, told_cost
from measure import CRYORBIT, run_measured
from tables import save, show

RESOLUTIONS_A = [20.0, 14.0, 12.0, 10.0, 9.2, 8.6, 8.0, 7.5]
BATCH = 200


def main(
    *,
    map: Path,  # noqa: A002 (the option's name)
    ctf_from: Path,
    symmetry: str = "C1",
    count: int = 2000,
    neighbours: int = 2,
    distance: tuple[float, float] = (77.0, 118.0),
    snr: float = 0.05,
    radius: float = 70.0,
    threads: int = 2,
    seed: int = 1,
    folder: Path | None = None,
    output: Path | None = None,
) -> None:
    """Simulate, refine, and compare with the truth.

    Parameters
    ----------
    map
        The particle, on the grid of the images, with its symmetry.
    ctf_from
        Particles whose CTFs and micrographs are taken.
    symmetry
        Point group.
    count
        Images.
    neighbours
        Other particles in each box.
    distance
        Nearest and farthest of them, A.
    snr
        Signal-to-noise ratio of the middle particle.
    radius
        Within which half-maps are compared, A.
    threads
        Of the refinement.
    seed
        Of the poses and the noise.
    folder
        Where the jobs are kept; a temporary one if not given.
    output
        Where the numbers are written.
    """
    with tempfile.TemporaryDirectory() as temporary:
        scratch = (folder or Path(temporary)).absolute()
        make_set(map, ctf_from, scratch, (count, neighbours, distance, snr, seed))
        group = ("--symmetry", symmetry, "--threads", str(threads))
        known = ("reconstruct", scratch / "truth.star", *group, "-o", scratch / "known")
        refined = ("refine", scratch / "particles.star", "--map", scratch / "start.mrc", *group)
        rows = [
            row("true poses", known, scratch / "known", radius),
            row("refined", (*refined, "-o", scratch / "refined"), scratch / "refined", radius),
        ]
        compared = ("evaluate", scratch / "refined", "--truth-map", scratch / "start.mrc")
        truth = ("--truth-poses", scratch / "truth.star", "--symmetry", symmetry)
        run_measured([*CRYORBIT, *compared, *truth], scratch / "evaluated.log")
        notes = [f"{count} images, {neighbours} neighbours", (scratch / "evaluated.log").read_text()]
        show("A crowded field: half-maps without their spherical average, FSC", rows, notes)
        save(output, "crowded_field", {"notes": notes, "rows": rows})


def make_set(path: Path, ctf_from: Path, scratch: Path, plan: tuple[int, int, tuple[float, float], float, int]) -> None:
    """Write images, a table without poses, and one with them."""
    count, neighbours, (nearest, farthest), snr, seed = plan
    generator = torch.Generator().manual_seed(seed)
    volume, pixel_size = read_map(path)
    scratch.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, scratch / "start.mrc")
    real = read_particles(ctf_from)
    chosen = torch.randperm(len(real), generator=generator)[:count].sort().values
    ctf = real.ctf[chosen]
    prepared = prepare_map(torch.from_numpy(volume))
    poses = draw_poses(count, 1.5, generator)
    images = drawn(prepared, poses, ctf, pixel_size)
    signal = float(images.var((1, 2)).mean())
    for _ in range(neighbours):
        angle = 2 * torch.pi * torch.rand(count, generator=generator, dtype=torch.float64)
        length = nearest + (farthest - nearest) * torch.rand(count, generator=generator, dtype=torch.float64)
        places = length[:, None] / pixel_size * torch.stack([angle.cos(), angle.sin()], 1)
        others = Poses(draw_poses(count, 0, generator).rotations, places)
        images += drawn(prepared, others, ctf, pixel_size)
    noise = torch.randn(images.shape, generator=generator) * (signal / snr) ** 0.5
    with mrcfile.new(scratch / "particles.mrcs", overwrite=True) as file:
        file.set_data((images + noise).numpy())
        file.set_image_stack()
        file.voxel_size = pixel_size
    write_tables(ctf_from, chosen, poses, pixel_size, scratch)


def drawn(prepared: PreparedMap, poses: Poses, ctf: CTFParams, pixel_size: float) -> torch.Tensor:
    """Clean images, a batch at a time."""
    zeros = torch.zeros(len(ctf), dtype=torch.long)
    truth = Truth(poses, ctf, zeros, zeros)
    parts = torch.arange(len(ctf)).split(BATCH)
    return torch.cat([clean_images([prepared], truth[part], pixel_size) for part in parts])


def write_tables(ctf_from: Path, chosen: torch.Tensor, poses: Poses, pixel_size: float, scratch: Path) -> None:
    """``particles.star`` without poses, ``truth.star`` with them."""
    blocks = starfile.read(ctf_from, always_dict=True)
    table: pd.DataFrame = blocks["particles"].iloc[chosen.numpy()].reset_index(drop=True)
    table["rlnImageName"] = [f"{number + 1:06d}@particles.mrcs" for number in range(len(table))]
    starfile.write({**blocks, "particles": table}, scratch / "particles.star", overwrite=True)
    euler = matrix_to_euler(poses.rotations)
    for column, values in zip(("Rot", "Tilt", "Psi"), euler.T.numpy(), strict=True):
        table[f"rlnAngle{column}"] = values
    for column, values in zip("XY", (poses.shifts * pixel_size).T.numpy(), strict=True):
        table[f"rlnOrigin{column}Angst"] = values
    starfile.write({**blocks, "particles": table}, scratch / "truth.star", overwrite=True)


def row(name: str, words: tuple[str | Path, ...], job: Path, radius: float) -> Record:
    """Cost of a command and what its half-maps say."""
    cost = run_measured([*CRYORBIT, *words], job.with_suffix(".log"))
    halves = [job / f"map_half{half}_unfil.mrc" for half in (1, 2)]
    fsc = structure_fsc(*halves, RESOLUTIONS_A, radius)
    return {
        "poses": name,
        **told_cost(cost),
        **{f"{r:g} A": round(f, 2) for r, f in zip(RESOLUTIONS_A, fsc, strict=True)},
    }


if __name__ == "__main__":
    cyclopts.run(main)

"""Low-dimensional cryo-EM of Paul (2024), section 4.5.2: figures 4.4 to 4.6, table 4.3.

Six Gaussians in the spherical Bessel basis (degree 3, four radial functions, 64 real coefficients) are seen in 3,600
images of 15 x 15 pixels at a signal-to-noise ratio of 0.34, in poses uniform on SO(3). Poses are summed over the
product of a spherical design of 100 points and 12 angles. Every method starts from the same random coefficients, of the
truth's norm, and stops when the negative log-likelihood of two consecutive epochs differs by less than 1e-14. The
Gaussians of the thesis are not published: here they are drawn once, for all seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.geometry.so3_quadrature import RotationRule, product_rule
from cryorbit.geometry.sphere_quadrature import spherical_design
from cryorbit.io.mrc import write_map
from cryorbit.optim.minimise import Stop, Trace, minimise
from cryorbit.studies.bench import Bench
from cryorbit.studies.figures import save_png
from cryorbit.studies.paul2024.bessel.images import BesselImages, draw_bessel_images, random_gaussians
from cryorbit.studies.paul2024.bessel.oracle import BesselOracle
from cryorbit.studies.paul2024.bessel.plane_coordinates import coordinates_to_images, odd_plane
from cryorbit.studies.paul2024.bessel.slices import BesselSlices
from cryorbit.studies.paul2024.ch4.config import Chapter4Config, CryoEMSettings
from cryorbit.studies.paul2024.ch4.contenders import CRYO_CONTENDERS, Contender
from cryorbit.studies.paul2024.ch4.figures import draw_convergence, draw_images
from cryorbit.studies.paul2024.ch4.runs import Problem, Run
from cryorbit.studies.paul2024.ch4.summary import least_values, list_runs, seeds_of, summarise
from cryorbit.studies.tables import Table, write_table
from cryorbit.volumes.bessel_voxels import from_voxels, to_voxels
from cryorbit.volumes.spherical_bessel import SphericalBessel

SIDE = 15
BASIS = SphericalBessel(cutoff=SIDE / 2, counts=(4, 4, 4, 4))
BOX, SPREAD, WIDTH, GAUSSIANS, VOLUME_SEED = 32, 3.5, 2.0, 6, 1
"""Voxels of the box that the Gaussians are drawn in, their spread and width there, their number and seed."""


def run(config: Chapter4Config, bench: Bench) -> None:
    """Run every method on every seed, and write tables and figures; ``Stopped`` if the job was asked to stop."""
    settings, seeds = config.cryoem, config.seeds_of(config.cryoem.seeds)
    bench.start(len(CRYO_CONTENDERS) * len(seeds), "low-dimensional cryo-EM")
    rule = product_rule(spherical_design(settings.design, settings.degree), settings.in_plane)
    problem, runs = Problem("cryo-EM", settings, bench), list[Run]()
    write = partial(write_results, runs, bench.folder, settings)
    for seed in seeds:
        for contender in CRYO_CONTENDERS:
            runs.append(problem.run_once(contender, seed, partial(solve, contender, seed, settings, rule)))
            bench.show(write)
    bench.publish(write())


def solve(contender: Contender, seed: int, settings: CryoEMSettings, rule: RotationRule) -> Trace:
    """Run one method on the data of one seed."""
    drawn, start = make_data(seed, settings)
    slices = BesselSlices.of(BASIS, odd_plane(SIDE), rule.rotations)
    oracle = BesselOracle.of(drawn.data, slices, drawn.sigma, rule.weights)
    stop = Stop(settings.tolerance, settings.passes)
    return minimise(oracle, contender.method, start, stop, torch.Generator().manual_seed(seed))


def make_volume() -> Float[Tensor, " d"]:
    """Coefficients of the six Gaussians."""
    generator = torch.Generator().manual_seed(VOLUME_SEED)
    return from_voxels(BASIS, random_gaussians(GAUSSIANS, SPREAD, WIDTH, BOX, generator))


def make_data(seed: int, settings: CryoEMSettings) -> tuple[BesselImages, Float[Tensor, " d"]]:
    """The images of one seed, and the start."""
    generator, volume = torch.Generator().manual_seed(seed), make_volume()
    drawn = draw_bessel_images(BASIS, volume, odd_plane(SIDE), settings.images, settings.snr, generator)
    start = torch.randn(BASIS.size, generator=generator, dtype=torch.float64)
    return drawn, start * (volume.norm() / start.norm())


def write_results(runs: Sequence[Run], output: Path, settings: CryoEMSettings) -> list[Path]:
    """Write tables of the runs so far, figures of those of the first seed, and the volume as a map."""
    least, first, seeds = least_values(runs), runs[0].seed, seeds_of(runs)
    title, notes = "Paul 2024, table 4.3", _notes(least, settings)
    files = write_table(output / "runs_cryoem", Table("All runs on cryo-EM", list_runs(runs, least), seeds))
    files += write_table(output / "table_cryoem", Table(title, summarise(runs, least), seeds, notes))
    volume, (drawn, _) = to_voxels(BASIS, make_volume(), BOX), make_data(first, settings)
    write_map(output / "volume_4_4.mrc", volume.float(), 1.0)
    views = {f"along {axis}": volume.sum(dim) for dim, axis in enumerate("zyx")}
    seen = {"clean": drawn.clean[0], "noisy": drawn.data[0]}
    images = {name: coordinates_to_images(each, SIDE) for name, each in seen.items()}
    curves = [each for each in runs if each.seed == first]
    files += [
        output / "volume_4_4.mrc",
        save_png(draw_images(views), output / "figure_4_4.png", [VOLUME_SEED]),
        save_png(draw_images(images), output / "figure_4_5.png", [first]),
        save_png(draw_convergence(curves, least[first]), output / "figure_4_6.png", [first]),
    ]
    return files


def _notes(least: dict[int, float], settings: CryoEMSettings) -> list[str]:
    values = ", ".join(f"{value:.6f}" for value in least.values())
    return [
        f"Median (range) of {len(least)} seeds, each with its own images and start; no setting depends on the seed.",
        f"passes: cost-weighted epochs of {settings.images:,} images; + for more than {settings.passes:,.0f}.",
        "seconds: of the clock, including the evaluation of the objective at every epoch.",
        f"elsewhere: converged, but not to the least objective that any method found ({values}).",
        "gap: median distance to that least objective where a method converged.",
        "safeguard: median number of its interventions (pairs, directions, step lengths, epochs); empty without one.",
        "As printed: secant, restarts and scales of the thesis, no safeguard; its step lengths are not published.",
    ]

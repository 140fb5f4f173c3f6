"""Look at a particle set: files, optics, and the pixels of a sample; nothing is refused that can be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from cryorbit.core.bounds import LAST_SEED, MOST
from cryorbit.core.data import CTFParams
from cryorbit.core.errors import InputError
from cryorbit.core.memory import free_bytes
from cryorbit.core.verdict import sentence_of
from cryorbit.imaging.ctf_gaps import ctf_gaps
from cryorbit.imaging.unused_optics import unused_optics
from cryorbit.io.bounds import PHASE_UNITS_FIX, phase_units_problem
from cryorbit.io.checks import any_of, broken_pixels, duplicates, impossible_numbers, mistaken_images
from cryorbit.io.file_checks import check_file, header_remarks, images_of_files, missing_stacks
from cryorbit.io.grey_levels import GreyLevels
from cryorbit.io.grey_values import judge_grey_values
from cryorbit.io.image_stack import ImageStack
from cryorbit.io.image_statistics import ImageStatistics
from cryorbit.io.particles import Particles, read_particles
from cryorbit.io.pose_doubts import pose_doubts
from cryorbit.io.posed import pose_problem
from cryorbit.io.shifted_copies import described
from cryorbit.io.survey import survey
from cryorbit.io.table_remarks import table_remarks
from cryorbit.recipes.dataset import with_transfer
from cryorbit.recipes.half_sets import half_sets
from cryorbit.recipes.image_warnings import on_table
from cryorbit.recipes.inspect.findings import Defocus, FileFault, Inspection
from cryorbit.recipes.inspect.image_findings import ImageFindings
from cryorbit.recipes.inspect.images import look_at_images
from cryorbit.recipes.settings import TransferSettings

FAR = 6.0
"""Robust standard deviations beyond which a defocus or an astigmatism is far from the others'."""
KEPT = 0.25
"""Part of the free memory that images may take which are looked at again and again."""
MOST_OUTLIERS = 0.1
"""Part of the particles that outliers can be."""


class InspectConfig(TransferSettings):
    """Settings of an inspection."""

    particles: Path = Field(description="RELION STAR file or cryoSPARC .cs file.")
    data_dir: Path | None = Field(None, description="Folder that image paths are relative to. Default: detected.")
    passthrough: Path | None = Field(None, description="Passthrough file of a .cs file. Default: detected beside it.")
    subset: str | None = Field(
        None, description="Query on the columns; only particles that match it are used. Default: all particles."
    )
    sample: int = Field(2000, ge=1, le=MOST, description="Largest number of images that are read.")
    pictures: int = Field(12, ge=1, le=60, description="Number of images that are shown.")
    seed: int = Field(
        0, ge=0, le=LAST_SEED, description="Seed of all random choices; the same seed gives the same result."
    )


def run(config: InspectConfig) -> Inspection:
    """Inspect a particle set.

    Raises
    ------
    InputError
        The table cannot be read; what is wrong with image files or single particles is among the findings.
    """
    read = read_particles(
        config.particles,
        config.data_dir,
        config.passthrough,
        query=config.subset,
        premultiplied=config.premultiplied,
        ctf=config.ctf,
        unknown_box=True,
    )
    particles = with_transfer(read, config)
    files = _files(particles)
    measured = _measured(particles, torch.nonzero(files.readable)[:, 0], config)
    unusable = _unusable(particles, files, measured)
    images = None if measured is None else _look(particles, measured, unusable.passed_over, config)
    on_halves, half_problem = _half_sets(particles.subset(~unusable.lost), config.seed)
    rows = torch.from_numpy(particles.rows)
    return Inspection(
        source=particles.source,
        table=particles.table,
        optics=_optics_groups(particles),
        files=len(np.unique(particles.images.file_index)),
        box=particles.box,
        pixel_size=particles.pixel_size,
        premultiplied=particles.premultiplied,
        defocus=_defocus(particles.ctf),
        missing=files.missing,
        missing_particles=files.missing_particles,
        faults=files.faults,
        unusable={reason: rows[mask].tolist() for reason, mask in unusable.reasons.items() if mask.any()},
        unusable_count=int(unusable.lost.sum()),
        duplicate_count=int((unusable.lost & ~unusable.bad).sum()),
        unaligned=rows[~particles.aligned].tolist() if particles.poses is not None else [],
        pose_problem=pose_problem(particles),
        remarks=(*files.remarks, *on_halves, *_table_remarks(particles)),
        table_problems=(*half_problem, *_unit_problem(particles)),
        images=images,
        ctf_gaps=_gaps(particles),
    )


def _table_remarks(particles: Particles) -> Iterator[str]:
    """Sentences on what the table says, and on what it may mean."""
    yield from table_remarks(particles)
    yield from on_table(particles)
    yield from map(sentence_of, pose_doubts(particles))
    yield from unused_optics(particles).sentences()


@dataclass(frozen=True, slots=True)
class _Unusable:
    """Which particles cannot be used, by reasons; without their duplicates; and which images are not looked at."""

    reasons: dict[str, Bool[Tensor, " n"]]
    bad: Bool[Tensor, " n"]
    passed_over: Bool[Tensor, " n"]

    @property
    def lost(self) -> Bool[Tensor, " n"]:
        """The particles that a job would go without."""
        return self.bad | any_of(self.reasons)


def _unusable(particles: Particles, files: _Files, measured: _Measured | None) -> _Unusable:
    """What is wrong with particles, one by one."""
    broken = {} if measured is None else _broken(particles, measured)
    faulty = impossible_numbers(particles) | broken
    twice = duplicates(particles, any_of(faulty) | ~files.readable, None if measured is None else measured.parts)
    faulty |= mistaken_images(particles, twice)
    return _Unusable(faulty | twice, any_of(faulty) | ~files.readable, any_of(twice | broken))


def _half_sets(particles: Particles, seed: int) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """What is to be said of the half-sets, and what is wrong with them, with a fix."""
    if not len(particles):
        return (), []
    try:
        return half_sets(particles, seed).remarks, []
    except InputError as error:
        return (), [(error.problem, error.fix or "")]


def _unit_problem(particles: Particles) -> list[tuple[str, str]]:
    """What is wrong with the units of a column, with a fix."""
    problem = phase_units_problem(particles.ctf.phase_shift)
    return [] if problem is None else [(problem, PHASE_UNITS_FIX)]


@dataclass(frozen=True, slots=True)
class _Files:
    """What image files there are: the missing and the faulty ones, and which particles' files can be read."""

    missing: tuple[Path, ...]
    missing_particles: int
    faults: tuple[FileFault, ...]
    readable: Bool[Tensor, " n"]
    remarks: tuple[str, ...]


def _files(particles: Particles) -> _Files:
    """Look at every file: one header each."""
    stack = particles.images
    counts = np.bincount(stack.file_index, minlength=len(stack.files))
    missing = missing_stacks(stack)
    unfit, faults, headers = set(missing.tolist()), [], {}
    for number, images in images_of_files(stack).items():
        if number in unfit:
            continue
        try:
            headers[number] = check_file(particles, number, images)
        except InputError as error:
            unfit.add(number)
            faults.append(FileFault(stack.files[number], int(counts[number]), error.problem, error.fix))
    return _Files(
        missing=tuple(stack.files[number] for number in missing),
        missing_particles=int(counts[missing].sum()),
        faults=tuple(faults),
        readable=torch.from_numpy(~np.isin(stack.file_index, list(unfit))),
        remarks=tuple(header_remarks(particles, headers)),
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    """An even sample of the readable images, kept as far as memory goes, and what their pixels tell."""

    index: Int[Tensor, " m"]
    images: ImageStack
    statistics: ImageStatistics
    outliers: GreyLevels

    @property
    def parts(self) -> tuple[ImageStatistics, GreyLevels, Int[Tensor, " m"]]:
        """What the search for duplicates takes."""
        return self.statistics, self.outliers, self.index


def _measured(particles: Particles, readable: Int[Tensor, " r"], config: InspectConfig) -> _Measured | None:
    count = min(config.sample, len(readable))
    if count == 0:
        return None
    sample = readable[torch.linspace(0, len(readable) - 1, count).round().long()]
    images = particles.images.subset(sample.numpy()).keeping(int(KEPT * free_bytes(torch.device("cpu"))))
    return _Measured(sample, images, *survey(images, described(particles)))


def _broken(particles: Particles, measured: _Measured) -> dict[str, Bool[Tensor, " n"]]:
    """Masks of the particles whose images are broken, by reason."""
    broken = broken_pixels(measured.statistics)
    masks = {reason: torch.zeros(len(particles), dtype=torch.bool) for reason in broken}
    for reason, mask in broken.items():
        masks[reason][measured.index[mask]] = True
    return masks


def _look(
    particles: Particles, measured: _Measured, passed_over: Bool[Tensor, " n"], config: InspectConfig
) -> ImageFindings | None:
    """Findings of the images that were measured, but for those that are passed over."""
    good = torch.nonzero(~passed_over[measured.index])[:, 0]
    if len(good) == 0:
        return None
    statistics = measured.statistics[good]
    grey = judge_grey_values(statistics, measured.outliers[good], premultiplied=particles.premultiplied)
    chosen = replace(particles.subset(measured.index[good]), images=measured.images.subset(good.numpy()))
    told = config.premultiplied is not None
    return look_at_images(chosen, grey, config.pictures, config.seed, told_multiplied=told)


def _defocus(ctf: CTFParams) -> Defocus:
    mean = 0.5 * (ctf.defocus_u + ctf.defocus_v)
    astigmatism = (ctf.defocus_u - ctf.defocus_v).abs()
    far = _far(mean) | _far(astigmatism)
    # many that are far are micrographs of another defocus, not outliers
    return Defocus(mean, astigmatism, far & (far.double().mean() <= MOST_OUTLIERS))


def _gaps(particles: Particles) -> list[float]:
    """Gaps in the CTF of the particles that have one."""
    known = ~any_of(impossible_numbers(particles))
    if not known.any() or not particles.box or particles.ctf.is_absent:
        return []
    return ctf_gaps(particles.ctf[torch.nonzero(known)[:, 0]], particles.box, particles.pixel_size)


def _far(values: Float[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Mask of the values more than `FAR` robust standard deviations from the median, or not finite."""
    middle = values.nanmedian()
    spread = 1.4826 * (values - middle).abs().nanmedian()
    return ~((values - middle).abs() <= FAR * spread.clamp_min(1.0))


def _optics_groups(particles: Particles) -> pd.DataFrame:
    """The distinct settings of the microscope and how many particles each has."""
    ctf = particles.ctf
    table = pd.DataFrame(
        {
            "group": particles.table.get("rlnOpticsGroup", pd.Series(1, index=particles.table.index)).to_numpy(),
            "voltage_kV": ctf.voltage.numpy(),
            "cs_mm": ctf.spherical_aberration.numpy(),
            "amplitude_contrast": ctf.amplitude_contrast.numpy(),
        }
    )
    counted = table.groupby(list(table.columns), dropna=False, as_index=False).size()
    return counted.rename(columns={"size": "particles"})

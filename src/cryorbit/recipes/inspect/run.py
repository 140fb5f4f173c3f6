"""Look at a particle set: files, optics, and the pixels of a sample; nothing is refused that can be told."""

from __future__ import annotations

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
from cryorbit.imaging.ctf_gaps import ctf_gaps
from cryorbit.io.checks import check_file, ctf_faults, duplicates
from cryorbit.io.grey_values import broken_images, judge_grey_values
from cryorbit.io.image_statistics import survey
from cryorbit.io.particles import Particles, read_particles
from cryorbit.recipes.inspect.findings import Defocus, FileFault, ImageFindings, Inspection
from cryorbit.recipes.inspect.images import look_at_images
from cryorbit.recipes.settings import Settings

FAR = 6.0
"""Robust standard deviations beyond which a defocus or an astigmatism is far from the others'."""


class InspectConfig(Settings):
    """Settings of an inspection."""

    particles: Path = Field(description="RELION STAR file or cryoSPARC .cs file.")
    data_dir: Path | None = Field(None, description="Folder that image paths are relative to.")
    passthrough: Path | None = Field(None, description="Passthrough file of a .cs file. None: found beside it.")
    sample: int = Field(2000, ge=1, le=MOST, description="Images whose pixels are looked at, at most.")
    pictures: int = Field(12, ge=1, le=60, description="Images that are shown.")
    seed: int = Field(0, ge=0, le=LAST_SEED)


def run(config: InspectConfig) -> Inspection:
    """Inspect a particle set.

    Raises
    ------
    InputError
        The table cannot be read; what is wrong with image files or single particles is among the findings.
    """
    particles = read_particles(config.particles, config.data_dir, config.passthrough)
    faults, readable = _files(particles)
    reasons = {**ctf_faults(particles), "the same image as an earlier row": duplicates(particles)}
    images, pixel_reasons = _look(particles, torch.nonzero(readable)[:, 0], config)
    reasons |= pixel_reasons
    unusable = {reason: int(mask.sum()) for reason, mask in reasons.items() if mask.any()}
    bad = torch.stack(list(reasons.values())).any(0) | ~readable
    return Inspection(
        source=particles.source,
        table=particles.table,
        optics=_optics_groups(particles),
        files=len(np.unique(particles.images.file_index)),
        box=particles.box,
        pixel_size=particles.pixel_size,
        premultiplied=particles.premultiplied,
        defocus=_defocus(particles.ctf),
        faults=faults,
        unusable=unusable,
        unusable_count=int(bad.sum()),
        images=images,
        ctf_gaps=_gaps(particles),
    )


def _files(particles: Particles) -> tuple[tuple[FileFault, ...], Bool[Tensor, " n"]]:
    """Files that cannot be used, and the mask of the particles whose files can."""
    faults = []
    readable = np.ones(len(particles), dtype=bool)
    for number in np.unique(particles.images.file_index):
        try:
            check_file(particles, int(number))
        except InputError as error:
            inside = particles.images.file_index == number
            readable &= ~inside
            faults.append(FileFault(particles.images.files[number], int(inside.sum()), error.problem))
    return tuple(faults), torch.from_numpy(readable)


def _look(
    particles: Particles, readable: Int[Tensor, " r"], config: InspectConfig
) -> tuple[ImageFindings | None, dict[str, Bool[Tensor, " n"]]]:
    """Findings of an even sample of the readable images, and masks of those that are broken, by reason."""
    count = min(config.sample, len(readable))
    if count == 0:
        return None, {}
    sample = readable[torch.linspace(0, len(readable) - 1, count).round().long()]
    statistics, outliers = survey(particles.images.subset(sample.numpy()))
    broken = broken_images(statistics)
    masks = {reason: torch.zeros(len(particles), dtype=torch.bool) for reason in broken}
    for reason, mask in broken.items():
        masks[reason][sample[mask]] = True
    good = torch.nonzero(~torch.stack(list(broken.values())).any(0))[:, 0]
    if len(good) == 0:
        return None, masks
    grey = judge_grey_values(statistics[good], outliers[good], premultiplied=particles.premultiplied)
    chosen = particles.subset(sample[good])
    return look_at_images(chosen, statistics[good], grey, config.pictures, config.seed), masks


def _defocus(ctf: CTFParams) -> Defocus:
    mean = 0.5 * (ctf.defocus_u + ctf.defocus_v)
    astigmatism = (ctf.defocus_u - ctf.defocus_v).abs()
    return Defocus(mean, astigmatism, _far(mean) | _far(astigmatism))


def _gaps(particles: Particles) -> list[float]:
    """Gaps in the CTF of the particles that have one."""
    known = ~torch.stack(list(ctf_faults(particles).values())).any(0)
    if not known.any():
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

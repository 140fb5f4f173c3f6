"""Is this particle set fit for reconstruction? Asked before the first iteration.

What concerns the whole set is an error: files that are missing, of another size or cut short. What concerns single
particles sets them aside with the reason: unusable CTF parameters, images that are not finite or constant, duplicates.
Images with outlying pixels or grey values of another kind are repaired where they are read, and listed.

Every image is looked at, wherever it stands: a bad one among a million spoils a map. That costs one reading of the
stacks, less than any of the work that follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.io.grey_values import GreyValues, broken_images, judge_grey_values
from cryorbit.io.image_paths import is_file
from cryorbit.io.image_statistics import survey
from cryorbit.io.mrc import MrcHeader, read_header
from cryorbit.io.particles import Particles

DEFOCUS_A = (50.0, 100_000.0)
"""Limits of defocus; the lower one tells micrometres given for A."""
MAX_ASTIGMATISM_A = 20_000.0
VOLTAGE_KV = (20.0, 2000.0)
FEWEST = 50
"""Particles that a reconstruction needs at least."""
NAMED = 3
"""Particles that a sentence names; the files have them all."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The verdict on a particle set of N particles.

    Attributes
    ----------
    keep
        Indices of the particles to use.
    set_aside
        The others: ``row`` in the file (from 1), ``image`` and ``reason``.
    repaired
        Particles that are used, but not as they are stored: the same columns.
    grey
        The grey values of the particles to use.
    """

    keep: Int[Tensor, " k"]
    set_aside: pd.DataFrame
    repaired: pd.DataFrame
    grey: GreyValues

    @property
    def notes(self) -> list[str]:
        """What the user is told about the images, a sentence each."""
        notes = [self.grey.contrast, self.grey.normalisation]
        if len(self.repaired):
            notes.append(_named("repaired (all in repaired.star)", self.repaired))
        if len(self.set_aside):
            notes.append(_named("set aside (all in set_aside.star)", self.set_aside))
        return notes


def check_particles(particles: Particles, max_bad_fraction: float = 0.1) -> CheckReport:
    """Check files, CTF parameters and the pixels of all images of a particle set.

    Parameters
    ----------
    particles
        The set.
    max_bad_fraction
        Fraction of particles that may be set aside.

    Raises
    ------
    InputError
        A file is missing, cut short or does not fit the table, or too many particles would be set aside.
    """
    check_files(particles)
    statistics, outliers = survey(particles.images)
    twice = {"a duplicate of an earlier row": duplicates(particles)}
    reasons = ctf_faults(particles) | broken_images(statistics) | twice
    bad = torch.stack(list(reasons.values())).any(dim=0)
    aside = {int(index): "; ".join(_reasons_of(int(index), reasons)) for index in torch.nonzero(bad)[:, 0]}
    set_aside = _listed(particles, aside)
    _refuse_too_many(particles, set_aside, max_bad_fraction)
    keep = torch.nonzero(~bad)[:, 0]
    grey = judge_grey_values(statistics[keep], outliers[keep], premultiplied=particles.premultiplied)
    return CheckReport(
        keep=keep,
        set_aside=set_aside,
        repaired=_listed(particles, {int(keep[index]): repair for index, repair in grey.repairs.items()}),
        grey=grey,
    )


def check_files(particles: Particles) -> None:
    """Raise `InputError` unless every stack is there, whole, and fits the table."""
    stack = particles.images
    used = np.unique(stack.file_index)
    missing = [stack.files[number] for number in used if not is_file(stack.files[number])]
    if missing:
        row = int(np.argmax(stack.file_index == stack.files.index(missing[0])))
        raise InputError(
            f"{missing[0]} is not there ({len(missing)} of {len(used)} image files are missing)",
            file=particles.source,
            row=int(particles.rows[row]),
            mend="give the folder that the names are relative to, or that holds the files, with --data-dir",
        )
    for number in used:
        check_file(particles, int(number))


def check_file(particles: Particles, number: int) -> None:
    """Raise `InputError` unless file ``number`` of the stack is there, whole, and fits the table."""
    stack = particles.images
    path = stack.files[number]
    header = read_header(path)
    stack.check_header(path, header, stack.section[stack.file_index == number])
    _check_length(path, header)
    _check_pixel_size(path, header, particles.pixel_size)


def _check_length(path: Path, header: MrcHeader) -> None:
    size = path.stat().st_size
    if size < header.file_bytes:
        raise InputError(
            f"the stack is cut short: {size} bytes where its header promises {header.file_bytes}",
            file=path,
            mend="copy the stack again, or extract the particles again",
        )


def _check_pixel_size(path: Path, header: MrcHeader, pixel_size: float) -> None:
    stated = header.pixel_size[0]
    # 0 and 1 are what programs write that do not know
    if stated not in (0.0, 1.0) and abs(stated - pixel_size) > 0.01 * pixel_size:
        raise InputError(
            f"the header says {stated:.4g} A a pixel, the table {pixel_size:.4g} A",
            file=path,
            mend="correct the one that is wrong (rlnImagePixelSize, or cell size in the header)",
        )


def ctf_faults(particles: Particles) -> dict[str, Bool[Tensor, " n"]]:
    """Masks of the particles whose CTF parameters cannot be, by reason; NaN fails every comparison."""
    ctf = particles.ctf
    defocus = torch.stack([ctf.defocus_u, ctf.defocus_v])
    others = torch.stack([ctf.defocus_angle, ctf.phase_shift, ctf.b_factor, ctf.scale])
    low, high = VOLTAGE_KV
    nearest, farthest = DEFOCUS_A
    legal = {
        f"a defocus outside {nearest:.0f} to {farthest:.0f} A": ((defocus >= nearest) & (defocus <= farthest)).all(0),
        f"astigmatism over {MAX_ASTIGMATISM_A:.0f} A": ~((defocus[0] - defocus[1]).abs() > MAX_ASTIGMATISM_A),
        f"a voltage outside {low:.0f} to {high:.0f} kV": (ctf.voltage >= low) & (ctf.voltage <= high),
        "an amplitude contrast outside 0 to 1": (ctf.amplitude_contrast >= 0) & (ctf.amplitude_contrast <= 1),
        "a negative spherical aberration": ctf.spherical_aberration >= 0,
        "CTF parameters that are not finite": torch.isfinite(others).all(0),
    }
    # images without a CTF have parameters that no microscope has
    return {reason: ~mask & (not ctf.is_absent) for reason, mask in legal.items()}


def duplicates(particles: Particles) -> Bool[Tensor, " n"]:
    """Mask of the particles whose image an earlier row has."""
    places = pd.DataFrame({"file": particles.images.file_index, "section": particles.images.section})
    return torch.from_numpy(places.duplicated().to_numpy(copy=True))


def _listed(particles: Particles, reasons: dict[int, str]) -> pd.DataFrame:
    """The particles at the indices, with the reasons."""
    where = np.array(list(reasons), dtype=np.int64)
    return pd.DataFrame(
        {
            "row": particles.rows[where],
            "image": particles.table["rlnImageName"].iloc[where].to_numpy(),
            "reason": list(reasons.values()),
        }
    )


def _named(what: str, listed: pd.DataFrame) -> str:
    """A sentence that counts the listed particles and names the first."""
    count = "1 image is" if len(listed) == 1 else f"{len(listed):,} images are"
    first = "; ".join(f"row {each.row} ({each.image}), {each.reason}" for each in listed[:NAMED].itertuples())
    more = f"; and {len(listed) - NAMED:,} more" if len(listed) > NAMED else ""
    return f"{count} {what}: {first}{more}."


def _reasons_of(index: int, reasons: dict[str, Bool[Tensor, " n"]]) -> Iterator[str]:
    return (reason for reason, mask in reasons.items() if mask[index])


def _refuse_too_many(particles: Particles, set_aside: pd.DataFrame, max_bad_fraction: float) -> None:
    if len(set_aside) <= max_bad_fraction * len(particles) and len(set_aside) < len(particles):
        return
    first = set_aside.iloc[0]
    raise InputError(
        f"{len(set_aside)} of {len(particles)} particles are unusable; this one has {first['reason']}",
        file=particles.source,
        row=int(first["row"]),
        mend=f"correct the table or extract again; at most {100 * max_bad_fraction:g} % can be set aside",
    )

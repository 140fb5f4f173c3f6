"""Is this particle set fit for reconstruction? Asked before the first iteration.

What concerns the whole set is an error: files that are missing, of another size or cut short, phase shifts in another
unit. What concerns single particles sets them aside with the reason: values that cannot be, images that are not finite
or constant, duplicates. Duplicates are not a sign of a bad table: any number of them may be set aside. Images with
outlying pixels or grey values of another kind are repaired where they are read, and listed.

Every image is looked at, wherever it stands: a bad one among a million spoils a map. That costs one reading of the
stacks, less than any of the work that follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.execution.group import SINGLE_PROCESS, Group
from cryorbit.io.bounds import PHASE_UNITS_FIX, SPREAD, impossible_values, phase_units_problem
from cryorbit.io.column_names import in_words, in_words_of
from cryorbit.io.duplicates import same_field, same_images, same_places, shared_images
from cryorbit.io.file_checks import check_files
from cryorbit.io.grey_levels import GreyLevels
from cryorbit.io.grey_values import GreyValues, broken_images, judge_grey_values
from cryorbit.io.image_statistics import ImageStatistics
from cryorbit.io.particles import Particles
from cryorbit.io.same_pixels import same_pixels
from cryorbit.io.shifted_copies import described
from cryorbit.io.survey import survey
from cryorbit.io.table_remarks import table_remarks

FEWEST = 50
"""Particles that a reconstruction needs at least."""
NAMED = 3
"""Particles that a sentence names; the files have them all."""
SHARED_IMAGE = "an image that rows of other particles have too (rlnImageName)"
SAME_IMAGE, SAME_PLACE = "a duplicate of an earlier row", "the place of an earlier row on the micrograph"
SAME_PIXELS = "the pixels of an earlier row, under another name"
SAME_FIELD = "the pixels of an earlier row, moved by a few"
_SHARED_FIX = "correct the numbers before the @ in rlnImageName: the images of a stack are those of one particle each"


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
    remarks
        Sentences on files that say another thing than the table, and on the table itself.
    """

    keep: Int[Tensor, " k"]
    set_aside: pd.DataFrame
    repaired: pd.DataFrame
    grey: GreyValues
    remarks: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """What the user is told about the images, a sentence each."""
        notes = [self.grey.contrast, self.grey.normalisation, *self.remarks]
        if len(self.repaired):
            notes.append(_named("repaired (all in repaired.star)", self.repaired))
        if len(self.set_aside):
            notes.append(_named("set aside (all in set_aside.star)", self.set_aside))
        return notes


def check_particles(
    particles: Particles,
    max_bad_fraction: float = 0.1,
    *,
    keep_same_places: bool = False,
    group: Group = SINGLE_PROCESS,
) -> CheckReport:
    """Check files, values and the pixels of all images of a particle set.

    Parameters
    ----------
    particles
        The set.
    max_bad_fraction
        Fraction of particles that may be set aside, duplicates not counted.
    keep_same_places
        Whether particles at the place of another one are kept, whatever their poses.
    group
        The processes that read a share of the images each.

    Raises
    ------
    InputError
        A file is missing, cut short or does not fit the table, phase shifts are not in degrees, or too many particles
        would be set aside.
    """
    # tables and headers first: to read all images takes the longest
    _refuse_phase_units(particles)
    remarks = [*check_files(particles), *table_remarks(particles)]
    statistics, outliers = survey(particles.images, described(particles), group)
    faults = impossible_numbers(particles) | broken_pixels(statistics)
    twice = duplicates(particles, any_of(faults), (statistics, outliers, torch.arange(len(particles))))
    if keep_same_places:
        twice |= dict.fromkeys((SAME_PLACE, SAME_FIELD), torch.zeros(len(particles), dtype=torch.bool))
    faults |= mistaken_images(particles, twice)
    reasons = faults | twice
    bad = any_of(reasons)
    aside = {int(index): "; ".join(_reasons_of(int(index), reasons)) for index in torch.nonzero(bad)[:, 0]}
    set_aside = _listed(particles, aside)
    _refuse_too_many(particles, faults, set_aside, max_bad_fraction)
    keep = torch.nonzero(~bad)[:, 0]
    grey = judge_grey_values(statistics[keep], outliers[keep], premultiplied=particles.premultiplied)
    return CheckReport(
        keep=keep,
        set_aside=set_aside,
        repaired=_listed(particles, {int(keep[index]): repair for index, repair in grey.repairs.items()}),
        grey=grey,
        remarks=tuple(remarks),
    )


def impossible_numbers(particles: Particles) -> dict[str, Bool[Tensor, " n"]]:
    """Masks of the particles whose CTF parameters or shifts cannot be, by reason."""
    impossible = impossible_values(particles.ctf, particles.poses, particles.pixel_size, particles.box)
    return {bound.reason: mask for bound, mask in impossible.items()}


def broken_pixels(statistics: ImageStatistics) -> dict[str, Bool[Tensor, " n"]]:
    """Masks of the images that nothing can be done for, by reason."""
    broken = broken_images(statistics)
    known = any_of(broken)
    return broken | {SPREAD.reason: SPREAD.broken(statistics.spread) & ~known}


def any_of(reasons: Mapping[str, Bool[Tensor, " n"]]) -> Bool[Tensor, " n"]:
    """Mask of the particles that one reason or more applies to."""
    return torch.stack(list(reasons.values())).any(0)


def duplicates(
    particles: Particles,
    unfit: Bool[Tensor, " n"],
    measured: tuple[ImageStatistics, GreyLevels, Int[Tensor, " m"]] | None,
) -> dict[str, Bool[Tensor, " n"]]:
    """Masks of the particles that an earlier row is, by reason.

    Parameters
    ----------
    particles, unfit
        The set, and mask of those that take no place.
    measured
        Statistics and levels of the images that were measured, and where these are in the set.
    """
    twice = same_images(particles)
    copied = moved = torch.zeros_like(twice)
    if measured is not None:
        statistics, levels, index = measured
        copied = same_pixels(particles, statistics, index) & ~twice
        moved = same_field(particles, statistics.moduli, levels, index, twice | copied | unfit)
    placed = same_places(particles, twice | copied | unfit)
    return {SAME_IMAGE: twice, SAME_PIXELS: copied, SAME_PLACE: placed, SAME_FIELD: moved}


def mistaken_images(particles: Particles, twice: Mapping[str, Bool[Tensor, " n"]]) -> dict[str, Bool[Tensor, " n"]]:
    """Masks of the particles that the table gives the image of others, by reason; ``twice`` is of `duplicates`."""
    return {SHARED_IMAGE: shared_images(particles, twice[SAME_IMAGE])}


def _listed(particles: Particles, reasons: dict[int, str]) -> pd.DataFrame:
    """The particles at the indices, with the reasons."""
    where = np.array(list(reasons), dtype=np.int64)
    return pd.DataFrame(
        {
            "row": particles.rows[where],
            "image": particles.table["rlnImageName"].iloc[where].to_numpy(),
            "reason": [in_words(reason, particles.source) for reason in reasons.values()],
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


def _refuse_too_many(
    particles: Particles, faults: dict[str, Bool[Tensor, " n"]], set_aside: pd.DataFrame, max_bad_fraction: float
) -> None:
    faulty = any_of(faults)
    count = int(faulty.sum())
    if count <= max_bad_fraction * len(particles) and len(set_aside) < len(particles):
        return
    row = int(particles.rows[int(faulty.int().argmax())])
    reason = str(set_aside.loc[set_aside["row"] == row, "reason"].iloc[0])
    fix = in_words(_fix(particles, reason), particles.source)
    raise InputError(
        f"{count} of {len(particles)} particles are unusable; this one has {reason}",
        file=particles.source,
        row=row,
        fix=f"{fix}; at most {100 * max_bad_fraction:g} % can be set aside",
    )


def _fix(particles: Particles, reason: str) -> str:
    """What the user can do about the first of the reasons."""
    bounds = (*impossible_values(particles.ctf, particles.poses, particles.pixel_size, particles.box), SPREAD)
    fixes = {bound.reason: bound.fix for bound in bounds} | {SHARED_IMAGE: _SHARED_FIX}
    fixes = {in_words(reason, particles.source): fix for reason, fix in fixes.items()}
    return fixes.get(reason.split("; ")[0], "correct the table or extract again")


def _refuse_phase_units(particles: Particles) -> None:
    problem = phase_units_problem(particles.ctf.phase_shift)
    if problem is not None:
        with in_words_of(particles.source):
            raise InputError(problem, file=particles.source, fix=PHASE_UNITS_FIX)

"""What an inspection finds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cryorbit.io.checks import FEWEST
from cryorbit.io.column_names import in_words
from cryorbit.io.image_paths import mend_for_missing
from cryorbit.recipes.image_warnings import on_ctf_gaps

UNFIT_FRACTION = 0.1
"""Part of the particles that may be unusable; reconstruction sets them aside up to there by default."""

LISTED = 3
"""Faulty files, and images to repair, that are named one by one."""


@dataclass(frozen=True, slots=True)
class FileFault:
    """An image file that cannot be used.

    Attributes
    ----------
    file
        The file.
    particles
        How many particles are in it.
    problem
        What is wrong.
    mend
        What the user can do about it.
    """

    file: Path
    particles: int
    problem: str
    mend: str | None = None

    @property
    def sentence(self) -> str:
        """What the user is told."""
        fix = f" Fix: {self.mend}." if self.mend else ""
        return f"{self.file}: {self.problem} ({_counted(self.particles)}).{fix}"


@dataclass(frozen=True, slots=True)
class Defocus:
    """Defocus of N particles.

    Attributes
    ----------
    mean
        Of the two axes, A.
    astigmatism
        Difference of the two axes, A.
    outliers
        Particles whose defocus or astigmatism is far from that of the others.
    """

    mean: Float[Tensor, " n"]
    astigmatism: Float[Tensor, " n"]
    outliers: Bool[Tensor, " n"]


@dataclass(frozen=True, slots=True)
class ImageFindings:
    """What the pixels of M images of the set tell.

    Attributes
    ----------
    rows
        Row of each image in the file, from 1.
    contrast
        Centre minus background of each image, standard deviations of the image.
    dark
        Whether protein is dark.
    contrast_sentence, normalisation_sentence
        The evidence.
    normalised
        Whether backgrounds have mean 0 and standard deviation 1.
    masked
        Whether the images hold no noise outside the particle.
    repairs
        What single images have that others have not, and what a job does about it, by their rows.
    contradiction
        What the images say against the table so that a job would refuse them, and how to fix it; None for nothing.
    doubts
        What else they say against a reconstruction, a sentence each.
    diameter
        Of the particle, A; None when it does not stand out of the noise.
    diameter_evidence
        How it was found: the end of a sentence.
    power, noise
        Mean power of shells 0 ... box / 2 of the images, and of their background alone.
    snr
        Variance of the signal over that of the noise, in the whole image.
    pictures, smoothed
        A few images as they are, white protein, and low-passed to ``low_pass`` A.
    picture_rows
        Their rows.
    low_pass
        A.
    """

    rows: Int[Tensor, " m"]
    contrast: Float[Tensor, " m"]
    dark: bool
    contrast_sentence: str
    normalised: bool
    masked: bool
    normalisation_sentence: str
    repairs: dict[int, str]
    contradiction: tuple[str, str] | None
    doubts: tuple[str, ...]
    diameter: float | None
    diameter_evidence: str
    power: Float[Tensor, " s"]
    noise: Float[Tensor, " s"]
    snr: float
    pictures: Float[Tensor, "p n n"]
    smoothed: Float[Tensor, "p n n"]
    picture_rows: Int[Tensor, " p"]
    low_pass: float


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found out about a particle set.

    Attributes
    ----------
    source
        The STAR or ``.cs`` file.
    table
        A row a particle, RELION's labels.
    optics
        A row an optics group: ``name``, ``particles``, ``voltage_kV``, ``cs_mm``, ``amplitude_contrast``.
    files
        How many image files there are.
    box, pixel_size
        Pixels (0 where nothing tells), A.
    premultiplied
        Whether the images were multiplied with their CTF.
    defocus
        Of all particles.
    missing, missing_particles
        Image files that are not there, and how many particles are in them.
    faults
        Image files that are there and cannot be used.
    unusable
        Rows of the particles that cannot be used, by reason.
    unusable_count
        How many that are in all; files that cannot be used count with all their particles.
    duplicate_count
        How many of those are duplicates and nothing worse.
    unaligned
        Particles without a pose among those that have poses.
    pose_problem
        What is wrong with the poses, so that no map can be made with them, and how to fix it; None for nothing.
    remarks
        Sentences on what a reconstruction passes over: headers that contradict the table, optics that are not used.
    table_problems
        What is wrong with whole columns so that a job refuses them, each with its fix.
    images
        What the pixels tell; None without a readable image.
    ctf_gaps
        Resolutions that hardly an image shows, A.
    """

    source: Path
    table: pd.DataFrame
    optics: pd.DataFrame
    files: int
    box: int
    pixel_size: float
    premultiplied: bool
    defocus: Defocus
    missing: tuple[Path, ...]
    missing_particles: int
    faults: tuple[FileFault, ...]
    unusable: dict[str, list[int]]
    unusable_count: int
    duplicate_count: int
    unaligned: int
    pose_problem: tuple[str, str] | None
    remarks: tuple[str, ...]
    table_problems: tuple[tuple[str, str], ...]
    images: ImageFindings | None
    ctf_gaps: list[float]

    def __len__(self) -> int:
        """Number of particles."""
        return len(self.table)

    @property
    def posed(self) -> bool:
        """Whether the particles have poses that a map can be made with."""
        there = {"rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"} <= set(self.table) and self.unaligned < len(self)
        return there and self.pose_problem is None

    @property
    def fit(self) -> bool:
        """Whether a reconstruction would begin: files are there, images as the table says, few unusable, enough not."""
        if self.images is not None and self.images.contradiction is not None:
            return False
        faulty = self.unusable_count - self.duplicate_count
        sound = not self.missing and not self.faults and not self.table_problems
        return sound and faulty <= UNFIT_FRACTION * len(self) and not self.too_few

    @property
    def too_few(self) -> bool:
        """Whether there are fewer usable particles than a reconstruction needs."""
        return len(self) - self.unusable_count < FEWEST

    def warnings(self) -> list[str]:
        """What the user should look at, a sentence each, the worst first."""
        found = self._on_missing()
        found += [fault.sentence for fault in self.faults[:LISTED]]
        if len(self.faults) > LISTED:
            found.append(f"{len(self.faults) - LISTED:,} more image files cannot be used.")
        found += [_on_contradiction(*each) for each in self.table_problems]
        found += [f"To be set aside for {reason}: {_named(rows)}." for reason, rows in self.unusable.items()]
        if self.too_few:
            usable = len(self) - self.unusable_count
            found.append(f"Only {_counted(usable)} can be used; a reconstruction needs at least {FEWEST}.")
        outliers = int(self.defocus.outliers.sum())
        if outliers:
            found.append(f"Far from the others in defocus or astigmatism: {_counted(outliers)}.")
        if self.unaligned and self.posed:
            found.append(f"Never aligned (no rotation): {_counted(self.unaligned)}.")
        if self.pose_problem is not None:
            problem, mend = self.pose_problem
            found.append(f"The poses cannot be used: {problem}. Fix: {mend}.")
        found += self.remarks
        found += on_ctf_gaps(self.ctf_gaps)
        images = self.images
        if images is not None:
            found += [] if images.contradiction is None else [_on_contradiction(*images.contradiction)]
            found += [*images.doubts, *_on_repairs(images.repairs)]
        if images is not None and images.dark:
            found.append(f"{images.contrast_sentence} Reconstruction does so by itself.")
        if images is not None and not images.normalised and not (self.premultiplied or images.masked):
            found.append(f"{images.normalisation_sentence} Reconstruction normalises them by itself.")
        if images is not None and images.diameter is None:
            found.append("The particle does not stand out of the noise: give its diameter to reconstruction.")
        if images is not None and len(images.rows) + self.unusable_count < len(self):
            looked_at = f"{len(images.rows):,} of {len(self):,} images were looked at"
            found.append(f"{looked_at}; a job checks every image before it begins.")
        return [in_words(warning, self.source) for warning in found]

    def _on_missing(self) -> list[str]:
        """How many files are not there, and what helps."""
        if not self.missing:
            return []
        count = f"{len(self.missing):,} of {self.files:,} image files are not there"
        first = self.missing[0]
        return [f"{count} ({_counted(self.missing_particles)}), {first} first. Fix: {mend_for_missing(first)}."]

    def record(self) -> dict[str, Any]:
        """The numbers, for JSON."""
        images, mean, astigmatism = self.images, self.defocus.mean, self.defocus.astigmatism
        return {
            "file": str(self.source),
            "particles": len(self),
            "image_files": self.files,
            "box_px": self.box,
            "pixel_size_A": self.pixel_size,
            "optics_groups": self.optics.to_dict("records"),
            "defocus_A": {"min": float(mean.min()), "median": float(mean.median()), "max": float(mean.max())},
            "astigmatism_A": {"median": float(astigmatism.median()), "max": float(astigmatism.max())},
            "defocus_outliers": int(self.defocus.outliers.sum()),
            "ctf_gaps_A": self.ctf_gaps,
            "ctf_premultiplied": self.premultiplied,
            "poses": self.posed,
            "unaligned_particles": self.unaligned,
            "pose_problem": self.pose_problem,
            "missing_files": [str(each) for each in self.missing],
            "bad_files": [{"file": str(each.file), "problem": each.problem} for each in self.faults],
            "unusable": {in_words(reason, self.source): len(rows) for reason, rows in self.unusable.items()},
            "unusable_particles": self.unusable_count,
            "duplicate_particles": self.duplicate_count,
            "fit": self.fit,
            "warnings": self.warnings(),
            "images": None
            if images is None
            else {
                "looked_at": len(images.rows),
                "protein": "dark" if images.dark else "white",
                "contrast": images.contrast_sentence,
                "normalised": images.normalised,
                "masked": images.masked,
                "normalisation": images.normalisation_sentence,
                "repairs": images.repairs,
                "contradiction": images.contradiction,
                "diameter_A": images.diameter,
                "diameter_evidence": images.diameter_evidence,
                "snr": images.snr,
                "power": images.power.tolist(),
                "noise": images.noise.tolist(),
            },
        }


def _on_contradiction(problem: str, mend: str) -> str:
    return f"{problem[0].upper()}{problem[1:]}. Fix: {mend}."


def _on_repairs(repairs: dict[int, str]) -> list[str]:
    """Sentences on the images that a job will repair."""
    found = [f"To be repaired: row {row}, {repair}." for row, repair in list(repairs.items())[:LISTED]]
    if len(repairs) > LISTED:
        found.append(f"{len(repairs) - LISTED:,} more images are to be repaired.")
    return found


def _named(rows: list[int]) -> str:
    """How many particles, and the first of their rows."""
    places = ", ".join(map(str, rows[:LISTED])) + (" ..." if len(rows) > LISTED else "")
    return f"{_counted(len(rows))} (row{'s' if len(rows) > 1 else ''} {places})"


def _counted(particles: int) -> str:
    return "1 particle" if particles == 1 else f"{particles:,} particles"

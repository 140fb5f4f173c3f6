"""What an inspection finds, and what it says of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jaxtyping import Bool, Float
from torch import Tensor

from cryorbit.io.checks import FEWEST
from cryorbit.io.column_names import in_words
from cryorbit.io.image_paths import fix_for_missing
from cryorbit.recipes.image_warnings import on_ctf_gaps
from cryorbit.recipes.inspect.image_findings import ImageFindings, contradicted

UNFIT_FRACTION = 0.1
"""Part of the particles that may be unusable; reconstruction sets them aside up to there by default."""

LISTED = 3
"""Faulty files, and particles to set aside, that are named one by one."""


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
    fix
        What the user can do about it.
    """

    file: Path
    particles: int
    problem: str
    fix: str | None = None

    @property
    def sentence(self) -> str:
        """What the user is told."""
        fix = f" Fix: {self.fix}." if self.fix else ""
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

    def warnings(self) -> list[str]:
        """What the user should look at, a sentence each."""
        outliers = int(self.outliers.sum())
        return [f"Far from the others in defocus or astigmatism: {_counted(outliers)}."] if outliers else []


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
        Rows of the particles without a pose among those that have poses.
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
    unaligned: list[int]
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
        there = {"rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"} <= set(self.table) and len(self.unaligned) < len(self)
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
        sentences = [*self._on_files(), *(contradicted(*each) for each in self.table_problems), *self._on_unusable()]
        sentences += [*self.defocus.warnings(), *self._on_poses(), *self.remarks, *on_ctf_gaps(self.ctf_gaps)]
        if self.images is not None:
            sentences += self.images.warnings(premultiplied=self.premultiplied)
            if len(self.images.rows) + self.unusable_count < len(self):
                looked_at = f"{len(self.images.rows):,} of {len(self):,} images were read"
                sentences.append(f"{looked_at}; a job checks every image before it begins.")
        return [in_words(warning, self.source) for warning in sentences]

    def _on_files(self) -> list[str]:
        """Files that are not there or cannot be used, and what helps."""
        sentences = []
        if self.missing:
            count = f"{len(self.missing):,} of {self.files:,} image files are not there"
            first = self.missing[0]
            particles = _counted(self.missing_particles)
            sentences = [f"{count} ({particles}), {first} first. Fix: {fix_for_missing(first)}."]
        sentences += [fault.sentence for fault in self.faults[:LISTED]]
        if len(self.faults) > LISTED:
            sentences.append(f"{len(self.faults) - LISTED:,} more image files cannot be used.")
        return sentences

    def _on_unusable(self) -> list[str]:
        """Particles to be set aside, and whether enough are left."""
        sentences = [f"Left out because of {reason}: {_named(rows)}." for reason, rows in self.unusable.items()]
        if self.too_few:
            usable = len(self) - self.unusable_count
            sentences.append(f"Only {_counted(usable)} can be used; a reconstruction needs at least {FEWEST}.")
        return sentences

    def _on_poses(self) -> list[str]:
        """Poses that are missing or wrong."""
        sentences = []
        if self.unaligned and self.posed:
            sentences.append(f"Without a pose (rotation 0, or no number): {_named(self.unaligned)}.")
        if self.pose_problem is not None:
            problem, fix = self.pose_problem
            sentences.append(f"The poses cannot be used: {problem}. Fix: {fix}.")
        return sentences

    def record(self) -> dict[str, Any]:
        """The numbers, for JSON."""
        mean, astigmatism = self.defocus.mean, self.defocus.astigmatism
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
            "unaligned_particles": len(self.unaligned),
            "pose_problem": self.pose_problem,
            "missing_files": [str(each) for each in self.missing],
            "bad_files": [{"file": str(each.file), "problem": each.problem} for each in self.faults],
            "unusable": {in_words(reason, self.source): len(rows) for reason, rows in self.unusable.items()},
            "unusable_particles": self.unusable_count,
            "duplicate_particles": self.duplicate_count,
            "fit": self.fit,
            "warnings": self.warnings(),
            "images": None if self.images is None else self.images.record(),
        }


def _named(rows: list[int]) -> str:
    """How many particles, and the first of their rows."""
    places = ", ".join(map(str, rows[:LISTED])) + (" ..." if len(rows) > LISTED else "")
    return f"{_counted(len(rows))} (row{'s' if len(rows) > 1 else ''} {places})"


def _counted(particles: int) -> str:
    return "1 particle" if particles == 1 else f"{particles:,} particles"

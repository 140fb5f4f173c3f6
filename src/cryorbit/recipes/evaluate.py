"""Hold a finished job against the truth: its maps, its poses, its classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.data import Poses
from cryorbit.core.errors import InputError
from cryorbit.evaluation.classes import class_accuracy
from cryorbit.evaluation.comparison import MapComparison, compare_maps
from cryorbit.evaluation.poses import PoseErrors, pose_errors
from cryorbit.geometry.point_groups import point_group
from cryorbit.io.destinations import require_new_file
from cryorbit.io.image_paths import parse_image_names
from cryorbit.io.particles import NO_CLASS, Particles, class_numbers, read_particles
from cryorbit.io.posed import posed_particles
from cryorbit.io.relion import CLASS
from cryorbit.recipes.compare import read_like, read_reference, write_json
from cryorbit.recipes.settings import Settings

JUNK = NO_CLASS
"""Class number, in the truth, of images that show none of the maps."""


class EvaluateConfig(Settings):
    """Settings of an evaluation.

    Attributes
    ----------
    folder
        Job folder with ``class_1.mrc`` ... or ``map.mrc``, and ``particles.star``.
    truth_maps
        True maps, in any order.
    truth_poses
        STAR or ``.cs`` file with true poses, matched with the job's by image; true classes, if it has them, too.
    symmetry
        Point group of the maps.
    json_file
        Where the numbers are written.
    """

    folder: Path
    truth_maps: tuple[Path, ...] = ()
    truth_poses: Path | None = None
    symmetry: str = "C1"
    json_file: Path | None = None


@dataclass(frozen=True, slots=True)
class ClassEvaluation:
    """One class held against the truth.

    Attributes
    ----------
    number
        Class number, from 1.
    truth
        The true map that agrees best with the class, or None if no true maps were given.
    comparison
        Agreement with that map.
    poses
        Errors of the poses of the particles in this class, or None where there are none to compare.
    """

    number: int
    truth: Path | None
    comparison: MapComparison | None
    poses: PoseErrors | None

    def as_record(self) -> dict[str, object]:
        """The evaluation in plain types, for JSON."""
        record: dict[str, object] = {"class": self.number}
        if self.comparison is not None:
            record |= {"truth": str(self.truth), **self.comparison.as_record()}
        if self.poses is not None:
            record["poses"] = {"particles": len(self.poses.angle_deg), **self.poses.summary()}
        return record


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A job held against the truth.

    Attributes
    ----------
    classes
        The classes, by number.
    matched
        How many particles were found in the truth, or None if no true poses were given.
    class_accuracy
        Fraction of them in the right class, or None if the truth names no classes.
    """

    classes: tuple[ClassEvaluation, ...]
    matched: int | None
    class_accuracy: float | None

    def as_record(self) -> dict[str, object]:
        """The evaluation in plain types, for JSON."""
        return {
            "classes": [each.as_record() for each in self.classes],
            "matched_particles": self.matched,
            "class_accuracy": self.class_accuracy,
        }


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Particles of the job and their truth, row by row: poses (shifts in the job's pixels) and class numbers."""

    estimated: Poses
    true: Poses
    estimated_class: Int[Tensor, " n"]
    true_class: Int[Tensor, " n"] | None
    pixel_size: float


def run(config: EvaluateConfig) -> Evaluation:
    """Evaluate a job folder and write the numbers if asked for.

    Raises
    ------
    InputError
        The folder holds no maps, a file cannot be used, or no particle is found in the truth, or the
        file to write exists.
    """
    if not config.truth_maps and config.truth_poses is None:
        raise InputError("no truth was given", fix="give --truth-map, --truth-poses or both")
    if config.json_file is not None:
        require_new_file(config.json_file)
    maps = _class_maps(config.folder)
    pairs = None if config.truth_poses is None else _read_pairs(config.folder / "particles.star", config.truth_poses)
    group = point_group(config.symmetry)
    classes = []
    for number, path in maps.items():
        truth, comparison = _best_truth(path, config.truth_maps)
        poses = None if pairs is None else _class_pose_errors(pairs, number, group)
        classes.append(ClassEvaluation(number, truth, comparison, poses))
    result = Evaluation(tuple(classes), *_particle_numbers(pairs))
    if config.json_file is not None:
        write_json(config.json_file, result.as_record())
    return result


def _class_maps(folder: Path) -> dict[int, Path]:
    """Maps of the classes by number; a job with one map calls it ``map.mrc``."""
    named = ((re.fullmatch(r"class_(\d+)\.mrc", path.name), path) for path in folder.glob("class_*.mrc"))
    maps = {int(match[1]): path for match, path in named if match}
    if not maps and (folder / "map.mrc").exists():
        return {1: folder / "map.mrc"}
    if not maps:
        raise InputError(
            "there is no class_1.mrc or map.mrc in this folder", file=folder, fix="give the folder of a finished job"
        )
    return dict(sorted(maps.items()))


def _best_truth(path: Path, truth_maps: Sequence[Path]) -> tuple[Path | None, MapComparison | None]:
    """The true map with the highest mean shell correlation to a class, and its comparison."""
    best: tuple[Path | None, MapComparison | None] = (None, None)
    highest = -float("inf")
    for truth in truth_maps:
        reference, pixel_size = read_reference(truth, path)
        comparison = compare_maps(read_like(path, reference, pixel_size), reference, pixel_size)
        agreement = float(comparison.fsc.correlation[1:].mean())
        if agreement > highest:
            highest, best = agreement, (truth, comparison)
    return best


def _particle_numbers(pairs: _Pairs | None) -> tuple[int | None, float | None]:
    """How many particles were matched and which fraction of those that show a map is in the right class."""
    if pairs is None:
        return None, None
    matched = len(pairs.estimated_class)
    if pairs.true_class is None:
        return matched, None
    real = pairs.true_class != JUNK
    if len(pairs.true_class[real].unique()) < 2:
        return matched, None
    return matched, class_accuracy(pairs.estimated_class[real], pairs.true_class[real])


def _class_pose_errors(pairs: _Pairs, number: int, group: Float[Tensor, "g 3 3"]) -> PoseErrors | None:
    """Pose errors of the particles of one class, junk left out; every class has its own gauge."""
    member = pairs.estimated_class == number
    if pairs.true_class is not None:
        member &= pairs.true_class != JUNK
    if not member.any():
        return None
    rows = member.nonzero()[:, 0]
    return pose_errors(pairs.estimated[rows], pairs.true[rows], pairs.pixel_size, group)


def _read_pairs(estimated_file: Path, true_file: Path) -> _Pairs:
    """The particles that both files have, matched by their images."""
    estimated, true = (posed_particles(read_particles(file))[0] for file in (estimated_file, true_file))
    assert estimated.poses is not None and true.poses is not None
    both = {"estimated": _image_rows(estimated), "true": _image_rows(true)}
    rows = pd.concat(both, axis=1, join="inner")
    if rows.empty:
        raise InputError(
            f"none of the images of {estimated_file} is named here",
            file=true_file,
            fix="give the truth of these images",
        )
    here, there = (torch.from_numpy(rows[name].to_numpy(copy=True)) for name in both)
    true_poses = true.poses[there]
    return _Pairs(
        estimated=estimated.poses[here],
        true=Poses(true_poses.rotations, true_poses.shifts * (true.pixel_size / estimated.pixel_size)),
        estimated_class=class_numbers(estimated)[here],
        true_class=class_numbers(true)[there] if CLASS in true.table else None,
        pixel_size=estimated.pixel_size,
    )


def _image_rows(particles: Particles) -> pd.Series:
    """Row of each particle, indexed by the stack's file name, without folders, and the place in it."""
    names = parse_image_names(particles.table["rlnImageName"], particles.source)
    files = np.array([Path(name).name for name in names.names], dtype=object)[names.name_index]
    index = pd.MultiIndex.from_arrays([files, names.section])
    if index.has_duplicates:
        row = int(particles.rows[index.duplicated().argmax()])
        raise InputError(
            "two rows name the same image, apart from the folder",
            file=particles.source,
            row=row,
            fix="keep one of them, or give the stacks different names",
        )
    return pd.Series(np.arange(len(particles)), index=index)

"""The verb ``evaluate``: a job held against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from cryorbit.recipes.evaluate import ClassEvaluation


def evaluate(
    folder: Annotated[Path, Parameter(help="Job folder with class_1.mrc ... and particles.star.")],
    *,
    truth_map: Annotated[
        tuple[Path, ...], Parameter(consume_multiple=True, help="True maps, in any order (MRC).")
    ] = (),
    truth_poses: Annotated[
        Path | None, Parameter(help="STAR or .cs file with the true poses, and classes, of the same images.")
    ] = None,
    symmetry: Annotated[str, Parameter(help="Point group of the maps.")] = "C1",
    json: Annotated[Path | None, Parameter(help="Write the numbers to this file.")] = None,
) -> None:
    """Compare a job's maps, poses and classes with the truth."""
    from rich.console import Console
    from rich.table import Table

    from cryorbit.recipes.evaluate import EvaluateConfig, run

    config = EvaluateConfig(
        folder=folder, truth_maps=truth_map, truth_poses=truth_poses, symmetry=symmetry, json_file=json
    )
    found = run(config)
    headings = ("class", "truth", "hand", "cc", "FSC 0.5", "FSC 0.143", "particles", "view", "in-plane", "shift")
    table = Table(*headings, box=None, padding=(0, 2, 0, 0))
    for each in found.classes:
        table.add_row(str(each.number), *_map_cells(each), *_pose_cells(each))
    console = Console()
    console.print(table)
    if found.matched is not None:
        console.print(f"{found.matched:,} particles matched; errors of poses are medians", highlight=False)
    if found.class_accuracy is not None:
        console.print(f"{found.class_accuracy:.1%} of them in the right class", highlight=False)


def _map_cells(evaluation: ClassEvaluation) -> list[str]:
    """Truth, hand, correlation and resolutions of a class, or dashes."""
    comparison, truth = evaluation.comparison, evaluation.truth
    if comparison is None or truth is None:
        return ["-"] * 5
    hand = "mirrored" if comparison.alignment.hand_flipped else "the same"
    resolutions = (f"{comparison.resolution(threshold):.1f} A" for threshold in (0.5, 0.143))
    return [truth.name, hand, f"{comparison.cc:.3f}", *resolutions]


def _pose_cells(evaluation: ClassEvaluation) -> list[str]:
    """Particles and median errors of a class, or dashes."""
    poses = evaluation.poses
    if poses is None:
        return ["-"] * 4
    error = poses.summary()
    return [
        f"{len(poses.angle_deg):,}",
        f"{error['view_median_deg']:.1f} deg",
        f"{error['in_plane_median_deg']:.1f} deg",
        f"{error['shift_median_A']:.1f} A",
    ]

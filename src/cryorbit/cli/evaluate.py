"""The verb ``evaluate``: a job compared with the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from rich.table import Table

    from cryorbit.recipes.evaluate import Evaluation


def evaluate(
    folder: Annotated[Path, Parameter(help="Job folder with class_1.mrc ... and particles.star.")],
    *,
    truth_map: Annotated[
        tuple[Path, ...], Parameter(consume_multiple=True, negative="", help="True maps, in any order (MRC).")
    ] = (),
    truth_poses: Annotated[
        Path | None,
        Parameter(help="STAR or .cs file with the true poses, and classes, of the same images. Default: none."),
    ] = None,
    symmetry: Annotated[str, Parameter(help="Point group of the maps.")] = "C1",
    json: Annotated[
        Path | None, Parameter(help="Write the numbers to this file; it must not exist. Default: not written.")
    ] = None,
) -> None:
    """Compare a job's maps, poses and classes with the truth."""
    from rich.console import Console

    from cryorbit.core.readable import percent
    from cryorbit.recipes.config import load_config
    from cryorbit.recipes.evaluate import EvaluateConfig, run

    settings = {"folder": folder, "truth_maps": truth_map, "truth_poses": truth_poses, "symmetry": symmetry}
    evaluation = run(load_config(EvaluateConfig, None, {**settings, "json_file": json}))
    console = Console()
    if truth_map:
        console.print(_map_table(evaluation))
    if evaluation.matched is not None:
        console.print(_pose_table(evaluation))
        console.print(f"{evaluation.matched:,} particles matched; errors of poses are medians", highlight=False)
    if evaluation.class_accuracy is not None:
        console.print(f"{percent(evaluation.class_accuracy, 1)} of them in the right class", highlight=False)


def _map_table(evaluation: Evaluation) -> Table:
    """Agreement of the classes' maps with their truths."""
    table = _table("class", "truth", "hand", "correlation", "FSC 0.5", "FSC 0.143")
    for each in evaluation.classes:
        comparison, truth = each.comparison, each.truth
        if comparison is None or truth is None:
            continue
        hand = "mirrored" if comparison.alignment.hand_flipped else "the same"
        resolutions = [f"{comparison.resolution(threshold):.1f} Å" for threshold in (0.5, 0.143)]
        table.add_row(str(each.number), truth.name, hand, f"{comparison.cc:.3f}", *resolutions)
    return table


def _pose_table(evaluation: Evaluation) -> Table:
    """Median errors of the poses of every class."""
    table = _table("class", "particles", "rotation", "view", "in-plane", "shift")
    for each in evaluation.classes:
        if each.poses is None:
            table.add_row(str(each.number), "0", *["-"] * 4)
            continue
        error = each.poses.summary()
        angles = [f"{error[f'{name}_median_deg']:.1f} deg" for name in ("angle", "view", "in_plane")]
        shift = f"{error['shift_median_A']:.1f} Å"
        table.add_row(str(each.number), f"{len(each.poses.angle_deg):,}", *angles, shift)
    return table


def _table(*headings: str) -> Table:
    from rich.table import Table

    return Table(*headings, box=None, padding=(0, 2, 0, 0))

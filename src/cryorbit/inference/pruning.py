"""What branch and bound kept at each of its stages, over all images: by its bound, and by its caps."""

from __future__ import annotations

from dataclasses import dataclass

from cryorbit.inference.branch_and_bound import BestPoses, BranchPlan


@dataclass(frozen=True, slots=True)
class StagePruning:
    """One stage of a search.

    Attributes
    ----------
    radius
        Fourier radius of its scores.
    scored
        Poses that were scored for an image, on average.
    kept_by_bound, kept_by_caps
        Parts of these that the bound kept, and that were left after the caps.
    capped
        Part of the images of which the caps took what the bound had kept.
    """

    radius: float
    scored: float
    kept_by_bound: float
    kept_by_caps: float
    capped: float


def pruning_of(best: BestPoses, plan: BranchPlan, radius: float) -> tuple[StagePruning, ...]:
    """The stages of a search by ``plan`` up to the full ``radius``."""
    scored, bounded, kept = (each.double().mean(0) for each in (best.evaluated, best.bounded, best.kept))
    capped = best.capped.any(2).double().mean(0)
    columns = (each.tolist() for each in (scored, bounded / scored, kept / scored, capped))
    return tuple(
        StagePruning(stage.radius, *numbers)
        for stage, numbers in zip(plan.stages(radius), zip(*columns, strict=True), strict=True)
    )

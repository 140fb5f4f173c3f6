"""Whether the maps can be trusted: what independent starts agree on, and what held-out particles say."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.core.verdict import Level, Remark, Verdict, weigh
from cryorbit.evaluation.align import align_maps
from cryorbit.evaluation.fsc import fsc_curve, resolution_at
from cryorbit.evaluation.view_sampling import view_sampling
from cryorbit.inference.symmetry import average_over_group, find_axes
from cryorbit.io.job_result import CrossSeed
from cryorbit.recipes.abinit.finish_stage import imposed_operators
from cryorbit.recipes.abinit.prepare import AbinitDataset
from cryorbit.recipes.abinit.state import AbinitState, StartOutcome
from cryorbit.volumes.voxel import resample

AGREEMENT_A_OVER_DIAMETER = 1 / 6
"""Starts agree when their maps correlate (0.5) to at least this part of the particle's diameter."""
ONE_SIDED = 0.5
"""Sampling compensation factor below which most views are of one direction (half of them there: 0.5)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the other starts agree with the chosen one.

    Attributes
    ----------
    count
        Number of starts.
    reached
        Resolutions of those that agree, A.
    nearest
        The best resolution of any, A.
    outside
        Seeds of those that came to another map.
    needed
        Resolution that counts as agreement, A.
    """

    count: int
    reached: tuple[float, ...]
    nearest: float
    outside: tuple[int, ...]
    needed: float

    @classmethod
    def of(cls, cross: CrossSeed, chosen: int, needed: float) -> Agreement:
        """That of all starts with the ``chosen`` one, from 0."""
        resolutions = {seed: cross.resolution_A[chosen][j] for j, seed in enumerate(cross.seeds) if j != chosen}
        reached = tuple(resolution for resolution in resolutions.values() if resolution <= needed)
        outside = tuple(seed for seed, resolution in resolutions.items() if resolution > needed)
        return cls(len(cross.seeds), reached, min(resolutions.values()), outside, needed)


def compare_starts(
    dataset: AbinitDataset, outcomes: tuple[StartOutcome, ...], group: Float[Tensor, "g 3 3"] | None = None
) -> CrossSeed:
    """Superpose the maps of all pairs of starts; with several classes, the largest class of each.

    With the operators of a ``group`` that was imposed, each map is averaged over it about axes of its own: these are
    the maps that the starts would have led to, and the noise of their C1 maps is not what is asked about.
    """
    size = max(outcome.volume.shape[-1] for outcome in outcomes)
    maps = [resample(o.volume[int(o.class_fractions.argmax())].cpu(), size) for o in outcomes]
    if group is not None:
        radius = dataset.particle_radius(size)
        operators = group.to(maps[0])
        maps = [average_over_group(volume, find_axes(volume, operators, radius), operators) for volume in maps]
    pixel = dataset.extent / size
    count = len(maps)
    resolution = torch.full((count, count), 2 * pixel, dtype=torch.float64)
    correlation = torch.ones(count, count, dtype=torch.float64)
    for i, j in itertools.combinations(range(count), 2):
        alignment = align_maps(maps[j], maps[i], pixel)
        resolution[i, j] = resolution[j, i] = resolution_at(fsc_curve(alignment.aligned, maps[i], pixel), 0.5)
        correlation[i, j] = correlation[j, i] = alignment.correlation
    return CrossSeed(
        seeds=tuple(outcome.seed for outcome in outcomes),
        resolution_A=tuple(map(tuple, resolution.tolist())),
        correlation=tuple(map(tuple, correlation.tolist())),
        held_out_log_likelihood=tuple(outcome.held_out for outcome in outcomes),
    )


def judge_maps(
    dataset: AbinitDataset, state: AbinitState, half_map_resolution: float, cross: CrossSeed | None
) -> Verdict:
    """Weigh agreement between starts, what particles say of the map, and the half maps."""
    needed = dataset.diameter * AGREEMENT_A_OVER_DIAMETER
    agreement = None if cross is None else Agreement.of(cross, state.start, needed)
    doubts = [*_about_symmetry(state), *_about_views(dataset, state), *dataset.pose_doubts(half_map_resolution)]
    remarks = [
        *_about_starts(agreement),
        *_about_fit(state, half_map_resolution, needed),
        *(Remark("doubtful", "", doubt) for doubt in doubts),
        *(Remark("good", "", sentence) for sentence in _confirmed_symmetry(state)),
        *_about_held_out(state),
    ]
    return weigh(remarks, lambda level, _: _sentence(level, agreement))


def _sentence(level: Level, agreement: Agreement | None) -> str:
    """The verdict in words, which depend on how many starts there were and what became of them."""
    if agreement is None:
        return (
            "Do not trust this map: particles do not fit it or its halves disagree."
            if level == "bad"
            else "Not verified: one random start cannot show whether its map is right; run with --seeds 3 or more."
        )
    if level == "bad":
        return "Do not trust this map: independent starts disagree, or particles do not fit it."
    if agreement.outside:
        return "Some random starts agree, others do not: inspect the maps before you use them."
    if level == "doubtful":
        return "Independent random starts agree, but there is a doubt: read the reasons before using the map."
    return (
        f"Independent random starts agree to {max(agreement.reached):.1f} Å: the map can be trusted at low resolution."
    )


def _about_starts(agreement: Agreement | None) -> Iterator[Remark]:
    """To what resolution the starts agree with the chosen one, and to what resolution they should."""
    if agreement is None:
        yield Remark("doubtful", "", "")
        return
    needed = f"agreement to {agreement.needed:.1f} Å or better counts as reproducible"
    if agreement.reached:
        count = len(agreement.reached) + 1
        starts = "both starts" if count == agreement.count == 2 else f"{count} of {agreement.count} starts"
        reached = f"{starts} agree to {max(agreement.reached):.1f} Å"
        yield Remark("good", "", f"{reached} ({needed})")
    else:
        nearest = f"the nearest agrees to {agreement.nearest:.1f} Å"
        yield Remark("bad", "", f"no other start agrees with the best one: {nearest} ({needed})")
    if agreement.outside:
        seeds = ", ".join(map(str, agreement.outside))
        yield Remark("doubtful", "", f"starts that led to another map: seeds {seeds}")


def _about_fit(state: AbinitState, half_map_resolution: float, needed: float) -> Iterator[Remark]:
    """Whether the halves agree, and what particles say of the map.

    How sure a best pose is depends on how finely poses are sampled; what particles say of a map does not.
    """
    assert state.estimates is not None
    sharp, gain = float(state.estimates.max_probability.mean()), float(state.estimates.log_evidence.mean())
    halves = f"half-maps from the final poses agree to {half_map_resolution:.1f} Å"
    yield Remark(
        "bad" if half_map_resolution > needed else "good", "", f"{halves} (they share these poses: an upper bound)"
    )
    yield Remark("good", "", f"the best pose of a particle holds {100 * sharp:.0f} % of its posterior on average")
    fit = f"particles fit the map better than pure noise by {gain:.1f} nats on average"
    yield Remark("bad" if gain <= 0 else "good", "", fit)


def _about_held_out(state: AbinitState) -> Iterator[Remark]:
    """What particles say of the map that no start has seen."""
    held_out = state.outcomes[state.start].held_out if state.outcomes else math.nan
    if not math.isnan(held_out):
        fit = f"particles that no start has seen fit its map better than pure noise by {held_out:.1f} nats"
        yield Remark("bad" if held_out <= 0 else "good", "", fit)


def _about_symmetry(state: AbinitState) -> list[str]:
    """The doubt that the images refused the symmetry asked for, and what to try."""
    trial = state.trial
    return [] if trial is None or trial.imposed else trial.sentences()


def _confirmed_symmetry(state: AbinitState) -> list[str]:
    trial = state.trial
    return trial.sentences() if trial is not None and trial.imposed else []


def _about_views(dataset: AbinitDataset, state: AbinitState) -> list[str]:
    """The doubt that most particles show the same view: along it the map is then hardly determined."""
    assert state.estimates is not None
    operators = imposed_operators(dataset, state)
    group = torch.eye(3, dtype=torch.float64)[None] if operators is None else operators
    sampling = view_sampling(state.estimates.rotation.double().cpu(), group, generator_for(0, "views of a first map"))
    if sampling.factor >= ONE_SIDED:
        return []
    return [
        f"most particles show one view (sampling compensation factor {sampling.factor:.2f}, 1 for even views; "
        f"{100 * sampling.unsampled:.0f} % of the directions are not sampled): the map is uncertain along it"
    ]

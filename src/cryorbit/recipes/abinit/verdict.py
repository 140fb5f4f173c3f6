"""Whether the maps can be trusted: what independent starts agree on, and what held-out particles say."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.evaluation.align import align_maps
from cryorbit.evaluation.fsc import fsc_curve, resolution_at
from cryorbit.evaluation.view_sampling import view_sampling
from cryorbit.inference.symmetry import average_over_group, find_axes
from cryorbit.recipes.abinit.finish_stage import imposed_operators
from cryorbit.recipes.abinit.prepare import Prepared
from cryorbit.recipes.abinit.state import Outcome, State
from cryorbit.volumes.voxel import resample

AGREEMENT_A_OVER_DIAMETER = 1 / 6
"""Starts agree when their maps correlate (0.5) to at least this part of the particle's diameter."""
ONE_SIDED = 0.5
"""Sampling compensation factor below which most views are of one direction (half of them there: 0.5)."""


@dataclass(frozen=True, slots=True)
class CrossSeed:
    """Agreement of independent starts.

    Attributes
    ----------
    seeds
        Their seeds.
    resolution_A
        Resolution to which two of them correlate by 0.5 after superposition (both hands), A.
    correlation
        Correlation coefficient of the superposed maps.
    held_out_log_likelihood
        Of each start, nats a particle.
    """

    seeds: list[int]
    resolution_A: Float[Tensor, "s s"]  # noqa: N815 (units belong to the name)
    correlation: Float[Tensor, "s s"]
    held_out_log_likelihood: list[float]


LEVELS = ("good", "doubtful", "bad")
"""Levels of a verdict, the worst last."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence for the user, and what it rests on; ``level`` is good, doubtful or bad."""

    level: str
    sentence: str
    reasons: list[str]


def compare_starts(
    prepared: Prepared, outcomes: tuple[Outcome, ...], group: Float[Tensor, "g 3 3"] | None = None
) -> CrossSeed:
    """Superpose the maps of all pairs of starts; with several classes, the largest class of each.

    With the operators of a ``group`` that was imposed, each map is averaged over it about axes of its own: these are
    the maps that the starts would have led to, and the noise of their C1 maps is not what is asked about.
    """
    size = max(outcome.volume.shape[-1] for outcome in outcomes)
    maps = [resample(o.volume[int(o.class_fractions.argmax())].cpu(), size) for o in outcomes]
    if group is not None:
        radius = prepared.particle_radius(size)
        operators = group.to(maps[0])
        maps = [average_over_group(volume, find_axes(volume, operators, radius), operators) for volume in maps]
    pixel = prepared.extent / size
    count = len(maps)
    resolution = torch.full((count, count), 2 * pixel, dtype=torch.float64)
    correlation = torch.ones(count, count, dtype=torch.float64)
    for i, j in itertools.combinations(range(count), 2):
        found = align_maps(maps[j], maps[i], pixel)
        value = resolution_at(fsc_curve(found.aligned, maps[i], pixel), 0.5)
        resolution[i, j] = resolution[j, i] = value
        correlation[i, j] = correlation[j, i] = found.correlation
    return CrossSeed([o.seed for o in outcomes], resolution, correlation, [o.held_out for o in outcomes])


def judge_maps(prepared: Prepared, state: State, half_map_resolution: float, cross: CrossSeed | None) -> Verdict:
    """Weigh agreement between starts, what particles say of the map, and the half maps."""
    needed = prepared.diameter * AGREEMENT_A_OVER_DIAMETER
    assert state.estimates is not None
    sharp = float(state.estimates.max_probability.mean())
    gain = float(state.estimates.log_evidence.mean())
    reasons = [
        f"half maps from the final poses agree to {half_map_resolution:.1f} A (they share these poses: an upper bound)",
        f"the best pose of a particle holds {100 * sharp:.0f} % of its posterior on average",
        f"particles fit the map better than pure noise by {gain:.1f} nats on average",
    ]
    doubts = [*_about_symmetry(state), *_about_views(prepared, state), *prepared.pose_doubts(half_map_resolution)]
    reasons += [*doubts, *_confirmed_symmetry(state)]
    held_out = state.outcomes[state.start].held_out if state.outcomes else math.nan
    if not math.isnan(held_out):
        reasons.append(f"particles that no start has seen fit its map better than pure noise by {held_out:.1f} nats")
    # how sure a best pose is depends on how finely poses are sampled; what particles say of a map does not
    weak = gain <= 0 or held_out <= 0 or half_map_resolution > needed
    if cross is None:
        sentence = (
            "Do not trust this map: particles do not fit it or its halves disagree."
            if weak
            else "Not verified: one random start cannot tell whether its map is right; run with --seeds 3 or more."
        )
        return Verdict("bad" if weak else "doubtful", sentence, reasons)
    weighed = _weigh_starts(state, cross, needed, weak, reasons)
    if doubts and weighed.level == "good":
        sentence = "Independent random starts agree, but there is a doubt: read the reasons before using the map."
        return replace(weighed, level="doubtful", sentence=sentence)
    return weighed


def _about_symmetry(state: State) -> list[str]:
    """The doubt that the images refused the symmetry asked for, and what to try."""
    trial = state.trial
    return [] if trial is None or trial.imposed else trial.sentences()


def _confirmed_symmetry(state: State) -> list[str]:
    trial = state.trial
    return trial.sentences() if trial is not None and trial.imposed else []


def _about_views(prepared: Prepared, state: State) -> list[str]:
    """The doubt that most particles show the same view: along it the map is then hardly determined."""
    assert state.estimates is not None
    operators = imposed_operators(prepared, state)
    group = torch.eye(3, dtype=torch.float64)[None] if operators is None else operators
    sampling = view_sampling(state.estimates.rotation.double().cpu(), group, generator_for(0, "views of a first map"))
    if sampling.factor >= ONE_SIDED:
        return []
    return [
        f"most particles show one view (sampling compensation factor {sampling.factor:.2f}, 1 for even views; "
        f"{100 * sampling.unsampled:.0f} % of the directions are not sampled): the map is uncertain along it"
    ]


def _weigh_starts(state: State, cross: CrossSeed, needed: float, weak: bool, reasons: list[str]) -> Verdict:
    count, chosen = len(cross.seeds), state.start
    found = {j: float(cross.resolution_A[chosen, j]) for j in range(count) if j != chosen}
    agree = [resolution for resolution in found.values() if resolution <= needed]
    outside = [cross.seeds[j] for j, resolution in found.items() if resolution > needed]
    reasons = [
        _agreement(count, agree, min(found.values()), needed),
        *([f"starts that came to another map: seeds {', '.join(map(str, outside))}"] if outside else []),
        *reasons,
    ]
    if weak or not agree:
        return Verdict(
            "bad", "Do not trust this map: independent starts disagree, or particles do not fit it.", reasons
        )
    if not outside:
        sentence = f"Independent random starts agree to {max(agree):.1f} A: the map can be trusted at low resolution."
        return Verdict("good", sentence, reasons)
    return Verdict("doubtful", "Some random starts agree, others do not: look at the maps before using them.", reasons)


def _agreement(count: int, agree: list[float], nearest: float, needed: float) -> str:
    """To what resolution the starts agree with the chosen one, beside what was asked of them."""
    if not agree:
        return f"no other start agrees with the best one: the nearest does to {nearest:.1f} A, {needed:.1f} A is needed"
    return f"{len(agree) + 1} of {count} starts agree to {max(agree):.1f} A ({needed:.1f} A is needed)"

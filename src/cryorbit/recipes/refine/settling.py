"""When the passes of a refinement have come to their end."""

from __future__ import annotations

from typing import Any

import torch

from cryorbit.inference.pose_estimates import PoseEstimates
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.state import RefineState


def class_changes(config: RefineConfig, before: PoseEstimates | None, after: PoseEstimates | None) -> dict[str, Any]:
    """What ``metrics.jsonl`` says of particles that came to another class; nothing of one class or a first pass.

    ``class_changes`` is their fraction, ``class_flow`` the number of particles that went from each class (a row) to
    each other one (a column).
    """
    classes = config.classes
    if before is None or after is None or classes == 1 or not bool(before.known.any()):
        return {}
    known = before.known
    pairs = (classes * before.klass + after.klass)[known]
    flow = torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    moved = int(flow.sum() - flow.trace())
    return {"class_changes": moved / int(flow.sum()), "class_flow": flow.tolist()}


def widened(before: float, after: float) -> bool:
    """Whether a radius has grown by a shell or more: log-likelihoods at the two do not compare."""
    return after >= before + 1


def stands_still(
    config: RefineConfig, state: RefineState, resolved: float, likelihood: float, *, at_new_radius: bool
) -> bool:
    """Whether a pass or mini-batch has brought nothing: no larger radius, no finer half-maps, no likelier images.

    Where posteriors are broad the half-maps' agreement stands still, a shell up or down, for passes on end, while
    every one of them sharpens the posteriors: these passes are not wasted.

    Parameters
    ----------
    config, state
        Settings, and the state before the pass.
    resolved
        Radius to which the half-maps of the pass agree.
    likelihood
        Mean log-likelihood, nats; those at two radii do not compare.
    at_new_radius
        Whether the radius was `widened`.
    """
    if at_new_radius or resolved > state.resolved:
        return False
    return likelihood - state.best_likelihood <= config.passes.least_gain * abs(likelihood)


def best_likelihood(config: RefineConfig, state: RefineState, likelihood: float) -> float:
    """What the next pass is held against: the best of the passes at one radius, since the last one that fell back.

    Settled passes go up and down by a few thousandths. Where one falls by more, half-maps and noise are still changing,
    as they do after the first at a new radius: what rises from there on has not come to its end.
    """
    fell = state.best_likelihood - likelihood > config.passes.least_gain * abs(likelihood)
    new = widened(state.posed_radius, state.radius)
    return likelihood if new or fell else max(likelihood, state.best_likelihood)


def settled(config: RefineConfig, state: RefineState, estimates: PoseEstimates, stalled: int) -> bool:
    """Whether another pass would bring nothing: resolution and likelihood stand still, or the classes have settled.

    Parameters
    ----------
    config
        ``passes.class_changes`` tells which of the two is asked.
    state
        Before the pass.
    estimates
        After it.
    stalled
        Passes since radius, resolution or likelihood last grew.
    """
    most = config.passes.class_changes
    if most is None:
        return stalled >= config.passes.patience
    return class_changes(config, state.estimates, estimates).get("class_changes", 1.0) <= most

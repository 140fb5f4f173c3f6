"""When the passes of a refinement have come to their end."""

from __future__ import annotations

from cryorbit.inference.local_search import PoseEstimates
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.state import State


def class_changes(config: RefineConfig, before: PoseEstimates | None, after: PoseEstimates) -> dict[str, float]:
    """Part of the particles that came to another class, for ``metrics.jsonl``; nothing of one class or a first pass."""
    if before is None or len(config.maps) == 1:
        return {}
    return {"class_changes": float((before.klass != after.klass).double().mean())}


def settled(config: RefineConfig, state: State, estimates: PoseEstimates, stalled: int) -> bool:
    """Whether another pass would bring nothing: the resolution has stopped growing, or the classes have settled.

    Parameters
    ----------
    config
        ``passes.class_changes`` tells which of the two is asked.
    state
        Before the pass.
    estimates
        After it.
    stalled
        Passes since the resolution last grew.
    """
    most = config.passes.class_changes
    if most is None:
        return stalled >= config.passes.patience
    return class_changes(config, state.estimates, estimates).get("class_changes", 1.0) <= most

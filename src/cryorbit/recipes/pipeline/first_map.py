"""How the first map of a run is made: ab initio, or from moments; what differs between the two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from cryorbit.core.errors import InputError
from cryorbit.recipes.abinit import AbinitResult
from cryorbit.recipes.map_files import ONLY_MAP, class_files
from cryorbit.recipes.moments import MomentsResult
from cryorbit.recipes.moments.run import require_no_symmetry
from cryorbit.recipes.pipeline.config import PipelineConfig

FirstResult: TypeAlias = AbinitResult | MomentsResult
FIX = "or start with --start abinit"


@dataclass(frozen=True, slots=True)
class FirstMap:
    """One way to make the first map.

    Attributes
    ----------
    verb
        The command that does it, which is also the name of its table of settings.
    title
        Of the stage, for people.
    reason
        What reasons of a verdict that are the stage's own begin with.
    agreed
        What a verdict says where nothing is wrong with the map.
    """

    verb: str
    title: str
    reason: str
    agreed: str

    @property
    def folder(self) -> str:
        """Of the stage, within the job."""
        return f"1_{self.verb}"

    def map_file(self, number: int) -> str:
        """The map of class ``number``, from 1, in the folder of the stage."""
        return class_files(number).map if self.verb == "abinit" else ONLY_MAP.map


FIRST_MAPS = {
    "abinit": FirstMap("abinit", "Ab initio", "ab initio", "Independent random starts came to the same ab initio map."),
    "moments": FirstMap(
        "moments", "Moments", "moments", "Both halves of the particles led to the same map from moments."
    ),
}
"""By the setting ``start``."""


def first_map(config: PipelineConfig) -> FirstMap:
    """How a run begins."""
    return FIRST_MAPS[config.start]


def require_feasible(config: PipelineConfig) -> None:
    """Raise ``InputError`` if the first map cannot be made in the way that was chosen."""
    _require_used(config)
    if config.start != "moments":
        return
    require_no_symmetry(config.symmetry, f"leave --symmetry out, {FIX}")
    if config.classes > 1:
        raise InputError(
            "moments make one map: they do not sort particles into classes", fix=f"leave --classes out, {FIX}"
        )
    if config.seeds != PipelineConfig.model_fields["seeds"].default:
        raise InputError(
            "--seeds is the number of starts of an ab initio reconstruction",
            fix=f"set starts in the table [moments] of a settings file, {FIX}",
        )


def _require_used(config: PipelineConfig) -> None:
    """Raise ``InputError`` if settings are of the way that was not chosen: they would do nothing."""
    for other in FIRST_MAPS.keys() - {config.start}:
        if getattr(config, other) != PipelineConfig.model_fields[other].default:
            raise InputError(
                f"settings of [{other}] do nothing in a run that starts with {config.start}",
                fix=f"leave them out (a preset may hold them), or start with --start {other}",
            )

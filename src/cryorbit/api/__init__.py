"""What ``import cryorbit`` gives: the nouns of a notebook, and the recipes as functions."""

from cryorbit.api.fsc import FSC
from cryorbit.api.job import Job, open_job
from cryorbit.api.maps import Comparison, compare, fsc
from cryorbit.api.particle_set import ParticleSet, read_particles
from cryorbit.api.settings import settings
from cryorbit.api.tools import InspectedParticles, convert, evaluate, flip, inspect, resample, simulate_particles
from cryorbit.api.volume import Volume, read_map
from cryorbit.api.workflows import (
    abinit,
    classify,
    demo,
    map_from_moments,
    optimise,
    postprocess,
    reconstruct,
    refine,
    resume,
    run,
)
from cryorbit.core.errors import InputError
from cryorbit.core.progress import SilentProgress, Stopped
from cryorbit.core.verdict import Verdict

__all__ = [
    "FSC",
    "Comparison",
    "InputError",
    "InspectedParticles",
    "Job",
    "ParticleSet",
    "SilentProgress",
    "Stopped",
    "Verdict",
    "Volume",
    "abinit",
    "classify",
    "compare",
    "convert",
    "demo",
    "evaluate",
    "flip",
    "fsc",
    "inspect",
    "map_from_moments",
    "open_job",
    "optimise",
    "postprocess",
    "read_map",
    "read_particles",
    "reconstruct",
    "refine",
    "resample",
    "resume",
    "run",
    "settings",
    "simulate_particles",
]

"""Ab initio reconstruction: maps, poses and a verdict from particle images of unknown pose."""

from cryorbit.recipes.abinit.config import AbinitConfig as AbinitConfig
from cryorbit.recipes.abinit.outputs import AbinitResult as AbinitResult
from cryorbit.recipes.abinit.run import run as run

"""Particle sets from one file format to another: RELION's STAR, 3.0 and 3.1, and cryoSPARC's ``.cs``."""

from cryorbit.recipes.convert.run import Conversion, ConvertConfig, run

__all__ = ["Conversion", "ConvertConfig", "run"]

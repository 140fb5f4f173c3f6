"""Published tables and figures computed anew: a file a publication, the published numbers beside the measured ones."""

from cryorbit.recipes.reproduce.registry import REPRODUCTIONS, ReproduceConfig, Reproduction, find_reproduction

__all__ = ["REPRODUCTIONS", "ReproduceConfig", "Reproduction", "find_reproduction"]

"""Published tables and figures computed anew, the published numbers beside the measured ones: a folder a paper."""

from cryorbit.studies.registry import REPRODUCTIONS, Reproduction, find_reproduction

__all__ = ["REPRODUCTIONS", "Reproduction", "find_reproduction"]

"""A method's steps on sums that follow each other: of other terms, in another box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.optim.blocks import Blocks
from cryorbit.optim.carrying import bound_to_terms, carried
from cryorbit.optim.method import Method
from cryorbit.optim.protocols import EMOracle
from cryorbit.optim.units import Scaled, natural_scale


@dataclass(frozen=True, slots=True)
class Before:
    """What the steps on the sum before have left.

    Attributes
    ----------
    state
        Of the method; None before its first step.
    scale
        The unit of its unknown; None before its first step.
    shape
        Of its unknown.
    change
        What has been done to the unknown since.
    """

    state: Any | None
    scale: float | None
    shape: tuple[int, ...]
    change: Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class After:
    """The unknown after the steps, the method's state and its unit, and evaluations of terms."""

    x: Float[Tensor, "*shape"]
    state: Any
    scale: float
    evaluations: int


def step_on(
    method: Method[Any],
    oracle: EMOracle,
    x: Float[Tensor, "*shape"],
    before: Before,
    size: int | None,
    generators: tuple[torch.Generator, torch.Generator],
) -> After:
    """Work through all blocks of a sum once; a state that is bound to the terms of another sum begins anew.

    Parameters
    ----------
    method, oracle, x
        The method, the sum, and where it is.
    before
        What is carried over.
    size
        Terms in a block; None for all in one.
    generators
        Draw which term goes into which block, and what the method draws.
    """
    split, generator = generators
    scale = natural_scale(method, oracle, x) if before.scale is None else before.scale
    blocks = Blocks(Scaled(oracle, scale), size, split)
    fresh = before.state is None or bound_to_terms(before.state)
    state = method.init(blocks, scale * x) if fresh else carried(before.state, before.shape, before.change)
    moved, state = method.step(blocks, scale * x, state, list(range(blocks.count)), generator)
    return After(moved / scale, state, scale, blocks.evaluations)

"""Point groups of rotations in RELION's settings, and the part of SO(3) that they leave to be searched.

Settings: Cn and Dn have the n-fold axis on z, Dn a two-fold axis on x. T has a three-fold axis on z and a
two-fold axis towards (0, sqrt 2, 1). O has its four-fold axes on x, y, z. I (which is RELION's I2) and I1 have
two-fold axes on x, y, z and a five-fold axis towards (1, 0, phi) or (phi, 0, -1). I3 and I4 have a five-fold axis
on z and a two-fold axis towards (-1, 0, phi) or (1, 0, phi). Here phi is the golden ratio.

A volume with the symmetry obeys ``V(g x) = V(x)``. The slice of pose ``R`` samples the volume at ``R.T @ k``, so
the poses ``R`` and ``R @ g`` give the same slice: symmetry acts on poses from the right.
"""

from __future__ import annotations

import math
import re
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.geometry.rotations import rotvec_to_matrix

_Generator: TypeAlias = tuple[int, tuple[float, float, float]]  # (n, axis): the n-th part of a turn about the axis

_PHI = (1 + math.sqrt(5)) / 2
_POLYHEDRAL: dict[str, tuple[_Generator, _Generator]] = {
    "T": ((3, (0.0, 0.0, 1.0)), (2, (0.0, math.sqrt(2), 1.0))),
    "O": ((4, (0.0, 0.0, 1.0)), (3, (1.0, 1.0, 1.0))),
    "I": ((5, (1.0, 0.0, _PHI)), (2, (0.0, 0.0, 1.0))),
    "I1": ((5, (_PHI, 0.0, -1.0)), (2, (0.0, 0.0, 1.0))),
    "I2": ((5, (1.0, 0.0, _PHI)), (2, (0.0, 0.0, 1.0))),
    "I3": ((5, (0.0, 0.0, 1.0)), (2, (-1.0, 0.0, _PHI))),
    "I4": ((5, (0.0, 0.0, 1.0)), (2, (1.0, 0.0, _PHI))),
}
HIGHEST_ORDER = 99
"""Copies about an axis, at most, as in RELION; more are not told apart at any resolution that a map has."""
_LEGAL = f"Cn and Dn (n = 1 to {HIGHEST_ORDER}), T, O, I (the same as I2), I1, I2, I3, I4"


def point_group(symbol: str) -> Float[Tensor, "g 3 3"]:
    """Rotation operators of the group, float64, the identity first.

    Parameters
    ----------
    symbol
        ``C4``, ``D7``, ``T``, ``O``, ``I``, ``I1`` ... ``I4``; case does not matter.

    Raises
    ------
    InputError
        The symbol names no rotation group, or one of an order above `HIGHEST_ORDER`.
    """
    symbol = symbol.strip().upper()
    if symbol in _POLYHEDRAL:
        return _closure([_rotation(generator) for generator in _POLYHEDRAL[symbol]])
    axial = re.fullmatch(r"([CD])([1-9]\d*)", symbol)
    if axial is None:
        raise InputError(f"'{symbol}' is not a point group", fix=f"use one of {_LEGAL}")
    family, order = axial[1], int(axial[2])
    if order > HIGHEST_ORDER:
        raise InputError(
            f"'{symbol}' has {order:,} copies about an axis", fix=f"use one of {_LEGAL}; a helix is not a point group"
        )
    turns = torch.arange(order, dtype=torch.float64)[:, None] * (2 * math.pi / order)
    cyclic = rotvec_to_matrix(turns * torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    if family == "C":
        return cyclic
    half_turn = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    return torch.cat([cyclic, cyclic @ half_turn])


_REFERENCE = rotvec_to_matrix(torch.tensor([0.7310, -0.2971, 0.4137], dtype=torch.float64))
"""Generic: regular grids do not lie on the border of the domain that belongs to it."""


def asymmetric_unit(rotations: Float[Tensor, "n 3 3"], group: Float[Tensor, "g 3 3"]) -> Bool[Tensor, " n"]:
    """Mask of the rotations in a fundamental domain: one of each orbit ``{R @ g}``.

    The domain is one of view directions (those nearer to a reference direction than their symmetry mates are)
    with all in-plane angles. Views along a symmetry axis, whose mates differ in-plane only, are divided by a
    reference rotation.
    """
    rotations, reference = rotations.to(group), _REFERENCE.to(group)
    # products with every mate R g without the mates themselves, as <R g, A> = <R, A g'>
    nearness = rotations[:, 2] @ (group @ reference[2]).mT
    in_plane = rotations.flatten(1) @ (reference @ group.mT).flatten(1).mT
    # of a view along an axis the mates are equally near, but for rounding
    tied = nearness >= nearness.amax(1, keepdim=True) - 1e-6
    winner = torch.where(tied, in_plane, -math.inf).argmax(1)
    return torch.linalg.matrix_norm(group[winner] - group[0]) < 1e-6


def near_asymmetric_unit(
    rotations: Float[Tensor, "n 3 3"], group: Float[Tensor, "g 3 3"], margin: float
) -> Bool[Tensor, " n"]:
    """Mask of the rotations that view from the fundamental domain of ``asymmetric_unit`` or from close to it.

    Parameters
    ----------
    rotations, group
        Rotations, operators (the identity first).
    margin
        Degrees that a view direction may lie beyond a border of the domain: half the spacing of a grid, whose cells
        then cover the domain.
    """
    reference = _REFERENCE[2].to(group)
    # the border towards a mate of the reference direction is the great circle halfway between the two
    towards = group[1:] @ reference - reference
    beyond = rotations.to(group)[:, 2] @ torch.nn.functional.normalize(towards, dim=-1).mT
    return (beyond <= math.sin(math.radians(margin))).all(1)


def _rotation(generator: _Generator) -> Float[Tensor, "3 3"]:
    order, axis = generator
    direction = torch.nn.functional.normalize(torch.tensor(axis, dtype=torch.float64), dim=0)
    return rotvec_to_matrix(direction * (2 * math.pi / order))


def _closure(generators: list[Float[Tensor, "3 3"]]) -> Float[Tensor, "g 3 3"]:
    """The finite group generated: products are added until none is new."""
    elements = torch.eye(3, dtype=torch.float64)[None]
    frontier = elements
    while len(frontier):
        products = torch.cat([frontier @ generator for generator in generators])
        frontier = _unseen(products, elements)
        elements = torch.cat([elements, frontier])
    return elements


def _unseen(candidates: Float[Tensor, "n 3 3"], known: Float[Tensor, "g 3 3"]) -> Float[Tensor, "m 3 3"]:
    fresh = known[:0]
    for candidate in candidates:
        others = torch.cat([known, fresh])
        if (torch.linalg.matrix_norm(others - candidate) > 1e-6).all():
            fresh = torch.cat([fresh, candidate[None]])
    return fresh

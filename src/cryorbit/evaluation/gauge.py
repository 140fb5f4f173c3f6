"""The one rotation, and the hand, by which estimated rotations differ from true ones as a whole.

A map is known up to a rotation and a mirror, and so are the poses refined against it: a volume turned into
``V(G.T x)`` has the poses ``R G.T``. The gauge ``G`` that minimises the chordal distances is the projection of
``sum_i R^_i^T R_i`` on the rotations; because poses that failed are scattered anywhere, it is started from the best
of many single particles' gauges and found with weights that leave far outliers out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.geometry.rotations import angular_distance, nearest_rotation

_CANDIDATES = 128
"""Single particles whose gauges are tried."""
_JUDGES = 1000
"""Particles that each of these is tried on."""
_ROUNDS = 20
_WIDEST_DEG = 15.0
"""Errors far above this are outliers, however common they are."""
_NARROWEST_DEG = 0.01
"""Least scale of errors: rotations may be exact."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """What takes estimated rotations into the frame of the true ones.

    Attributes
    ----------
    rotation
        ``G``: the rotation ``R`` becomes ``R G``.
    hand_flipped
        Whether ``R`` is first replaced by ``J R J``, ``J = diag(1, 1, -1)``, its equal for the mirrored map.
    support
        Weight, in [0, 1], of the particles that agree with the gauge.
    """

    rotation: Float[Tensor, "3 3"]
    hand_flipped: bool
    support: float

    def apply(self, rotations: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n 3 3"]:
        """The rotations in the frame of the true ones."""
        return (mirror_rotations(rotations) if self.hand_flipped else rotations) @ self.rotation


def find_gauge(
    estimated: Float[Tensor, "n 3 3"], true: Float[Tensor, "n 3 3"], operators: Float[Tensor, "g 3 3"]
) -> Gauge:
    """The gauge that brings most of the estimated rotations near to the true ones.

    Parameters
    ----------
    estimated, true
        Rotations of the same particles; any fraction of the estimated ones may be random.
    operators
        Point group of the volume: ``R`` and ``R g`` are the same pose.
    """
    hands = [_gauge_of_hand(each, true, operators) for each in (estimated, mirror_rotations(estimated))]
    flipped = hands[1][1] > hands[0][1]
    rotation, support = hands[int(flipped)]
    return Gauge(rotation, flipped, support)


def mirror_rotations(rotations: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n 3 3"]:
    """The rotations ``J R J`` that give the same projections of the map mirrored in z."""
    sign = rotations.new_tensor([1.0, 1.0, -1.0])
    return rotations * sign * sign[:, None]


def nearest_mates(
    rotations: Float[Tensor, "n 3 3"], true: Float[Tensor, "n 3 3"], operators: Float[Tensor, "g 3 3"]
) -> Float[Tensor, "n 3 3"]:
    """Of the symmetry mates ``R g`` of every true rotation the one nearest to the rotation compared with it."""
    mates = true[:, None] @ operators
    nearness = (mates * rotations[:, None]).sum((-1, -2))
    return mates[torch.arange(len(true), device=true.device), nearness.argmax(1)]


def _gauge_of_hand(
    estimated: Float[Tensor, "n 3 3"], true: Float[Tensor, "n 3 3"], operators: Float[Tensor, "g 3 3"]
) -> tuple[Float[Tensor, "3 3"], float]:
    """Gauge and its support when the hand is given."""
    gauge = _best_candidate(estimated, true, operators)
    for _ in range(_ROUNDS):
        aligned = estimated @ gauge
        mates = nearest_mates(aligned, true, operators)
        weights = _weights(angular_distance(aligned, mates))
        gauge = nearest_rotation((weights[:, None, None] * (estimated.mT @ mates)).sum(0))
    aligned = estimated @ gauge
    error = angular_distance(aligned, nearest_mates(aligned, true, operators))
    return gauge, float(_kernel(error, _WIDEST_DEG).mean())


def _best_candidate(
    estimated: Float[Tensor, "n 3 3"], true: Float[Tensor, "n 3 3"], operators: Float[Tensor, "g 3 3"]
) -> Float[Tensor, "3 3"]:
    """The single particle's gauge with which most other particles agree."""
    candidates = _spread(estimated, _CANDIDATES).mT @ _spread(true, _CANDIDATES)
    aligned = _spread(estimated, _JUDGES)[:, None] @ candidates
    mates = _spread(true, _JUDGES)[:, None] @ operators
    cosine = (aligned.flatten(-2) @ mates.flatten(-2).mT).amax(-1) / 2 - 0.5
    # rounding may take a cosine beyond one
    angle = torch.rad2deg(torch.acos(cosine.clamp(-1.0, 1.0)))
    return candidates[_kernel(angle, _WIDEST_DEG).mean(0).argmax()]


def _weights(error_deg: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Weights of particles whose scale follows the typical error."""
    return _kernel(error_deg, min(max(float(error_deg.median()), _NARROWEST_DEG), _WIDEST_DEG))


def _kernel(error: Tensor, scale: float) -> Tensor:
    """Weights of Geman and McClure: 1 at no error, 1/4 at ``scale``, falling as the fourth power."""
    return (1 + (error / scale).square()).pow(-2)


def _spread(rotations: Float[Tensor, "n 3 3"], count: int) -> Float[Tensor, "m 3 3"]:
    """At most ``count`` of the rotations, evenly spread over the rows."""
    return rotations[torch.linspace(0, len(rotations) - 1, min(count, len(rotations))).round().long()]

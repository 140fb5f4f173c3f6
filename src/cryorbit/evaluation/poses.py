"""Errors of estimated poses against true ones, after what no data can determine is removed.

That is the gauge (a rotation and the hand of the map) and the drift (the place of the map in its box): a map
displaced by ``c`` shifts every particle by the projection of ``R c``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.data import Poses
from cryorbit.evaluation.gauge import Gauge, find_gauge, nearest_mates
from cryorbit.geometry.rotations import angular_distance

_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class PoseErrors:
    """Errors of N poses.

    Attributes
    ----------
    angle_deg
        Angle of the rotation between the estimated and the true pose, degrees.
    view_deg
        Angle between the view directions, degrees.
    in_plane_deg
        Turn about the view direction that is left when the estimated view is carried to the true one by the
        shortest way, degrees.
    shift_A
        Length of the difference of the shifts, A.
    gauge
        The rotation and hand removed.
    drift_A
        ``(x, y, z)``, A: where the estimated map's frame has the centre of the true map, in axes of the true map.
    """

    angle_deg: Float[Tensor, " n"]
    view_deg: Float[Tensor, " n"]
    in_plane_deg: Float[Tensor, " n"]
    shift_A: Float[Tensor, " n"]  # noqa: N815
    gauge: Gauge
    drift_A: Float[Tensor, " 3"]  # noqa: N815

    def summary(self) -> dict[str, float]:
        """Median and 90 % quantile of every error."""
        errors = {
            "angle_{}_deg": self.angle_deg,
            "view_{}_deg": self.view_deg,
            "in_plane_{}_deg": self.in_plane_deg,
            "shift_{}_A": self.shift_A,
        }
        levels = {"median": 0.5, "p90": 0.9}
        return {
            key.format(name): float(values.quantile(level))
            for key, values in errors.items()
            for name, level in levels.items()
        }


def pose_errors(
    estimated: Poses, true: Poses, pixel_size: float, operators: Float[Tensor, "g 3 3"] | None = None
) -> PoseErrors:
    """Errors of ``estimated`` against ``true``, particle by particle.

    Parameters
    ----------
    estimated, true
        Poses of the same particles, shifts in the same pixels.
    pixel_size
        A.
    operators
        Point group of the volume; an error is the least over the symmetry mates of the true pose. Default: C1.
    """
    group = torch.eye(3)[None] if operators is None else operators
    group = group.to(true.rotations).double()
    reference = true.rotations.double()
    gauge = find_gauge(estimated.rotations.double(), reference, group)
    rotations = gauge.apply(estimated.rotations.double())
    mates = nearest_mates(rotations, reference, group)
    difference = estimated.shifts.double() - true.shifts.double()
    drift = _drift(rotations, difference)
    return PoseErrors(
        angle_deg=angular_distance(rotations, mates),
        view_deg=_angle_between(rotations[:, 2], mates[:, 2]),
        in_plane_deg=_twist_deg(rotations @ mates.mT),
        shift_A=(difference - rotations[:, :2] @ drift).norm(dim=-1) * pixel_size,
        gauge=gauge,
        drift_A=drift * pixel_size,
    )


def _drift(rotations: Float[Tensor, "n 3 3"], difference: Float[Tensor, "n 2"]) -> Float[Tensor, " 3"]:
    """The displacement whose projections explain the shift differences, by re-weighted least squares."""
    projection = rotations[:, :2]
    drift = rotations.new_zeros(3)
    for _ in range(_ROUNDS):
        error = (difference - projection @ drift).norm(dim=-1)
        # poses may be exact
        scale = error.median().clamp(min=1e-6)
        weights = (1 + (error / scale).square()).pow(-2)[:, None, None]
        normal = (weights * projection.mT @ projection).sum(0)
        right = (weights * projection.mT @ difference[..., None]).sum(0)
        # views of one direction say nothing of a displacement along it
        drift = (torch.linalg.pinv(normal, hermitian=True) @ right)[:, 0]
    return drift


def _angle_between(a: Float[Tensor, "n 3"], b: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
    """Angle between unit vectors, degrees, accurate also for small angles."""
    return torch.rad2deg(2 * torch.atan2((a - b).norm(dim=-1), (a + b).norm(dim=-1)))


def _twist_deg(rotations: Float[Tensor, "n 3 3"]) -> Float[Tensor, " n"]:
    """Absolute turn about z in the split of rotations into a turn about z and one about an axis across it."""
    sine = rotations[:, 1, 0] - rotations[:, 0, 1]
    cosine = rotations[:, 0, 0] + rotations[:, 1, 1]
    return torch.rad2deg(torch.atan2(sine, cosine).abs())

"""Conventions held to values computed by RELION (``relion.npz``; the maker script is beside it)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Complex
from torch import Tensor

from cryorbit.core.data import CTFParams
from cryorbit.fourier.half_disc import HalfDisc, half_disc, image_transform
from cryorbit.geometry.point_groups import point_group
from cryorbit.geometry.rotations import euler_to_matrix
from cryorbit.imaging.ctf import ctf_values
from cryorbit.imaging.shifts import shift_phases
from cryorbit.imaging.slices import SliceOperator
from cryorbit.volumes.voxel import working_grid

GROUPS = ("C4", "D3", "T", "O", "I", "I1", "I2", "I3", "I4")

TRILINEAR_ERROR = 1.5e-2
"""Both programs interpolate linearly, RELION here at padding 8, cryorbit at padding 2; that is all they differ in."""


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    """Everything in the file."""
    with np.load(Path(__file__).with_name("relion.npz")) as file:
        return dict(file)


@pytest.mark.parametrize("symbol", GROUPS)
def test_point_group_has_relions_operators(symbol: str, golden: dict[str, np.ndarray]) -> None:
    theirs = torch.from_numpy(golden[f"sym_{symbol}"]).double()
    ours = point_group(symbol)
    assert len(theirs) == len(ours)
    distances = torch.linalg.matrix_norm(theirs[:, None] - ours)
    # RELION prints about five digits
    assert distances.amin(0).max() < 3e-5
    assert distances.amin(1).max() < 3e-5


def particle_transforms(
    golden: dict[str, np.ndarray], name: str
) -> tuple[Complex[Tensor, "n p"], Complex[Tensor, "n p"], HalfDisc]:
    """Transforms of RELION's images, moved to the centre by their origins, and our slices in the same poses."""
    images = torch.from_numpy(golden[name])
    disc = half_disc(images.shape[-1], images.shape[-1] / 2 - 1)
    shifts = torch.from_numpy(golden["origins_A"] / golden["pixel_size"])
    theirs = image_transform(images, disc) * shift_phases(shifts, disc)
    rotations = euler_to_matrix(torch.from_numpy(golden["angles"]))
    operator = SliceOperator(working_grid(disc.box, disc.box / 2), disc, rotations.float())
    return theirs, operator.project(torch.from_numpy(golden["map"])), disc


def relative_error(ours: Tensor, theirs: Tensor) -> Tensor:
    """Norm of the difference of each row over the norm of the row."""
    return (ours - theirs).norm(dim=-1) / theirs.norm(dim=-1)


def test_slices_in_relions_poses(golden: dict[str, np.ndarray]) -> None:
    """Angles and sign of the origins."""
    theirs, ours, _ = particle_transforms(golden, "projections")
    assert relative_error(ours, theirs).max() < TRILINEAR_ERROR


@pytest.mark.parametrize("wrong", ["transposed", "mirrored", "unshifted"])
def test_other_conventions_would_be_seen(wrong: str, golden: dict[str, np.ndarray]) -> None:
    changed = dict(golden)
    if wrong == "transposed":
        changed["angles"] = -golden["angles"][:, ::-1]
    elif wrong == "mirrored":
        changed["map"] = golden["map"][::-1].copy()
    else:
        changed["origins_A"] = -golden["origins_A"]
    theirs, ours, _ = particle_transforms(changed, "projections")
    assert relative_error(ours, theirs).min() > 5 * TRILINEAR_ERROR


def test_slices_with_ctf(golden: dict[str, np.ndarray]) -> None:
    theirs, slices, disc = particle_transforms(golden, "projections_ctf")
    u, v, angle, phase, voltage, cs, w = torch.from_numpy(golden["optics"]).unbind(1)
    none, one = torch.zeros_like(u), torch.ones_like(u)
    params = CTFParams(u, v, torch.deg2rad(angle), voltage, cs, w, torch.deg2rad(phase), none, one)
    ctf = ctf_values(params, disc.frequencies / (disc.box * float(golden["pixel_size"])))
    assert relative_error(ctf * slices, theirs).max() < TRILINEAR_ERROR
    assert relative_error(-ctf * slices, theirs).min() > 1

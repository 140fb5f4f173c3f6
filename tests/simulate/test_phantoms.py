"""Blob phantoms: compact, centred, without symmetry, and consistent with their closed-form projections."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.geometry.point_groups import point_group
from cryorbit.geometry.rotations import euler_to_matrix
from cryorbit.simulate.phantoms import Blobs, blob_projections, blob_volume, random_blob_phantom, random_blobs


@settings(deadline=None, max_examples=10)
@given(box=st.sampled_from([16, 24, 32, 48]), seed=st.integers(0, 2**31))
def test_phantom_is_positive_centred_and_inside_the_sphere(box: int, seed: int) -> None:
    volume = random_blob_phantom(box, torch.Generator().manual_seed(seed)).double()
    assert volume.shape == (box,) * 3
    assert volume.min() == 0
    axis = torch.arange(box, dtype=torch.float64) - box // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    for coordinate in (x, y, z):
        assert abs(float((coordinate * volume).sum() / volume.sum())) < 0.02
    outside = torch.sqrt(x**2 + y**2 + z**2) > box / 2 - 1
    assert volume[outside].sum() < 1e-3 * volume.sum()


def test_same_seed_same_phantom() -> None:
    first, again, other = (random_blob_phantom(16, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_no_two_fold_symmetry(generator: torch.Generator) -> None:
    blobs = random_blobs(32, generator)
    volume = blob_volume(blobs, 32)
    for operator in point_group("D2")[1:]:
        turned = blob_volume(Blobs(blobs.centers @ operator.mT, blobs.widths, blobs.heights), 32)
        assert torch.corrcoef(torch.stack([volume.flatten(), turned.flatten()]))[0, 1] < 0.95


def test_projection_along_z_is_the_sum_over_z(generator: torch.Generator) -> None:
    blobs = random_blobs(32, generator)
    projection = blob_projections(blobs, torch.eye(3)[None], 32)[0]
    torch.testing.assert_close(projection.float(), blob_volume(blobs, 32).sum(0), atol=2e-2, rtol=0)


def test_in_plane_angle_turns_the_projection() -> None:
    """In the pose psi = 90 degrees a blob on the x axis appears on the negative y axis."""
    blob = Blobs(torch.tensor([[4.0, 0.0, 0.0]], dtype=torch.float64), torch.tensor([1.0]), torch.tensor([1.0]))
    rotation = euler_to_matrix(torch.tensor([[0.0, 0.0, 90.0]], dtype=torch.float64))
    image = blob_projections(blob, rotation, 16)[0]
    y, x = divmod(int(image.argmax()), 16)
    assert (x - 8, y - 8) == (0, -4)

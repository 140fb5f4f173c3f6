"""Gather and insert: adjoint to each other, kernels equal to the reference, exact for what trilinear can hold."""

import pytest
import torch
from places import IMPLEMENTATIONS, KERNELS, implementation

from cryorbit.fourier.half_disc import half_disc
from cryorbit.geometry.rotations import random_rotations
from cryorbit.kernels.gather import gather_torch
from cryorbit.kernels.table import GATHER, INSERT

SIZE, PAD = 20, 2


def _random_half(generator, dtype=torch.complex64, size=SIZE):
    volume = torch.randn(size, size, size, generator=generator)
    return torch.fft.rfftn(volume).to(dtype)


@pytest.mark.parametrize("place", IMPLEMENTATIONS)
def test_insert_is_the_adjoint_of_gather(place, generator):
    gather, insert = implementation(GATHER, place), implementation(INSERT, place)
    disc = half_disc(16, 4)
    rotations = random_rotations(7, generator).float()
    volume = _random_half(generator)
    values = torch.randn(7, len(disc), dtype=torch.complex64, generator=generator)
    slices = gather(volume, rotations, disc.frequencies, PAD)
    inserted, _ = insert(values, values.real, rotations, disc.frequencies, SIZE, PAD)
    assert inserted.shape == volume.shape
    left = torch.vdot(slices.flatten(), values.flatten()).real
    # conjugation of mirrored points is linear over the reals only: the real inner product is the one that matters
    right = torch.vdot(volume.flatten(), inserted.flatten()).real
    torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("place", KERNELS)
@pytest.mark.parametrize(("size", "radius"), [(SIZE, 4.5), (2 * SIZE, 9.7)])
def test_kernels_equal_the_reference(generator, size, radius, place):
    """With fewer points than a block of the kernel holds, and with more, up to the edge of the grid."""
    disc = half_disc(32, radius)
    rotations = random_rotations(11, generator).float()
    volume = _random_half(generator, size=size)
    arguments = (rotations, disc.frequencies)
    reference = GATHER.reference(volume, *arguments, PAD)
    compiled = implementation(GATHER, place)(volume, *arguments, PAD)
    torch.testing.assert_close(compiled, reference, rtol=1e-4, atol=1e-3)
    values = torch.randn(11, len(disc), dtype=torch.complex64, generator=generator)
    weights = torch.rand(11, len(disc), generator=generator)
    expected = INSERT.reference(values, weights, *arguments, size, PAD)
    obtained = implementation(INSERT, place)(values, weights, *arguments, size, PAD)
    torch.testing.assert_close(obtained, expected, rtol=1e-4, atol=1e-4)


def test_gather_in_the_reference_pose_reads_the_plane_z_0(generator):
    disc = half_disc(16, 4)
    volume = _random_half(generator)
    slices = gather_torch(volume, torch.eye(3)[None], disc.frequencies, PAD)
    kx, ky = (PAD * disc.frequencies).long().unbind(-1)
    torch.testing.assert_close(slices[0], volume[0, ky % SIZE, kx])

"""Half volumes that slices were inserted into, completed."""

import torch

from cryorbit.fourier.interpolation import join_mates

SIZE = 20


def test_join_mates_makes_the_plane_hermitian(generator):
    half = torch.randn(SIZE, SIZE, SIZE // 2 + 1, dtype=torch.complex64, generator=generator)
    plane = join_mates(half)[..., 0]
    mirrored = torch.roll(plane.flip(0, 1), (1, 1), (0, 1)).conj()
    torch.testing.assert_close(plane, mirrored)
    torch.testing.assert_close(join_mates(half)[..., 1:], half[..., 1:])

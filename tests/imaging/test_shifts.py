"""Shifts as phases: the sign that centres an image, and that they compose."""

import torch

from cryorbit.fourier.half_disc import half_disc, image_transform
from cryorbit.imaging.shifts import shift_phases


def test_a_shift_centres_the_particle(generator: torch.Generator) -> None:
    """The particle sits at the centre minus the shift: rolling by the shift is what the phases do."""
    disc = half_disc(16, 7)
    images = torch.randn(3, 16, 16, generator=generator)
    shifts = torch.tensor([[2.0, 0.0], [0.0, -3.0], [-4.0, 1.0]])
    centred = torch.stack([image.roll((int(y), int(x)), (0, 1)) for image, (x, y) in zip(images, shifts, strict=True)])
    moved = image_transform(images, disc) * shift_phases(shifts, disc)
    torch.testing.assert_close(moved, image_transform(centred, disc), rtol=0, atol=1e-5)


def test_shifts_add(generator: torch.Generator) -> None:
    disc = half_disc(16, 7)
    a, b = torch.randn(2, 5, 2, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(shift_phases(a, disc) * shift_phases(b, disc), shift_phases(a + b, disc))
    assert shift_phases(a, disc).dtype == torch.complex64

"""Resampling: crops and pads transforms, moves nothing, and takes any ratio of pixels."""

import pytest
import torch

from cryorbit.fourier.resampling import resampled
from cryorbit.volumes.voxel import resample


def gaussian(size: int, pixel_size: float, sigma: float = 12.0) -> torch.Tensor:
    """A Gaussian of a few pixels, beside the centre by 5 A along x."""
    axis = (torch.arange(size).double() - size // 2) * pixel_size
    return torch.exp(-(axis[:, None, None] ** 2 + axis[:, None] ** 2 + (axis - 5) ** 2) / (2 * sigma**2))


def test_equal_pixels_are_cropped_and_padded(generator: torch.Generator) -> None:
    volume = torch.randn(16, 16, 16, generator=generator).double()
    torch.testing.assert_close(resampled(volume, 3, 10, 1.0), volume[3:13, 3:13, 3:13])
    padded = resampled(volume, 3, 20, 1.0)
    torch.testing.assert_close(padded[2:18, 2:18, 2:18], volume)
    assert float(padded[:2].abs().max()) == 0


@pytest.mark.parametrize("size", [10, 12, 24])
def test_an_equal_field_of_view_is_the_crop_of_the_transform(size: int, generator: torch.Generator) -> None:
    # without the row at Nyquist, which one of the two ways splits
    volume = resample(resample(torch.randn(16, 16, 16, generator=generator).double(), 14), 16)
    torch.testing.assert_close(resampled(volume, 3, size, 16 / size), resample(volume, size))


@pytest.mark.parametrize(("old", "new"), [((64, 2.8), (40, 5.5)), ((33, 5.0), (30, 5.5)), ((48, 5.5), (64, 3.1))])
def test_any_ratio_of_pixels_and_any_box(old: tuple[int, float], new: tuple[int, float]) -> None:
    values = resampled(gaussian(*old), 3, new[0], new[1] / old[1])
    torch.testing.assert_close(values, gaussian(*new), rtol=0, atol=1e-7)


def test_images_of_a_batch_are_resampled_one_by_one() -> None:
    images = gaussian(40, 3.0)[18:22]
    assert resampled(images, 2, 24, 5.0 / 3.0).shape == (4, 24, 24)
    torch.testing.assert_close(resampled(images, 2, 24, 5.0 / 3.0)[2], resampled(images[2], 2, 24, 5.0 / 3.0))

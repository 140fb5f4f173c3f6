"""The particle's diameter: found for a phantom of known size, not found in noise."""

from pathlib import Path

import pytest
import torch

from cryorbit.imaging.masks import soft_ball
from cryorbit.inference.diameter import estimate_diameter
from cryorbit.simulate.microscope import Microscope, draw_ctf
from phantom_sets import phantom_set, write_source

BOX, PIXEL_SIZE = 48, 4.0


@pytest.mark.parametrize("radius", [7.0, 12.0])
def test_a_ball_of_known_size(radius: float, tmp_path: Path, generator: torch.Generator) -> None:
    """Not smaller than it is, and larger by no more than what the CTF and the shifts spread, some 18 A to a side."""
    ball = soft_ball(BOX, radius, 1.0) * (1 + 0.5 * torch.randn(BOX, BOX, BOX, generator=generator))
    particles = phantom_set(tmp_path, [ball], 150, 0.3, generator, pixel_size=PIXEL_SIZE, shift_sigma=0.5)
    diameter = estimate_diameter(particles.source, particles.everything)
    assert diameter is not None
    truth = 2 * radius * PIXEL_SIZE
    assert 0.8 * truth <= diameter <= truth + 36


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_diameter(seed: int, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(seed)
    ctf, _ = draw_ctf(200, Microscope(), generator)
    source = write_source(tmp_path / "noise.mrcs", torch.randn(200, BOX, BOX, generator=generator), ctf, PIXEL_SIZE)
    assert estimate_diameter(source, torch.arange(200)) is None

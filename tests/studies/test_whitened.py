"""Whitened coordinates: the same sum, its gradient by the chain rule, and a flatter curvature."""

import torch

from cryorbit.fourier.shells import shell_indices
from cryorbit.inference.volume_oracle import VolumeOracle
from cryorbit.optim.protocols import CurvatureOracle
from cryorbit.studies.paul2024.volumes.whitened import WhitenedOracle
from small_oracle import random_unknown, small_oracle


def test_values_and_gradients_are_those_of_the_plain_sum(generator: torch.Generator) -> None:
    oracle = small_oracle(6, generator)
    flat, idx = WhitenedOracle.of(oracle), torch.tensor([0, 3])
    y, direction = random_unknown(oracle, generator), random_unknown(oracle, generator)
    found = flat.evaluate(y, idx)
    torch.testing.assert_close(found.value, oracle.value(flat.coloured(y), idx))
    step = 1e-5
    ends = [oracle.value(flat.coloured(y + sign * step * direction), idx) for sign in (1, -1)]
    torch.testing.assert_close((found.field * direction).sum(), (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=0)


def test_there_and_back(generator: torch.Generator) -> None:
    oracle = small_oracle(4, generator)
    flat, x = WhitenedOracle.of(oracle), random_unknown(oracle, generator)
    assert isinstance(flat, CurvatureOracle)
    assert flat.num_terms == 4
    torch.testing.assert_close(flat.coloured(flat.whitened(x)), x, atol=1e-10, rtol=1e-10)
    assert torch.equal(flat.curvature(x), torch.ones_like(x))


def test_the_curvature_of_even_poses_is_flatter(generator: torch.Generator) -> None:
    oracle = small_oracle(6, generator)
    flat, noise = WhitenedOracle.of(oracle), random_unknown(oracle, generator)
    plain, whitened = [], []
    for shell in (1, 2):
        inside = (shell_indices(noise.shape[-1]) == shell).double()
        vector = torch.fft.irfftn(torch.fft.rfftn(noise[0]) * inside, s=noise.shape[1:])[None]
        for found, seen in ((plain, vector), (whitened, flat.coloured(vector))):
            found.append(float((seen * expected_curvature(oracle, seen)).sum() / vector.square().sum()))
    assert plain[0] > 1.5 * plain[1]
    # the outer half of shell 2 is beyond the radius of the images
    assert 1 / 1.4 < whitened[0] / whitened[1] < 1.4
    assert max(whitened) < 1.1


def expected_curvature(oracle: VolumeOracle, x: torch.Tensor) -> torch.Tensor:
    """W of evenly spread poses times the slices of ``x``, back-projected."""
    weight = 2 * oracle.model.quadrature.log_weight.exp()[:, None] * oracle.observations.weight.mean(0)
    return (
        oracle.model.operator.backproject(weight * oracle.model.operator.project(oracle.model.density(x)))[None]
        * oracle.model.scale
    )

"""Class posteriors: what spreading them does, and what it leaves alone."""

import math

import torch

from cryorbit.inference.class_mixing import class_mass, mix_classes
from cryorbit.inference.marginal import Posterior, pose_posterior
from phantom_sets import PhantomSet


def posterior_of_three_images() -> Posterior:
    """Two classes of five slices: images in the first, in both, and in the second."""
    return Posterior(
        image=torch.tensor([0, 0, 1, 1, 2]),
        slice=torch.tensor([0, 4, 1, 7, 9]),
        shift=torch.zeros(5, dtype=torch.long),
        gamma=torch.tensor([0.25, 0.75, 0.9, 0.1, 1.0]),
        log_evidence=torch.zeros(3),
        effective=torch.ones(3),
    )


def test_mixing_spreads_the_class_posterior_and_nothing_else() -> None:
    posterior = posterior_of_three_images()
    mass = class_mass(posterior, 5, 2, 3)
    torch.testing.assert_close(mass, torch.tensor([[1.0, 0], [0.9, 0.1], [0, 1.0]]))
    mixed = mix_classes(posterior, mass, 5, 0.2)
    after = class_mass(mixed, 5, 2, 3)
    # where a class has no pose at all there is nothing to weigh up
    torch.testing.assert_close(after, torch.tensor([[0.9, 0], [0.82, 0.18], [0, 0.9]]))
    torch.testing.assert_close(mixed.gamma[:2] / posterior.gamma[:2], torch.full((2,), 0.9))
    assert mix_classes(posterior, mass, 5, 0.0) is posterior


def test_mixing_keeps_the_sum_of_posteriors(clear_set: PhantomSet) -> None:
    band = clear_set.band(5.0)
    observations = clear_set.source.observe(torch.arange(10), band.disc, band.noise_variance)
    per_class, slices = 20, torch.randn(20, len(band.disc), dtype=torch.complex64) * 0.01
    prior = torch.full((40,), -math.log(40))
    phases = torch.ones(1, len(band.disc), dtype=torch.complex64)
    posterior = pose_posterior(observations, slices, phases, prior)
    mass = class_mass(posterior, per_class, 2, 10)
    mixed = mix_classes(posterior, mass, per_class, 0.5)
    expected = 0.5 * mass + 0.25
    torch.testing.assert_close(class_mass(mixed, per_class, 2, 10), expected, rtol=1e-4, atol=1e-5)

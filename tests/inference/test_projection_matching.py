"""Projection matching: the best pose of every image against all poses tried one by one."""

import torch

from cryorbit.imaging.shifts import shift_phases
from cryorbit.imaging.slices import SliceOperator
from cryorbit.inference.projection_matching import ProjectionMatching, match_slices
from cryorbit.optim.blocks import Blocks
from cryorbit.optim.em import EM
from small_oracle import random_unknown, small_oracle


def test_every_image_goes_to_its_most_correlated_slice(generator: torch.Generator) -> None:
    oracle = small_oracle(4, generator)
    x = random_unknown(oracle, generator)
    scores, found = match_slices(oracle.observations, oracle.model.nodes(x))
    half_turn = torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)[:, None]
    rotations = torch.cat([oracle.model.quadrature.rotations, oracle.model.quadrature.rotations * half_turn])
    slices = SliceOperator(oracle.model.operator.grid, oracle.model.operator.disc, rotations).project(
        oracle.model.density(x)
    )
    phases = shift_phases(oracle.model.quadrature.shifts, oracle.model.operator.disc)
    data, weight = torch.zeros_like(found.data), torch.zeros_like(found.weight)
    for number in range(4):
        image, seen = oracle.observations.data[number], oracle.observations.weight[number]
        fit = (slices.conj()[:, None] * phases * image).real.sum(-1)
        energy = (seen * slices.abs() ** 2).sum(-1)
        rotation, shift = divmod(int((fit / energy.sqrt()[:, None]).argmax()), len(phases))
        torch.testing.assert_close(scores[number], fit[rotation, shift] - energy[rotation] / 2, rtol=1e-6, atol=1e-6)
        moved = phases[shift] * image
        turned, place = divmod(rotation, len(found.data))
        data[place] += moved.conj() if turned else moved
        weight[place] += seen
    torch.testing.assert_close(found.data, data, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.weight, weight)


def test_statistics_are_means_over_images(generator: torch.Generator) -> None:
    matching = ProjectionMatching(small_oracle(5, generator))
    x = random_unknown(matching.exact, generator)
    parts = [matching.expect(x, part) for part in torch.arange(5).split([2, 3])]
    whole = matching.expect(x, None)
    torch.testing.assert_close((2 * parts[0].statistics + 3 * parts[1].statistics) / 5, whole.statistics)
    torch.testing.assert_close((2 * parts[0].value + 3 * parts[1].value) / 5, whole.value)


def test_reconstruction_from_the_poses_found_fits_them_better(generator: torch.Generator) -> None:
    matching = ProjectionMatching(small_oracle(40, generator))
    blocks = Blocks(matching)
    x = 0.2 * random_unknown(matching.exact, generator)
    first = float(matching.expect(x, None).value)
    for _ in range(3):
        x, _ = EM().step(blocks, x, EM().init(blocks, x), [0], generator)
    assert float(matching.expect(x, None).value) < first - 0.1

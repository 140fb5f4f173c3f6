"""Iterative projection matching: every image is given to the one pose whose slice correlates with it best.

The classical scheme that Punjani & Brubaker (2014) compare with. It fits the shape of the E-step and M-step: the
posterior is replaced by the best node under the normalised correlation

    Re sum conj(Y) S data / sqrt(sum weight |Y|^2),

which does not ask how strong the image is, and the map is reconstructed from the poses found.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cryorbit.core.chunks import chunk_size, chunks
from cryorbit.core.memory import batch_bytes
from cryorbit.imaging.observations import Observations
from cryorbit.inference.full_marginal import BUDGET_BYTES, Nodes
from cryorbit.inference.grid_scores import Parts, even_and_odd, model_energy, parts_of, shifted_images, squared
from cryorbit.inference.marginal import SliceStatistics
from cryorbit.inference.volume_oracle import Index, VolumeOracle
from cryorbit.optim.protocols import Evaluation, Expectation


@dataclass(frozen=True, slots=True)
class ProjectionMatching:
    """The sum of ``exact`` with its E-step replaced by the best pose of every image; EM on it is projection matching.

    Attributes
    ----------
    exact
        The sum over poses.
    """

    exact: VolumeOracle

    @property
    def num_terms(self) -> int:
        """Number of images."""
        return self.exact.num_terms

    def evaluate(self, x: Float[Tensor, "1 n n n"], idx: Index) -> Evaluation:
        """Mean value and gradient of the sum over poses: there is nothing else to descend."""
        return self.exact.evaluate(x, idx)

    def expect(self, x: Float[Tensor, "1 n n n"], idx: Index) -> Expectation:
        """Mean misfit at the best poses relative to noise, and mean D and W at these poses."""
        chosen = self.exact.chosen(idx)
        scores, statistics = match_slices(chosen, self.exact.model.nodes(x))
        return Expectation(-scores.mean(), self.exact.model.insert(statistics) / len(chosen))

    def maximise(self, statistics: Float[Tensor, "3 q q h"]) -> Float[Tensor, "1 n n n"]:
        """Reconstruction from the poses found."""
        return self.exact.maximise(statistics)

    def admissible(
        self, statistics: Float[Tensor, "3 q q h"], reference: Float[Tensor, "3 q q h"]
    ) -> Float[Tensor, "3 q q h"]:
        """As for the sum over poses."""
        return self.exact.admissible(statistics, reference)


def match_slices(observations: Observations, nodes: Nodes) -> tuple[Float[Tensor, " n"], SliceStatistics]:
    """Log-likelihood ratio of every image at its best node, and D and W of every rotation, half turns turned back."""
    power, slices = squared(nodes.slices), parts_of(nodes.slices)
    data, weight, scores = torch.zeros_like(nodes.slices), torch.zeros_like(power), []
    size = 4 * power.element_size() * len(nodes.phases) * len(nodes.slices)
    budget = batch_bytes(nodes.slices.device, BUDGET_BYTES)
    for rows in chunks(len(observations), chunk_size(size, budget, len(observations))):
        part = observations[rows]
        shifted = shifted_images(part.data, nodes.phases)
        score, rotation, shift, conjugate = _best(parts_of(shifted), model_energy(part.weight, power), slices)
        image = torch.arange(len(part), device=shift.device)
        taken = shifted.unflatten(0, (len(part), -1))[image, shift]
        data.index_add_(0, rotation, torch.where(conjugate[:, None], taken.conj(), taken))
        weight.index_add_(0, rotation, part.weight)
        scores.append(score)
    return torch.cat(scores), SliceStatistics(data, weight)


def _best(
    shifted: Parts, energy: Float[Tensor, "b g"], slices: Parts
) -> tuple[Float[Tensor, " b"], Int[Tensor, " b"], Int[Tensor, " b"], Bool[Tensor, " b"]]:
    """Score, rotation and shift of the best node of each image, and whether it is the half turn."""
    images, rotations = energy.shape
    even, odd = (each.unflatten(0, (images, -1)) for each in even_and_odd(shifted, slices))
    # of a rotation and its half turn, the better one has a + |b|
    fit = even + odd.abs()
    number = (fit * energy.clamp_min(torch.finfo(energy.dtype).tiny).rsqrt()[:, None]).flatten(1).argmax(1)
    shift, rotation = torch.div(number, rotations, rounding_mode="floor"), number % rotations
    image = torch.arange(len(number), device=number.device)
    score = fit[image, shift, rotation] - energy[image, rotation]
    return score, rotation, shift, odd[image, shift, rotation] < 0

"""Importance sampling of the quadrature over poses: fewer nodes, the same sum within a stated error.

As in Brubaker, Punjani & Fleet (2015), every image is scored at poses drawn from a proposal q and the sum over the
quadrature's nodes becomes a mean over draws, ``sum_j w_j p_j = mean_s w_s p_s / q_s``, which has no bias whatever q
is. Their proposal is the posterior that the image had some epochs ago; here it is the posterior on a coarser
quadrature, now: nothing has to be remembered, so that an interrupted run goes on to the same bits, and nothing is
stale. The coarse posterior is tempered and mixed with the uniform density, so that no node is out of reach, and
shared out over the fine nodes of each coarse cell. Draws are systematic, with one random number an image that never
changes: a line search sees one objective. Shifts are summed over at every rotation that is drawn.

Suffix legend: B images, C coarse nodes, F fine nodes (rotations and, after them, their half turns), E distinct draws.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.inference.full_marginal import Block, posteriors
from cryorbit.inference.pose_quadrature import PoseQuadrature
from cryorbit.inference.scaled_density import ScaledDensity
from cryorbit.inference.volume_oracle import Index, VolumeOracle
from cryorbit.optim.protocols import Evaluation


@dataclass(frozen=True, slots=True)
class Estimate:
    """Log-likelihoods from draws.

    Attributes
    ----------
    log_evidence
        Of each image relative to pure noise, nats.
    error
        Standard error of each, nats, as the spread of the draws tells it (systematic draws do better).
    nodes
        Poses evaluated, coarse ones included, in the mean over images.
    image, rotation
        Image and rotation of each distinct draw.
    gamma
        Posterior of each distinct draw and shift.
    """

    log_evidence: Float[Tensor, " b"]
    error: Float[Tensor, " b"]
    nodes: float
    image: Int[Tensor, " e"]
    rotation: Float[Tensor, "e 3 3"]
    gamma: Float[Tensor, "e t"]


@dataclass(frozen=True, slots=True)
class SampledOracle:
    """The sum of ``exact`` estimated from draws; made by ``of``.

    Attributes
    ----------
    exact
        The sum over all nodes.
    coarse
        The same density at the poses of the coarser quadrature.
    cell
        Coarse node that each fine one belongs to.
    share
        Part of its cell's weight that each fine node has.
    offset
        The random number of each image.
    draws
        An image.
    explore
        Part of the proposal that is uniform.
    temperature
        The coarse posterior is raised to the inverse of it.
    """

    exact: VolumeOracle
    coarse: ScaledDensity
    cell: Int[Tensor, " f"]
    share: Float[Tensor, " f"]
    offset: Float[Tensor, " n"]
    draws: int
    explore: float = 0.05
    temperature: float = 2.0

    @classmethod
    def of(cls, exact: VolumeOracle, coarse: PoseQuadrature, draws: int, seed: int) -> SampledOracle:
        """``draws`` poses an image, proposed by the posterior on the quadrature ``coarse``."""
        fitted = coarse.to(exact.observations.data)
        operator = replace(exact.model.operator, rotations=fitted.rotations)
        fine, cells = both_turns(exact.model.quadrature), both_turns(fitted)
        cell = _nearest(fine, cells)
        weight = exact.model.quadrature.log_weight.exp().repeat(2)
        total = torch.zeros(len(cells)).to(weight).index_add_(0, cell, weight)
        offset = torch.rand(exact.num_terms, generator=generator_for(seed, "draws of poses"), dtype=torch.float64)
        small = replace(exact.model, operator=operator, quadrature=fitted)
        return cls(exact, small, cell, weight / total[cell], offset.to(cell.device), draws)

    @property
    def num_terms(self) -> int:
        """Number of images."""
        return self.exact.num_terms

    def evaluate(self, x: Float[Tensor, "1 n n n"], idx: Index) -> Evaluation:
        """Mean value and gradient, estimated from the draws."""
        model, chosen, drawn = self.exact.model, self.exact.chosen(idx), self.estimate(x, idx)
        operator = replace(model.operator, rotations=drawn.rotation)
        phases = model.phases(chosen.data)
        data = (drawn.gamma.to(phases) @ phases) * chosen.data[drawn.image]
        weight = drawn.gamma.sum(1, keepdim=True) * chosen.weight[drawn.image]
        slices = operator.project(model.density(x))
        pull = operator.backproject(weight * slices - data)[None] * (model.scale / len(chosen))
        return Evaluation(model.prior_value(x) - drawn.log_evidence.mean(), pull + model.prior_gradient(x))

    def curvature(self, x: Float[Tensor, "1 n n n"]) -> Float[Tensor, "1 n n n"]:
        """As of the sum over all nodes."""
        return self.exact.curvature(x)

    def estimate(self, x: Float[Tensor, "1 n n n"], idx: Index) -> Estimate:
        """Log-likelihoods and posteriors from the draws."""
        model, chosen = self.exact.model, self.exact.chosen(idx)
        quadrature, phases = model.quadrature, model.phases(chosen.data)
        offset = self.offset if idx is None else self.offset[idx]
        parts = [self._draw(block, offset[block.rows]) for block in posteriors(chosen, self.coarse.nodes(x))]
        image, node, count, density = (torch.cat(part) for part in zip(*parts, strict=True))
        rotation = both_turns(quadrature)[node]
        sliced = model.operator.grid.model(model.density(x)[None])
        candidates = (image, torch.zeros_like(image), rotation)
        scores = sliced.scores(chosen.data, chosen.weight, candidates, model.operator.disc.frequencies, phases)
        factor = quadrature.log_weight.repeat(2)[node] + (count / (self.draws * density)).log()
        evidence, gamma = _normalised(scores + (factor[:, None] + quadrature.log_shift_weight), image, len(chosen))
        squares = torch.zeros_like(evidence).index_add_(0, image, gamma.sum(1) ** 2 / count)
        nodes = self.coarse.quadrature.count + len(image) * len(phases) / len(chosen)
        # systematic draws may spread less than independent ones, whose error this is
        return Estimate(evidence, (squares - 1 / self.draws).clamp_min(0).sqrt(), nodes, image, rotation, gamma)

    def _draw(self, block: Block, offset: Float[Tensor, " b"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Image and fine node of every distinct draw, how often it was drawn, and the density it was drawn from."""
        images, nodes = len(block.log_evidence), len(self.cell)
        both = torch.cat([block.plus, block.minus], 1).unflatten(0, (images, -1)).sum(1)
        proposal = self._proposal(both)
        cumulative = proposal.double().cumsum(1)
        ticks = (offset[:, None] + torch.arange(self.draws, device=offset.device)) / self.draws
        node = torch.searchsorted(cumulative, ticks * cumulative[:, -1:])
        number = torch.arange(images, device=node.device)[:, None] * nodes + node
        key, count = torch.unique(number, return_counts=True)
        image, node = torch.div(key, nodes, rounding_mode="floor"), key % nodes
        return image + block.rows.start, node, count.to(proposal), proposal[image, node]

    def _proposal(self, coarse: Float[Tensor, "b c"]) -> Float[Tensor, "b f"]:
        """Density over fine nodes: the tempered coarse posterior, and a uniform part."""
        tempered = coarse ** (1 / self.temperature)
        tempered = tempered / tempered.sum(1, keepdim=True)
        uniform = self.exact.model.quadrature.log_weight.exp().repeat(2)
        density = (1 - self.explore) * tempered[:, self.cell] * self.share + self.explore * uniform
        # what falls on coarse cells without a fine node would be missing
        return density / density.sum(1, keepdim=True)


def both_turns(quadrature: PoseQuadrature) -> Float[Tensor, "f 3 3"]:
    """All rotations of a quadrature: those listed, and after them their half turns."""
    turn = quadrature.rotations.new_tensor([-1.0, -1.0, 1.0])[:, None]
    return torch.cat([quadrature.rotations, turn * quadrature.rotations])


def _nearest(fine: Float[Tensor, "f 3 3"], coarse: Float[Tensor, "c 3 3"]) -> Int[Tensor, " f"]:
    """The nearest coarse rotation of each fine one: distances of matrices grow with the angle between rotations."""
    tree = cKDTree(coarse.double().flatten(1).cpu().numpy())
    return torch.as_tensor(tree.query(fine.double().flatten(1).cpu().numpy())[1], device=fine.device)


def _normalised(
    scores: Float[Tensor, "e t"], image: Int[Tensor, " e"], images: int
) -> tuple[Float[Tensor, " b"], Float[Tensor, "e t"]]:
    """Logarithm of the sum of each image's exponentials, and the posterior of each entry."""
    peak = scores.new_full((images,), -torch.inf).scatter_reduce(0, image, scores.amax(1), "amax")
    joint = (scores - peak[image, None]).exp()
    total = torch.zeros_like(peak).index_add_(0, image, joint.sum(1))
    return peak + total.log(), joint / total[image, None]

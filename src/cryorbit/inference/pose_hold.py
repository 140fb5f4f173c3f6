"""Whether known poses hold: how much of the posterior of an image lies where a search around its pose does not look."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.inference.band import Band
from cryorbit.inference.candidates import Candidates
from cryorbit.inference.local_search import Descent, batch_size, cells_of, descend
from cryorbit.inference.pose_estimates import Reach, posterior_beyond


def posterior_elsewhere(
    source: ParticleSource,
    index: Int[Tensor, " n"],
    cells: Candidates,
    unknown: Float[Tensor, "k ..."],
    band: Band,
    descent: Descent,
    known: Float[Tensor, "n k 3 3"],
    reach: float,
) -> Float[Tensor, " n"]:
    """Posterior mass of each image, from 0 to 1, beyond a reach around its known pose in each class.

    A best pose that a search finds again says little where the posterior is flat: a map made from poses around the
    best ones alone lacks most of what the images allow, and agrees with itself all the same.

    Parameters
    ----------
    source, index
        The particles, in the order of their numbers.
    cells, unknown, band, descent
        A search over all poses, as for ``local_search.refine_poses``.
    known
        Rotations in each class.
    reach
        Degrees around them or their symmetry mates.
    """
    model = band.grid.model(unknown)
    near = Reach(descent.space.symmetry, reach)

    def beyond(part: slice) -> Float[Tensor, " b"]:
        observations = source.observe(index[part], band.disc, band.noise_variance)
        candidates, posterior, _ = descend(cells_of(cells, part), observations, model, band, descent)
        return posterior_beyond(candidates, posterior, known[part], near)

    return torch.cat(source.shards.run(beyond, index, batch_size(band.disc)))

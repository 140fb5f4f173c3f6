"""What parts of a set say against each other: sets of two kinds that were joined, of which no map can come right.

Tables are joined one below the other, and their optics groups kept apart or lost. The parts are the optics groups or,
where there is one, the beginning and the end of the table.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.inference.ctf_multiplication import multiplied_images
from cryorbit.inference.noise import background_spectrum
from cryorbit.io.contrast import opposite_contrasts, rarer_contrast
from cryorbit.io.particles import Particles
from cryorbit.recipes.image_warnings import multiplication_contradicted, on_noise

GROUP = "rlnOpticsGroup"
FEWEST = 20
"""Particles of a part, at least."""
MOST_GROUPS = 10
"""Optics groups that are judged one by one; where there are more, they are beam positions of one session."""
LOOKED_AT = 100
"""Images of a part whose noise is measured."""
MIXTURE_LOOKED_AT = 600
"""Images that are looked at one by one."""
MULTIPLICATION_FIX = (
    "give the sets that were joined one by one; --premultiplied and --not-premultiplied take all images as of one kind"
)
CONTRAST_FIX = (
    "multiply the images of one contrast by -1 (relion_image_handler --multiply_constant -1), or give each set by "
    "itself; --invert-contrast and --no-invert take them as they are"
)


def parts_of(particles: Particles) -> dict[str, Int[Tensor, " _m"]]:
    """Indices of the particles of each part of a set, by a name for people; none in a small set."""
    groups = particles.table.get(GROUP)
    if groups is not None and 1 < groups.nunique() <= MOST_GROUPS:
        places = groups.reset_index(drop=True).groupby(groups.to_numpy()).indices
        parts = {f"optics group {name}": torch.from_numpy(where) for name, where in places.items()}
    else:
        third, everything = len(particles) // 3, torch.arange(len(particles))
        ends = {"first": everything[:third], "last": everything[len(particles) - third :]}
        parts = {f"the {end} third of the particles": index for end, index in ends.items()}
    return {name: index for name, index in parts.items() if len(index) >= FEWEST}


def contrasts_contradicted(particles: Particles, contrasts: Float[Tensor, " n"]) -> tuple[str, str] | None:
    """What is wrong, and how to fix it, where some images have protein white and others have it dark."""
    rare = rarer_contrast(contrasts)
    if rare is not None:
        rows = particles.rows[rare.numpy()]
        first = ", ".join(map(str, rows[:3].tolist()))
        sign = "dark" if bool(contrasts[rare][0] < 0) else "white"
        told = f"the images are of two contrasts: protein is {sign} in {len(rows):,} of {len(particles):,}"
        return f"{told} (rows {first} ...), and the opposite in the others", CONTRAST_FIX
    parts = parts_of(particles)
    opposite = opposite_contrasts([contrasts[index] for index in parts.values()])
    if opposite is None:
        return None
    white, dark = (list(parts)[number] for number in opposite)
    return f"the images are of two contrasts: protein is white in {white}, and dark in {dark}", CONTRAST_FIX


def multiplication_of_parts_contradicted(
    source: ParticleSource, particles: Particles, sample: Int[Tensor, " m"]
) -> tuple[str, str] | None:
    """As `multiplication_contradicted` of the ``sample``, of each part of the set, and of single images."""
    contradiction = multiplication_contradicted(source, sample)
    if contradiction is not None:
        return contradiction
    for name, index in parts_of(particles).items():
        contradiction = multiplication_contradicted(source, index)
        if contradiction is not None:
            return f"in {name}, {contradiction[0]}", f"give sets of two kinds one by one; {contradiction[1]}"
    return _mixture_contradicted(source, particles, sample)


def _mixture_contradicted(
    source: ParticleSource, particles: Particles, sample: Int[Tensor, " m"]
) -> tuple[str, str] | None:
    """What is wrong, and how to fix it, where images of both kinds are mixed throughout the set."""
    if source.ctf.is_absent:
        return None
    chosen = sample[:: max(1, len(sample) // MIXTURE_LOOKED_AT)]
    multiplied = multiplied_images(source, chosen)
    if multiplied is None:
        return None
    rows = particles.rows[chosen[multiplied].numpy()]
    first = ", ".join(map(str, rows[:3].tolist()))
    told = f"at least {len(rows):,} of the {len(chosen):,} images read (rows {first} ...) were multiplied with their"
    return f"{told} CTF, and the others were not", MULTIPLICATION_FIX


def on_noise_of_parts(source: ParticleSource, particles: Particles, radius: float) -> list[str]:
    """A sentence on the first part of a set whose noise ends; ``radius`` is that of the particle, pixels."""
    extent = source.box * source.pixel_size
    for name, index in parts_of(particles).items():
        chosen = index[:: max(1, len(index) // LOOKED_AT)]
        doubts = on_noise(background_spectrum(source, chosen, radius), extent)
        if doubts:
            return [f"Of {name}: {doubts[0][0].lower()}{doubts[0][1:]}"]
    return []

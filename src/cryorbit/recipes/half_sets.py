"""The two halves of a particle set: those of the input, or drawn at random so that they share nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.core.seeds import generator_for
from cryorbit.core.verdict import sentence_of
from cryorbit.io.column_names import column_name
from cryorbit.io.cryosparc_files import SUFFIXES
from cryorbit.io.duplicates import kept_together
from cryorbit.io.filaments import filament_numbers
from cryorbit.io.micrograph_places import MICROGRAPH, image_numbers, micrograph_numbers
from cryorbit.io.particles import Particles
from cryorbit.io.relion import group_label

SUBSET = "rlnRandomSubset"
FEWEST_GROUPS = 10
"""Micrographs (or other groups) from which on halves are drawn by them."""
EVEN = 0.4
"""Part of the particles that the smaller half must have for halves to be drawn by micrograph."""
UNEVEN = 0.25
"""Part of the particles below which the smaller of given halves limits what both can say."""


@dataclass(frozen=True, slots=True)
class HalfSets:
    """The halves of N particles.

    Attributes
    ----------
    half_set
        0 or 1 for every particle.
    remarks
        Sentences on how they came about, where that is not as usual.
    doubt
        What is wrong with them, with a fix; None where nothing is.
    """

    half_set: Int[Tensor, " n"]
    remarks: tuple[str, ...] = ()
    doubt: str | None = None


def half_sets(particles: Particles, seed: int) -> HalfSets:
    """Half-sets of the input, or random halves that keep micrographs whole when there are enough of them.

    Copies of one image, of symmetry-expanded particles, always come into one half, and so do images of one place.
    """
    unit, images = kept_together(particles), len(image_numbers(particles).unique())
    units = len(unit.unique())
    remarks: tuple[str, ...] = (_on_copies(len(unit) - images, len(unit)),) if images < len(unit) else ()
    if units < images:
        remarks += (_on_places(images - units),)
    filament = filament_numbers(particles)
    if particles.half_sets is None:
        drawn, by_particle = _drawn(particles, unit, filament, seed)
        return _doubted(HalfSets(drawn, (*remarks, *by_particle)), _on_split(drawn, filament))
    stated = _stated_half_sets(particles)
    united = _first_of_each(stated, unit)
    moved = int((united != stated).sum())
    if moved:
        said = (
            f"{moved:,} particles were moved to the half-set of the first with their image or place: they share noise."
        )
        remarks += (said,)
    smaller = min(int(united.sum()), int((1 - united).sum()))
    halves, split = HalfSets(united, remarks), _on_split(united, filament)
    if smaller >= UNEVEN * len(united):
        return _doubted(halves, split)
    doubt = (
        f"the half-sets of the input are uneven ({len(united) - smaller:,} and {smaller:,} particles): the smaller one "
        f"limits the resolution that half-maps can show; fix: {_removal(particles)} to have even halves drawn"
    )
    return _doubted(halves, doubt)


def _doubted(halves: HalfSets, doubt: str | None) -> HalfSets:
    """The halves with a doubt, which is a remark, too."""
    if doubt is None:
        return halves
    return replace(halves, remarks=(*halves.remarks, sentence_of(doubt)), doubt=doubt)


def _on_split(half_set: Int[Tensor, " n"], filament: Int[Tensor, " n"] | None) -> str | None:
    """The doubt that filaments are in both halves."""
    if filament is None:
        return None
    counts = torch.stack([torch.bincount(filament[half_set == half], minlength=len(filament)) for half in (0, 1)])
    split = int((counts > 0).all(0).sum())
    if not split:
        return None
    which = "one filament are" if split == 1 else f"{split:,} filaments are"
    return (
        f"segments of {which} in both half-sets: neighbours overlap, so that half-maps share noise and agree too well; "
        f"fix: give all segments of a filament one half-set ({SUBSET}), as relion_refine --helix does"
    )


def _stated_half_sets(particles: Particles) -> Int[Tensor, " n"]:
    assert particles.half_sets is not None
    stated = particles.half_sets.long() - 1
    if 0 < int(stated.sum()) < len(stated):
        return stated
    raise InputError(
        f"all particles are in half-set {int(stated[0]) + 1} ({column_name(SUBSET, particles.source)})",
        file=particles.source,
        fix=f"give the particles of both half-sets, or {_removal(particles)} to have halves drawn at random",
    )


def _removal(particles: Particles) -> str:
    """How the half-sets of a file are taken out of it."""
    remove = f"remove the column {SUBSET}"
    if particles.source.suffix in SUFFIXES:
        return f"convert the file to a .star file (`cryorbit convert`) and {remove}"
    return remove


def _drawn(
    particles: Particles, unit: Int[Tensor, " n"], filament: Int[Tensor, " n"] | None, seed: int
) -> tuple[Int[Tensor, " n"], tuple[str, ...]]:
    """Random halves, and what is said where micrographs, or filaments on a few of them, could not be kept whole."""
    generator = generator_for(seed, "half-sets")
    group = _groups(particles)
    if group is None or int(group.max()) + 1 < FEWEST_GROUPS:
        group = filament
    if group is None:
        return _balanced(unit, generator), ()
    halves = _balanced(group, generator)
    smaller = min(int(halves.sum()), int((1 - halves).sum()))
    if smaller >= EVEN * len(halves):
        return _first_of_each(halves, unit), ()
    most = int(torch.bincount(group).max())
    said = (
        f"One micrograph (or group) holds {most:,} of {len(group):,} particles: half-sets were drawn by particle, so "
        "that they are even."
    )
    return _balanced(unit, generator), (said,)


def _groups(particles: Particles) -> Int[Tensor, " n"] | None:
    """Number of the group of each particle; micrographs are known by their files, not by their names."""
    if particles.group is None or group_label(particles.table) != MICROGRAPH:
        return particles.group
    return torch.from_numpy(np.unique(micrograph_numbers(particles), return_inverse=True)[1])


def _balanced(group: Int[Tensor, " n"], generator: torch.Generator) -> Int[Tensor, " n"]:
    """Halves of about the same number of particles: groups in random order, large ones first, each to the smaller."""
    sizes = torch.bincount(group)
    order = torch.randperm(len(sizes), generator=generator).argsort()
    order = order[sizes[order].argsort(descending=True, stable=True)]
    halves, filled = [], [0, 0]
    for size in sizes[order].tolist():
        half = int(filled[1] < filled[0])
        halves.append(half)
        filled[half] += size
    return torch.empty_like(sizes).index_copy(0, order, torch.tensor(halves))[group]


def _first_of_each(half_set: Int[Tensor, " n"], unit: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Halves in which all that must stay together have that of the first row."""
    first = torch.from_numpy(np.unique(unit.numpy(), return_index=True)[1])
    return half_set[first[torch.unique(unit, return_inverse=True)[1]]]


def _on_places(images: int) -> str:
    counted = "1 particle is" if images == 1 else f"{images:,} particles are"
    return (
        f"{counted} at the place of another one on the micrograph, in another pose or as segments of a "
        "filament: all are used, and those of one place stay in one half-set. Fix, if they are the same particles: "
        "relion_star_handler --remove_duplicates."
    )


def _on_copies(copies: int, particles: int) -> str:
    return (
        f"{particles:,} particles show {particles - copies:,} images: the copies, in other poses, are those of a "
        "symmetry expansion and stay in one half-set."
    )

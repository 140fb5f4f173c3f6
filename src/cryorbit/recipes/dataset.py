"""Particles on the way into a recipe: read, checked, and what stays fixed derived from their images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.core.seeds import generator_for
from cryorbit.execution.group import SINGLE_PROCESS, Group
from cryorbit.execution.watch import UNWATCHED, Watch
from cryorbit.geometry.point_groups import point_group
from cryorbit.imaging.ctf_gaps import ctf_gaps
from cryorbit.imaging.masks import soft_ball
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.imaging.unused_optics import unused_optics
from cryorbit.inference.diameter import ASSUMED_DIAMETER, estimate_diameter
from cryorbit.inference.noise import background_spectrum
from cryorbit.io.checks import FEWEST, CheckReport, check_particles
from cryorbit.io.column_names import in_words
from cryorbit.io.ctf_doubts import ctf_doubts
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.job_record import CHECKPOINT
from cryorbit.io.job_result import ParticleCount
from cryorbit.io.kept_rows import require_scratch_folder
from cryorbit.io.particles import Particles, read_particles, require_ctf
from cryorbit.io.selection import random_rows
from cryorbit.recipes.half_sets import half_sets
from cryorbit.recipes.image_doubts import on_images
from cryorbit.recipes.image_warnings import on_ctf_gaps, on_table, on_tilts
from cryorbit.recipes.joined_sets import contrasts_contradicted, multiplication_of_parts_contradicted
from cryorbit.recipes.resolutions import require_resolvable
from cryorbit.recipes.settings import ParticleSettings, TransferSettings

SAMPLE = 2000
"""Images looked at for the diameter and the noise."""
WINDOW_MARGIN = 1.1
FINISHED_EARLY = "The job was finished early, on request: the maps are those of what was done by then."


@dataclass(frozen=True, slots=True)
class Dataset:
    """The particles a recipe works on.

    Attributes
    ----------
    everything
        The particles as they were given.
    particles
        Those that are used.
    report
        What the checks said, with those set aside.
    source
        Their images.
    noise_variance
        Variance of shells 0 ... box / 2 from the background.
    diameter
        A.
    diameter_evidence
        How it was found: the end of a sentence.
    symmetry
        Operators of the point group.
    half_set
        0 or 1 for every particle.
    remarks
        Sentences on the noise, the box, the CTFs, half-sets and optics that the user should know.
    half_doubt
        What is wrong with the half-sets, with a fix, or None.
    """

    everything: Particles
    particles: Particles
    report: CheckReport
    source: ParticleSource
    noise_variance: Float[Tensor, " s"]
    diameter: float
    diameter_evidence: str
    symmetry: Float[Tensor, "g 3 3"]
    half_set: Int[Tensor, " n"]
    remarks: tuple[str, ...]
    half_doubt: str | None

    @property
    def count(self) -> ParticleCount:
        """Numbers of particles, as results state them."""
        return ParticleCount(len(self.particles), len(self.report.set_aside))

    @property
    def box(self) -> int:
        """Side of the images, pixels."""
        return self.source.box

    @property
    def extent(self) -> float:
        """Side of the box, A."""
        return self.source.box * self.source.pixel_size

    @property
    def diameter_px(self) -> float:
        """Particle diameter, pixels."""
        return self.diameter / self.source.pixel_size

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the images said of themselves, for people."""
        size = f"Particle diameter: {self.diameter:.0f} Å, {self.diameter_evidence}."
        return size, *self.report.notes, *self.remarks

    def doubts(self, resolution_A: float) -> list[str]:
        """What casts doubt on a map of a resolution in A: half-sets, masks, the CTF, optics that are not used."""
        halves = [] if self.half_doubt is None else [self.half_doubt]
        masks = ["the images were masked"] if self.report.grey.masked else []
        ctf = [in_words(doubt, self.particles.source) for doubt in ctf_doubts(self.particles.ctf)]
        return [*halves, *masks, *ctf, *unused_optics(self.particles).doubts(resolution_A)]

    def pose_doubts(self, resolution_A: float) -> list[str]:
        """The same of a map whose poses were found from the images: those of tilts hold too little."""
        return [*self.doubts(resolution_A), *on_tilts(self.particles.table)]

    @property
    def operators(self) -> Float[Tensor, "g 3 3"] | None:
        """Operators of the point group, or None where there is only the identity."""
        return self.symmetry if len(self.symmetry) > 1 else None

    def of_job(self, job: JobFolder, watch: Watch = UNWATCHED) -> Self:
        """The same particles for a job, whose processes work on a share each; scratch is in its folder by default."""
        scratch = self.source.scratch or job.path / CHECKPOINT
        early = (FINISHED_EARLY,) if job.finish_now else ()
        source = replace(self.source, group=job.group, watch=watch, scratch=scratch)
        return replace(self, source=source, remarks=(*self.remarks, *early))

    def particle_radius(self, size: int) -> float:
        """Radius of the particle on a working box of ``size`` voxels, within the box."""
        return min(0.5 * self.diameter_px * size / self.box, size / 2 - 1)

    def window(self, size: int) -> Float[Tensor, "m m m"]:
        """Soft ball around the particle on a working box of ``size`` voxels."""
        scale = size / self.box
        radius = min(0.5 * WINDOW_MARGIN * self.diameter_px, 0.5 * self.box - 4)
        return soft_ball(size, radius * scale, max(4 * scale, 2.0)).to(self.source.device)


def read_chosen(settings: ParticleSettings) -> Particles:
    """The particles that the settings choose; errors as for ``read_particles``.

    Resolutions among the settings are held against their pixels, and the scratch folder is tried.
    """
    if settings.scratch is not None:
        require_scratch_folder(settings.scratch)
    read = read_particles(
        settings.particles,
        settings.data_dir,
        query=settings.subset,
        premultiplied=settings.premultiplied,
        ctf=settings.ctf,
    )
    particles = with_transfer(read, settings)
    if settings.limit is not None and settings.limit < len(particles):
        particles = particles.subset(random_rows(particles, settings.limit, generator_for(settings.seed, "limit")))
    require_resolvable(settings, particles.box, particles.pixel_size, particles.source)
    return particles


def with_transfer(particles: Particles, settings: TransferSettings) -> Particles:
    """The particles with or without a CTF, as the settings say; ``InputError`` if one is needed and there is none."""
    if not settings.ctf:
        return particles.without_ctf()
    require_ctf(particles)
    return particles


def read_dataset(
    settings: ParticleSettings, everything: Particles | None = None, group: Group = SINGLE_PROCESS
) -> Dataset:
    """Read and check the particles; raises ``InputError`` for whatever would spoil a reconstruction.

    Parameters
    ----------
    settings
        Of the recipe.
    everything
        The particles to check, where the recipe has read their table already; by default those of the settings.
    group
        The processes that share the job: each checks a share of the images.
    """
    symmetry = point_group(settings.symmetry)
    if everything is None:
        everything = read_chosen(settings)
    report = check_particles(
        everything, settings.max_bad_fraction, keep_same_places=settings.keep_same_places, group=group
    )
    particles = everything.subset(report.keep)
    _require_enough(settings, particles, report)
    source = _source(settings, particles, report)
    sample = torch.linspace(0, len(particles) - 1, min(SAMPLE, len(particles))).round().long()
    # before the diameter and the noise, which mean nothing where two kinds of images are mixed
    contradicted = _contradicted(settings, particles, report, source, sample)
    if contradicted is not None:
        raise InputError(contradicted[0], file=settings.particles, fix=contradicted[1])
    diameter, evidence = _diameter(settings, source, sample)
    noise = _noise(settings, source, sample, diameter)
    halves = half_sets(particles, settings.seed)
    gaps = [] if particles.ctf.is_absent else ctf_gaps(particles.ctf, source.box, source.pixel_size)
    doubts = on_images(particles, report.grey, source, noise, diameter, 0.5 * diameter / source.pixel_size)
    sentences = [*doubts, *on_ctf_gaps(gaps), *on_table(particles), *halves.remarks]
    return Dataset(
        everything=everything,
        particles=particles,
        report=report,
        source=source,
        noise_variance=noise,
        diameter=diameter,
        diameter_evidence=evidence,
        symmetry=symmetry,
        half_set=halves.half_set,
        remarks=tuple(
            in_words(sentence, particles.source) for sentence in (*sentences, *unused_optics(particles).sentences())
        ),
        half_doubt=halves.doubt,
    )


def _require_enough(settings: ParticleSettings, particles: Particles, report: CheckReport) -> None:
    """Raise ``InputError`` where the checks left too few particles for a map."""
    if len(particles) >= FEWEST:
        return
    aside = report.set_aside
    lost = f"; {len(aside)} were set aside, row {aside.iloc[0].row} for {aside.iloc[0].reason}" if len(aside) else ""
    raise InputError(
        f"only {len(particles)} usable particles{lost}", file=settings.particles, fix=f"give at least {FEWEST}"
    )


def _contradicted(
    settings: ParticleSettings,
    particles: Particles,
    report: CheckReport,
    source: ParticleSource,
    sample: Int[Tensor, " m"],
) -> tuple[str, str] | None:
    """What the images say against each other or the table; what the user has decided is not asked of them."""
    if settings.invert_contrast is None:
        contradiction = contrasts_contradicted(particles, report.grey.contrasts)
        if contradiction is not None:
            return contradiction
    return (
        None if settings.premultiplied is not None else multiplication_of_parts_contradicted(source, particles, sample)
    )


def _source(settings: ParticleSettings, particles: Particles, report: CheckReport) -> ParticleSource:
    inverted = report.grey.inverted if settings.invert_contrast is None else settings.invert_contrast
    source = ParticleSource.of(particles, report.grey.levels, torch.device(settings.device), inverted=inverted)
    return replace(source, scratch=settings.scratch)


def _noise(
    settings: ParticleSettings, source: ParticleSource, sample: Int[Tensor, " m"], diameter: float
) -> Float[Tensor, " s"]:
    """The spectrum of the background; images are divided by it, so it must not vanish."""
    noise = background_spectrum(source, sample, 0.5 * diameter / source.pixel_size)
    if not bool((noise > 0).all()):
        raise InputError(
            f"the images hold no noise outside a particle of {diameter:.0f} Å: they were masked",
            file=settings.particles,
            fix="extract the particles again without a mask, or give a smaller --diameter",
        )
    return noise


def _diameter(settings: ParticleSettings, source: ParticleSource, sample: Int[Tensor, " m"]) -> tuple[float, str]:
    """Diameter in A and how it was found."""
    extent = source.box * source.pixel_size
    if settings.diameter is not None:
        if settings.diameter > extent:
            raise InputError(
                f"the diameter, {settings.diameter:g} Å, exceeds the box, {extent:g} Å",
                fix="give a smaller --diameter",
            )
        return settings.diameter, "as set"
    estimate = estimate_diameter(source, sample)
    if estimate.diameter is None:
        return (
            ASSUMED_DIAMETER * extent,
            f"{ASSUMED_DIAMETER:g} boxes by default: {estimate.evidence} (--diameter sets it)",
        )
    # a rim is left to measure noise in
    return min(estimate.diameter, 0.95 * extent), estimate.evidence

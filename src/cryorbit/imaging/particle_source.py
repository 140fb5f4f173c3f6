"""Particles as inference sees them: observations of any subset, at any radius, computed when asked for.

Images are read, go through a list of operators, are transformed and weighted per batch, so memory does not grow with
the number of particles, but for transforms that a cache of limited size keeps. What reaches inference is finite: the
checks at the start set everything else aside, and a file that has changed since is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from cryorbit.core.chunks import chunk_size, chunks
from cryorbit.core.data import CTFParams, Poses
from cryorbit.core.errors import InputError
from cryorbit.core.memory import batch_bytes, batch_images
from cryorbit.execution.group import SINGLE_PROCESS, Group
from cryorbit.execution.shards import Shards
from cryorbit.execution.watch import UNWATCHED, Watch
from cryorbit.fourier.half_disc import HalfDisc, image_transform
from cryorbit.imaging.aberrations import Aberrations
from cryorbit.imaging.ctf import ctf_values
from cryorbit.imaging.image_operators import ImageOperator, Inversion
from cryorbit.imaging.magnification import Magnification
from cryorbit.imaging.observations import Observations, observe
from cryorbit.imaging.stated_optics import aberrations_of, magnification_of
from cryorbit.imaging.transfer import Transfer
from cryorbit.imaging.transform_cache import TransformCache
from cryorbit.io.grey_levels import GreyLevels
from cryorbit.io.image_stack import ImageStack
from cryorbit.io.particles import Particles

FEWEST_UNPADDED = 20
"""Images without padding, at least, from which noise and diameter are measured alone."""
BYTES_PER_PIXEL = 50
"""Temporaries of an image on its way to an observation: pixels, transform, CTF in float64, weights."""


@dataclass(frozen=True, slots=True)
class ParticleSource:
    """N particles and how their images are made comparable.

    Attributes
    ----------
    images
        The stored images.
    ctf
        Their CTF parameters.
    pixel_size
        A.
    premultiplied
        Whether the images were multiplied with their CTF.
    device
        Where observations are computed, as the images arrive on the CPU.
    operators
        What is done to the images, in this order.
    padded
        Mask of the images that reach beyond their micrographs; None for none.
    spoilt
        Mask of the pixels that are replaced in all images; None for none.
    scale
        Contrast of each image relative to the others', or None where all are alike.
    aberrations
        What else than their CTF parameters the microscope does to the images, or None.
    group
        The processes that share passes over the particles.
    watch
        Who looks on while passes are made.
    scratch
        Folder for large files that are gone after a pass; None for the system's.
    cache
        Keeps transforms of these images, as the operators leave them; None for none.
    """

    images: ImageStack
    ctf: CTFParams
    pixel_size: float
    premultiplied: bool
    device: torch.device
    operators: tuple[ImageOperator, ...] = ()
    padded: Bool[Tensor, " n"] | None = None
    spoilt: Bool[Tensor, "y x"] | None = None
    scale: Float[Tensor, " n"] | None = None
    aberrations: Aberrations | None = None
    group: Group = SINGLE_PROCESS
    watch: Watch = UNWATCHED
    scratch: Path | None = None
    cache: TransformCache | None = None

    @classmethod
    def of(
        cls, particles: Particles, levels: GreyLevels | None, device: torch.device, *, inverted: bool
    ) -> ParticleSource:
        """The images of a particle set on comparable grey values, with white protein and the optics of its table.

        Parameters
        ----------
        particles
            The set.
        levels
            How grey values are made comparable; None leaves them as they are.
        device
            Where observations are computed.
        inverted
            Whether protein is dark in the files.

        Raises
        ------
        InputError
            As for `aberrations_of` and `magnification_of`.
        """
        magnification = magnification_of(particles)
        return cls(
            images=particles.images,
            ctf=particles.ctf,
            pixel_size=particles.pixel_size,
            premultiplied=particles.premultiplied,
            device=device,
            operators=(
                *(() if levels is None else (levels,)),
                *(() if magnification is None else (magnification,)),
                *((Inversion(),) if inverted else ()),
            ),
            padded=None if levels is None else levels.padded,
            spoilt=None if levels is None else levels.spoilt,
            aberrations=aberrations_of(particles),
        )

    def __len__(self) -> int:
        """Number of particles."""
        return len(self.ctf)

    @property
    def inverted(self) -> bool:
        """Whether protein is dark in the files."""
        return any(isinstance(operator, Inversion) for operator in self.operators)

    @property
    def magnification(self) -> Magnification | None:
        """The stretch that reading undoes; None where there is none."""
        return next((operator for operator in self.operators if isinstance(operator, Magnification)), None)

    def poses_on_read(self, stored: Poses) -> Poses:
        """Poses of all images as they are read, from those that a table states: shifts are on the stored images."""
        if self.magnification is None:
            return stored
        return Poses(stored.rotations, self.magnification.shifts_on_read(stored.shifts))

    def poses_on_stored(self, read: Poses) -> Poses:
        """The way back: poses as a table states them, so that other programs find what they expect."""
        if self.magnification is None:
            return read
        return Poses(read.rotations, self.magnification.shifts_on_stored(read.shifts))

    @property
    def box(self) -> int:
        """Side of the images, pixels."""
        return self.images.box

    @property
    def shards(self) -> Shards:
        """The parts in which passes over the particles are made."""
        return Shards(len(self), self.group, self.watch)

    def batch_size(self, at_most: int) -> int:
        """Number of images, on a CPU at most so many, whose way to observations takes a bounded amount of memory."""
        most = batch_images(self.device, at_most)
        return chunk_size(BYTES_PER_PIXEL * self.box**2, batch_bytes(self.device), most)

    def batches(self, count: int, at_most: int) -> Iterator[slice]:
        """Consecutive slices of ``range(count)``, of as many images as ``batch_size`` has."""
        yield from chunks(count, self.batch_size(at_most))

    def unpadded(self, index: Int[Tensor, " m"]) -> Int[Tensor, " k"]:
        """Those of the images at ``index`` that lie within their micrographs; all where hardly any does."""
        if self.padded is None:
            return index
        within = index[~self.padded[index]]
        return within if len(within) >= FEWEST_UNPADDED else index

    def read(self, index: Int[Tensor, " b"]) -> Float[Tensor, "b n n"]:
        """The images, as the operators leave them.

        Raises
        ------
        InputError
            A file cannot be read, or an image has pixels that are not finite.
        """
        stored = self.images.read(index)
        if len(stored):
            self._require_finite(stored, index)
        images = stored.to(self.device)
        for operator in self.operators:
            images = operator[index].apply(images)
        return images

    def _require_finite(self, stored: Float[Tensor, "b n n"], index: Int[Tensor, " b"]) -> None:
        lowest, highest = stored.amin((-2, -1)), stored.amax((-2, -1))
        broken = torch.nonzero(~(torch.isfinite(lowest) & torch.isfinite(highest)))[:, 0]
        if not len(broken):
            return
        first = int(index[broken[0]])
        raise InputError(
            f"image {int(self.images.section[first]) + 1} has pixels that are not finite, and was sound before",
            file=self.images.files[self.images.file_index[first]],
            fix="leave the stack alone while a job uses it, and start the job again",
        )

    def transform(self, index: Int[Tensor, " b"], disc: HalfDisc) -> Complex[Tensor, "b p"]:
        """Unitary transforms of the images; in half precision where a cache keeps them."""
        if self.cache is None:
            return image_transform(self.read(index), disc)
        return self.cache.transforms(index, disc, self.read)

    def transfer(self, index: Int[Tensor, " b"], disc: HalfDisc) -> Transfer:
        """CTFs of the images, times their scales, and what aberrations do to their phases."""
        params, frequencies = self.ctf[index], disc.frequencies / (self.box * self.pixel_size)
        aberrations = None if self.aberrations is None else self.aberrations[index].to(self.device)
        even = None if aberrations is None else aberrations.even_phase(frequencies)
        odd = None if aberrations is None else aberrations.odd_phase(frequencies)
        ctf = ctf_values(params, frequencies, even)
        if self.scale is not None:
            ctf = ctf * self.scale[index, None].to(ctf)
        return Transfer(ctf, None if odd is None else torch.polar(torch.ones_like(odd), odd).to(torch.complex64))

    def observe(self, index: Int[Tensor, " b"], disc: HalfDisc, noise_variance: Float[Tensor, " s"]) -> Observations:
        """Observations of the images under a noise variance for each shell."""
        transform = self.transform(index, disc)
        if self.premultiplied and self.scale is not None:
            transform = transform * self.scale[index, None].to(transform)
        return observe(
            transform,
            self.transfer(index, disc),
            noise_variance[disc.shells],
            premultiplied=self.premultiplied,
        )

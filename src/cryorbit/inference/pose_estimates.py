"""What a pass found of the pose of each image, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cryorbit.geometry.rotations import angular_distance
from cryorbit.inference.candidates import CandidatePosterior, Candidates
from cryorbit.inference.groups import leaders


@dataclass(frozen=True, slots=True)
class PoseEstimates:
    """What a pass found for each image.

    Attributes
    ----------
    rotation, shift, klass
        The pose and class of the largest posterior (shift in px).
    class_posterior
        Posterior of each class.
    class_rotation, class_shift
        The best pose in each class; in a class that has no candidates left, that of the best class.
    max_probability
        Posterior of the best pose.
    effective
        Effective number of poses.
    log_evidence
        Log-likelihood relative to pure noise, nats.
    elsewhere
        Posterior, from 0 to 1, beyond the pass's ``reach`` around the best pose of each class.
    overlap, model_power
        Posterior means of ``Re sum conj(Y) S data`` and ``sum weight |Y|^2``: their ratio is the contrast of the image
        relative to the model.
    """

    rotation: Float[Tensor, "n 3 3"]
    shift: Float[Tensor, "n 2"]
    klass: Int[Tensor, " n"]
    class_posterior: Float[Tensor, "n k"]
    class_rotation: Float[Tensor, "n k 3 3"]
    class_shift: Float[Tensor, "n k 2"]
    max_probability: Float[Tensor, " n"]
    effective: Float[Tensor, " n"]
    log_evidence: Float[Tensor, " n"]
    elsewhere: Float[Tensor, " n"]
    overlap: Float[Tensor, " n"]
    model_power: Float[Tensor, " n"]

    def __getitem__(self, index: Int[Tensor, " m"]) -> PoseEstimates:
        """The estimates of some images."""
        return PoseEstimates(*(getattr(self, name)[index.to(self.klass.device)] for name in self.__slots__))

    def with_some(self, index: Int[Tensor, " m"], estimates: PoseEstimates) -> PoseEstimates:
        """The same but for the images at ``index``."""
        where = index.to(self.klass.device)
        pairs = ((getattr(self, name), getattr(estimates, name)) for name in self.__slots__)
        return PoseEstimates(*(mine.index_copy(0, where, theirs) for mine, theirs in pairs))

    @property
    def known(self) -> Bool[Tensor, " n"]:
        """Images of which something was found."""
        return self.max_probability > 0


@dataclass(frozen=True, slots=True)
class Reach:
    """Which rotations count as near a known one.

    Attributes
    ----------
    symmetry
        Operators whose copies of a pose are one pose, or None.
    degrees
        Farthest that they lie apart.
    """

    symmetry: Float[Tensor, "s 3 3"] | None
    degrees: float


def nothing_known(images: int, classes: int, like: Float[Tensor, "..."]) -> PoseEstimates:
    """Estimates of images that nobody has looked at: their whole posterior may be anywhere."""
    zero, turn = like.new_zeros(images), torch.eye(3, dtype=like.dtype, device=like.device)
    klass = torch.zeros(images, dtype=torch.long, device=like.device)
    return PoseEstimates(
        rotation=turn.repeat(images, 1, 1),
        shift=like.new_zeros(images, 2),
        klass=klass,
        class_posterior=like.new_full((images, classes), 1 / classes),
        class_rotation=turn.repeat(images, classes, 1, 1),
        class_shift=like.new_zeros(images, classes, 2),
        max_probability=zero,
        effective=zero,
        log_evidence=zero,
        elsewhere=zero + 1,
        overlap=zero,
        model_power=zero,
    )


def estimates_of(
    candidates: Candidates,
    posterior: CandidatePosterior,
    lattice: Float[Tensor, "t 2"],
    classes: int,
    fit: Float[Tensor, "2 b"],
    near: Reach,
) -> PoseEstimates:
    """The best pose of every image of a batch, and how sure it is.

    ``fit`` holds ``overlap`` and ``model_power``; posterior that is not ``near`` the best pose is elsewhere.
    """
    images = candidates.images
    top, shift = posterior.gamma.max(1)
    best, best_of_class = _best_of_classes(candidates, top, classes)
    best_shift = candidates.centre + lattice[shift]
    by_class = torch.zeros(images * classes, device=top.device)
    by_class.index_add_(0, candidates.image * classes + candidates.klass, posterior.gamma.sum(1))
    squares = torch.zeros(images, device=top.device).index_add_(0, candidates.image, (posterior.gamma**2).sum(1))
    return PoseEstimates(
        rotation=candidates.rotation[best],
        shift=best_shift[best],
        klass=candidates.klass[best],
        class_posterior=by_class.reshape(images, classes),
        class_rotation=candidates.rotation[best_of_class],
        class_shift=best_shift[best_of_class],
        max_probability=top[best],
        effective=1 / squares,
        log_evidence=posterior.log_evidence,
        elsewhere=posterior_beyond(candidates, posterior, candidates.rotation[best_of_class], near),
        overlap=fit[0],
        model_power=fit[1],
    )


def _best_of_classes(
    candidates: Candidates, top: Float[Tensor, " e"], classes: int
) -> tuple[Int[Tensor, " b"], Int[Tensor, "b k"]]:
    """Where the candidate of the largest posterior of each image is, and that of each of its classes."""
    image, klass, images = candidates.image, candidates.klass, candidates.images
    best = leaders(top, image, images)
    of_class = best[:, None].repeat(1, classes)
    leads = leaders(top, image * classes + klass, images * classes)
    of_class[image[leads], klass[leads]] = leads
    return best, of_class


def posterior_beyond(
    candidates: Candidates,
    posterior: CandidatePosterior,
    known: Float[Tensor, "b k 3 3"],
    near: Reach,
) -> Float[Tensor, " b"]:
    """Posterior of each image whose rotation is not ``near`` the known one of its class."""
    symmetry, reach = near.symmetry, near.degrees
    mass = posterior.gamma.sum(1)
    elsewhere = mass.new_zeros(candidates.images)
    if reach == math.inf:
        return elsewhere
    mates = known[..., None, :, :] if symmetry is None else known[..., None, :, :] @ symmetry.to(known)
    distance = angular_distance(candidates.rotation[:, None], mates[candidates.image, candidates.klass]).amin(1)
    return elsewhere.index_add_(0, candidates.image, torch.where(distance > reach, mass, 0.0))


def joined_estimates(parts: Sequence[PoseEstimates]) -> PoseEstimates:
    """The estimates of consecutive batches as one."""
    return PoseEstimates(*(torch.cat([getattr(p, name) for p in parts]) for name in PoseEstimates.__slots__))

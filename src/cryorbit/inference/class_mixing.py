"""Posteriors of classes, and how they are kept from deciding too early."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.inference.marginal import Posterior


def class_mass(posterior: Posterior, per_class: int, classes: int, images: int) -> Float[Tensor, "b k"]:
    """Posterior of the classes of every image; slices are numbered class after class."""
    mass = posterior.gamma.new_zeros(images * classes)
    klass = torch.div(posterior.slice, per_class, rounding_mode="floor")
    return mass.index_add_(0, posterior.image * classes + klass, posterior.gamma).reshape(images, classes)


def mix_classes(posterior: Posterior, mass: Float[Tensor, "b k"], per_class: int, amount: float) -> Posterior:
    """Replace each image's class posterior q by ``(1 - amount) q + amount / K``, poses within a class unchanged.

    This is the "class similarity" of cryoSPARC as its documentation describes it: early on no class starves.
    """
    if amount == 0 or mass.shape[1] == 1:
        return posterior
    mixed = (1 - amount) * mass + amount / mass.shape[1]
    klass = torch.div(posterior.slice, per_class, rounding_mode="floor")
    # an entry has mass in its class; classes without entries are divided by zero and not read
    factor = (mixed / mass)[posterior.image, klass]
    return replace(posterior, gamma=posterior.gamma * factor)

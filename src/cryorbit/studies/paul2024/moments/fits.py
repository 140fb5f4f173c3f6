"""Moments of images inverted by networks: MoM-net, or chapter 2's framework; and what comes out beside the truth."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.progress import Progress, Stopped
from cryorbit.evaluation.comparison import compare_maps
from cryorbit.geometry.sphere_quadrature import lebedev, spherical_design
from cryorbit.moments.learner import Learner
from cryorbit.moments.polar import PolarMoments
from cryorbit.moments.training import Schedule
from cryorbit.studies.paul2024.mom_net.kam_loss import polar_errors
from cryorbit.studies.paul2024.mom_net.network import MomNet, Setting, make_mom_net
from cryorbit.studies.paul2024.mom_net.polar_slices import PolarSlices
from cryorbit.studies.paul2024.mom_net.training import STEEPEST, match
from cryorbit.studies.paul2024.moments.data import BOX, Truth, half_ball
from cryorbit.volumes.spherical_bessel import resolved_basis
from cryorbit.volumes.voxel import resample

DESIGN = (100, 13)
"""Points and degree of the spherical design of the thesis."""
CHEAP_DEGREE = 9
"""Degree of the Lebedev rule that stands for it in quick runs."""
BESSEL_EXTENT, BESSEL_DEGREE = 0.36, 4
"""Extent, parts of the box, and degree of the volumes that the encoder gives."""
REPORTED = 20
"""Steps between two reports of the loss."""
FSC_LEVEL, COMPARED = 0.5, 24
"""Correlation that a resolution is read at, and the box in which maps are compared: it holds all radii of a fit."""


def make_setting(radius: int, orders: int, box: int, eta_most: float, *, cheap: bool) -> Setting:
    """The setting for radii 1 to ``radius``: that of MoM-net, or of chapter 2's framework if no shifts are allowed.

    Parameters
    ----------
    radius, orders
        Largest radius, Fourier pixels, and angular order.
    box
        Pixels of the images.
    eta_most
        Largest spread of shifts, pixels; 0 for the framework of chapter 2.
    cheap
        Fewer nodes than the thesis has.
    """
    rule = lebedev(CHEAP_DEGREE) if cheap else spherical_design(*DESIGN)
    slices = PolarSlices.of(rule, torch.arange(1.0, radius + 1), orders)
    basis = resolved_basis(radius + 0.5, BESSEL_EXTENT, BESSEL_DEGREE) if eta_most else None
    return Setting.of(slices, basis, box, eta_most)


@dataclass(frozen=True, slots=True)
class Problem:
    """A data set and the framework that inverts its moments.

    Attributes
    ----------
    title
        For people.
    truth
        What the images show.
    moments
        A batch of one.
    setting
        Of the framework.
    """

    title: str
    truth: Truth
    moments: PolarMoments
    setting: Setting


def invert(
    problem: Problem, schedule: Schedule, progress: Progress, encoder: Mapping[str, Tensor] | None = None
) -> dict[str, Any]:
    """Errors, resolution, course of the loss and map of a fit, in plain types and tensors.

    Parameters
    ----------
    problem
        What is inverted.
    schedule
        Of the fit.
    progress
        Watches it.
    encoder
        Weights that the encoder starts with; drawn from the schedule's seed if None.

    Raises
    ------
    Stopped
        The run was asked to stop.
    """
    network = make_mom_net(problem.setting, schedule.seed)
    if encoder is not None:
        network.encoder.load_state_dict(encoder)
    learner, course, begun = Learner.begin(network, STEEPEST), [], time.process_time()
    progress.start(-(-schedule.steps // REPORTED), problem.title)
    while learner.step < schedule.steps:
        if progress.stop_requested():
            raise Stopped
        losses = [
            match(learner, problem.moments, schedule) for _ in range(min(REPORTED, schedule.steps - learner.step))
        ]
        course += losses
        progress.advance(loss=losses[-1])
    return judge(problem, network) | {"losses": course, "seconds": time.process_time() - begun}


def judge(problem: Problem, network: MomNet) -> dict[str, Any]:
    """Errors of the moments, spread of shifts, and the map beside the truth."""
    setting, moments = problem.setting, problem.moments
    with torch.no_grad():
        first, second = polar_errors(network(moments), moments, setting.slices.radii)
        eta = setting.eta(network.encoder(moments).spread)
        volume = map_of(network, moments, int(setting.slices.radii.max()))
    errors = {"first": float(first), "second": float(second), "eta": float(eta), "map": volume}
    return errors | beside_truth(volume, problem.truth)


def beside_truth(volume: Float[Tensor, "n n n"], truth: Truth) -> dict[str, float]:
    """Resolution against the truth (FSC 0.5), A, and correlation, after superposition."""
    moving, reference = (resample(each.float(), COMPARED) for each in (volume, truth.volume))
    comparison = compare_maps(moving, reference, truth.pixel_size * BOX / COMPARED)
    return {"resolution": comparison.resolution(FSC_LEVEL), "correlation": comparison.cc}


def map_of(network: MomNet, moments: PolarMoments, radius: int) -> Float[Tensor, "n n n"]:
    """The map whose transform is the network's at the integer frequencies up to a radius, else zero."""
    points = half_ball(radius)
    x, y, z = points.long().unbind(1)
    half = torch.zeros(BOX, BOX, BOX // 2 + 1, dtype=torch.complex64)
    half[z % BOX, y % BOX, x] = network.transform(moments, points.float())
    return torch.fft.fftshift(torch.fft.irfftn(half, s=(BOX,) * 3))

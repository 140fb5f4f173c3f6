"""Training of MoM-net: its encoder on generated data sets, then all of it on the moments of one (Paul 2024, 3.4).

Both minimise the Kam loss, the difference between the moments that went in and those of what came out, so no truth has
to be superposed. Examples of a step are drawn from a generator of that step, as in `training`.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.chunks import chunks
from cryorbit.core.seeds import generator_for
from cryorbit.moments.learner import Learner
from cryorbit.moments.polar import PolarMoments
from cryorbit.moments.training import Schedule
from cryorbit.studies.paul2024.mom_net.image_encoders import ImageEncoder
from cryorbit.studies.paul2024.mom_net.image_examples import ImageExamples, ImageFamily
from cryorbit.studies.paul2024.mom_net.kam_loss import polar_kam_loss
from cryorbit.studies.paul2024.mom_net.network import MomNet, Setting

TEST_CHUNK = 250
STEEPEST = 1.0
"""Length that gradients are cut to: the loss is about 1, and sine layers have narrow valleys."""


def make_image_encoder(setting: Setting, seed: int) -> ImageEncoder:
    """An encoder with weights drawn from a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ImageEncoder(setting.layout())


def encoder_losses(encoder: ImageEncoder, setting: Setting, examples: ImageExamples) -> Float[Tensor, " b"]:
    """Kam losses of what the encoder alone makes of moments."""
    encoded = encoder(examples.moments)
    predicted = setting.moments(setting.bessel_components(encoded), encoded)
    return polar_kam_loss(predicted, examples.moments, setting.slices.radii)


def supervise(learner: Learner[ImageEncoder], setting: Setting, family: ImageFamily, schedule: Schedule) -> float:
    """Take one step on new examples; ``components`` of the schedule are atoms. Returns their mean loss before it."""
    generator = generator_for(schedule.seed, "train moment network", schedule.components, learner.step)
    examples = family.draw(schedule.batch, schedule.components, generator)
    losses = encoder_losses(learner.network, setting, examples)
    return learner.descend(losses.mean(), schedule.rate_at(learner.step))


@torch.no_grad()
def held_out_losses(
    encoder: ImageEncoder, setting: Setting, family: ImageFamily, schedule: Schedule, count: int
) -> tuple[float, float]:
    """Mean Kam loss and mean error of the shifts' spread, pixels, over examples that training does not see."""
    loss = spread = 0.0
    for number, part in enumerate(chunks(count, TEST_CHUNK)):
        generator = generator_for(schedule.seed, "test moment network", schedule.components, number)
        examples = family.draw(part.stop - part.start, schedule.components, generator)
        loss += float(encoder_losses(encoder, setting, examples).double().sum())
        etas = setting.eta(encoder(examples.moments).spread)
        spread += float((etas - examples.etas).abs().double().sum())
    return loss / count, spread / count


def match(learner: Learner[MomNet], moments: PolarMoments, schedule: Schedule) -> float:
    """Take one step of a `MomNet` towards the moments of one data set, a batch of one; returns the loss before it."""
    radii = learner.network.setting.slices.radii
    loss = polar_kam_loss(learner.network(moments), moments, radii).sum()
    return learner.descend(loss, schedule.rate_at(learner.step))

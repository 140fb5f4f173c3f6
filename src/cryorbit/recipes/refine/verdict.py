"""Whether refined maps can be used: what half-maps, start maps, poses, views and classes say of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cryorbit.core.readable import percent
from cryorbit.core.seeds import generator_for
from cryorbit.core.verdict import Level, Remark, Verdict, weigh
from cryorbit.evaluation.view_sampling import BIASED, view_sampling
from cryorbit.io.checks import FEWEST
from cryorbit.io.job_result import ClassRecord
from cryorbit.recipes.dataset import Dataset
from cryorbit.recipes.refine.config import RefineConfig
from cryorbit.recipes.refine.radii import final_radius
from cryorbit.recipes.refine.start import is_shown
from cryorbit.recipes.refine.state import RefineState

FEWEST_SLICES = 5.0
"""Slices of a half-set that should meet in a frequency, on average: below, noise makes shells agree by chance."""
EMPTY = 0.02
"""A class with a smaller part of the particles is empty: so many stray to any map that is offered."""
RESTLESS = 0.05
"""Part of the particles that may change class in the last pass, where no setting says."""
MANY_SEARCHED = 0.5
"""Part of the particles whose orientations were all searched in the last pass: more are worth a word."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What a refinement ended with.

    Attributes
    ----------
    config, dataset, state
        Settings, particles, and the last state.
    classes
        The refined maps.
    metrics
        Lines of ``metrics.jsonl``.
    """

    config: RefineConfig
    dataset: Dataset
    state: RefineState
    classes: Sequence[ClassRecord]
    metrics: Sequence[Mapping[str, Any]]

    @property
    def head(self) -> ClassRecord:
        """The map of most particles."""
        return max(self.classes, key=lambda each: each.particles or 0)

    @property
    def resolution(self) -> float:
        """Resolution of that map within its mask, A."""
        assert self.head.resolution_masked_A is not None
        return self.head.resolution_masked_A

    @property
    def finest(self) -> float:
        """Resolution to which images were inserted, A."""
        source = self.dataset.source
        return self.dataset.extent / final_radius(self.config, source.box, source.pixel_size)


def judge(ending: Ending) -> Verdict:
    """The worst of what is to be said; what is wrong comes first, each with what to do about it."""
    topics = (_agreement, _table, _starts, _poses, _passes, _views, _classes)
    return weigh([remark for topic in topics for remark in topic(ending)], partial(_sentence, ending))


def _sentence(ending: Ending, level: Level, problem: str) -> str:
    """The verdict in words: how far the half-maps agree, or that the map is not to be trusted."""
    whose = "Independent half-maps" if len(ending.classes) == 1 else f"Independent half-maps of {ending.head.name}"
    agree = f"{whose} agree to {ending.resolution:.2f} Å (FSC 0.143, within the mask)"
    limit = _limit(ending)
    return {
        "good": f"{agree}." if limit is None else f"{agree}. {limit}",
        "doubtful": f"{agree}, but {problem}.",
        "bad": f"Do not trust this map: {problem}.",
    }[level]


def _agreement(ending: Ending) -> Iterator[Remark]:
    """Whether the halves agree beyond what they have in common, with enough images to say so."""
    config, dataset, head, resolution = ending.config, ending.dataset, ending.head, ending.resolution
    assert head.particles is not None
    shared = config.passes.join_resolution
    agreed = f"the half-maps agree to {head.resolution_A:.2f} Å, within the mask to {resolution:.2f} Å"
    if ending.finest > shared:
        wrong = f"its halves share all that the images hold, to {ending.finest:.1f} Å"
        yield Remark("doubtful", wrong, f"{wrong}; fix: a coarser passes.join_resolution in --config, or finer pixels")
    elif resolution > shared:
        wrong = f"its halves agree no further than to {shared:g} Å, which they have in common"
        yield Remark("bad", wrong, f"{agreed}; fix: a better start map, more particles, or images with more contrast")
    else:
        limit = _limit(ending)
        yield Remark("good", "", agreed if limit is None else f"{agreed}. {limit}")
    if config.mask is not None and head.mask_too_tight:
        wrong = "the mask is too tight"
        reason = f"{wrong}: it makes a correlation of its own at this resolution"
        yield Remark("doubtful", wrong, f"{reason}; fix: a wider or softer mask, or none")
    # a slice meets a frequency at radius R, in units of 1 / diameter, with the probability 1 / (2 R)
    slices = 0.25 * head.particles * len(dataset.symmetry) * resolution / dataset.diameter
    mean = f"a frequency of a half-map is the mean of {slices:.0f} slices at this resolution"
    few = slices < FEWEST_SLICES
    reason = f"{mean} (at least {FEWEST_SLICES:g} are needed); fix: more particles" if few else mean
    yield Remark("doubtful" if few else "good", "there are too few particles for it" if few else "", reason)


def _table(ending: Ending) -> Iterator[Remark]:
    """What the particle table says of half-sets and optics that this resolution does not bear."""
    for doubt in ending.dataset.pose_doubts(ending.resolution):
        yield Remark.doubt(doubt)


def _limit(ending: Ending) -> str | None:
    """What limits the resolution, if the particles do not."""
    return " ".join(ending.head.limits or ()) or None


def _starts(ending: Ending) -> Iterator[Remark]:
    """What the images said of the start maps; such as are bad are refused, unless that was switched off."""
    for each, start in zip(ending.classes, ending.state.starts, strict=True):
        lead, magnification = start.lead_over_noise, start.magnification
        beginning = "the images fit the start map" + (f" of {each.name}" if len(ending.classes) > 1 else "")
        if is_shown(start):
            yield Remark("good", "", f"{beginning} better than random maps by {lead:.1f} standard errors")
        else:
            wrong = f"{beginning} no better than a random map"
            yield Remark("bad", wrong, f"{wrong}; fix: start from a map of this particle")
        if start.inverted:
            wrong = f"{beginning} better when its contrast is inverted"
            yield Remark("bad", wrong, f"{wrong}; fix: multiply the grey values of the start map by -1")
        if magnification != 1:
            wrong = f"{beginning} better when it is magnified {magnification:g} times"
            yield Remark("bad", wrong, f"{wrong}; fix: check the pixel sizes of map and particles")


def _poses(ending: Ending) -> Iterator[Remark]:
    """Whether particles show the map, and how sure their poses are.

    Broad posteriors are no fault: the map is made from the whole of them, and half-maps tell what it is worth.
    """
    estimates = ending.state.estimates
    assert estimates is not None
    gain, sharp = float(estimates.log_evidence.mean()), float(estimates.max_probability.mean())
    fit = f"particles fit the map better than pure noise by {gain:.1f} nats on average"
    if gain > 0:
        yield Remark("good", "", fit)
    else:
        wrong = "particles fit it no better than pure noise"
        yield Remark("bad", wrong, f"{fit}; fix: check the particles with `cryorbit inspect`")
    certainty = f"the best pose of a particle holds {100 * sharp:.0f} % of its posterior on average"
    searched = ending.metrics[-1].get("searched_everywhere", 0.0)
    if searched > MANY_SEARCHED:
        certainty += f"; all orientations of {100 * searched:.0f} % of the particles were searched to the end"
    yield Remark("good", "", certainty)


def _passes(ending: Ending) -> Iterator[Remark]:
    """Whether the passes ended by themselves."""
    settings = ending.config.passes
    number = sum(line["stage"] == "pass" for line in ending.metrics)
    settled = settings.class_changes is not None or ending.state.stalled >= settings.patience
    if number >= settings.iterations and not settled:
        wrong = "the resolution was still growing when the passes ended"
        yield Remark("doubtful", wrong, f"{wrong}, after {number} (passes.iterations); fix: allow more of them")


def _views(ending: Ending) -> Iterator[Remark]:
    """Whether particles were seen from all sides."""
    estimates = ending.state.estimates
    assert estimates is not None
    rotations = estimates.rotation[estimates.klass == ending.classes.index(ending.head)].cpu()
    generator = generator_for(ending.config.seed, "views that are sampled")
    sampling = view_sampling(rotations, ending.dataset.symmetry.cpu(), generator)
    spread = f"sampling compensation factor of the views {sampling.factor:.2f} (below {BIASED:g}: uneven)"
    if sampling.biased:
        fix = "fix: views from other sides (a tilted stage, another grid or buffer)"
        wrong = "views are uneven, so that it is worse in some directions"
        yield Remark("doubtful", wrong, f"{spread}, {percent(sampling.unsampled)} of the directions unsampled; {fix}")
    else:
        yield Remark("good", "", spread)


def _classes(ending: Ending) -> Iterator[Remark]:
    """Whether all maps have particles, and whether particles have stopped changing between them."""
    if len(ending.classes) == 1:
        return
    for each in ending.classes:
        assert each.particles is not None
        assert each.fraction is not None
        if each.fraction < EMPTY or each.particles < FEWEST:
            wrong = f"{each.name} is empty"
            reason = f"{wrong} ({each.particles:,} particles, {percent(each.fraction, 1)})"
            yield Remark("doubtful", wrong, f"{reason}; fix: leave its start map out, or give another")
    changes = [line["class_changes"] for line in ending.metrics if "class_changes" in line]
    most = ending.config.passes.class_changes or RESTLESS
    if changes:
        changed = f"{percent(changes[-1], 1)} of the particles changed class in the last pass"
        if changes[-1] > most:
            reason = f"{changed} ({percent(most, 1)} or less counts as settled); fix: more passes.iterations"
            yield Remark("doubtful", "classes have not settled", reason)
        else:
            yield Remark("good", "", changed)

"""The verdict on a refinement: good where nothing is wrong, else it names what is, and what to do about it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.core.verdict import Verdict
from cryorbit.geometry.point_groups import point_group
from cryorbit.geometry.rotations import random_rotations
from cryorbit.io.job_result import ClassRecord
from cryorbit.recipes.classify import ClassifyConfig
from cryorbit.recipes.refine import RefineConfig
from cryorbit.recipes.refine.start import refuse_bad_start
from cryorbit.recipes.refine.state import StartFindings
from cryorbit.recipes.refine.verdict import Ending, judge

COUNT, BOX, PIXEL = 4000, 100, 2.0
SHOWN = StartFindings(log_likelihood=9.0, lead_over_noise=30.0, inverted=0.0, magnification=1.0)
TILT = "beam tilt is not corrected for: at 6.00 Å it turns phases by 0.7 rad; fix: correct for it"
LAST = {"stage": "final", "searched_everywhere": 0.2}


def refined(share: float = 1.0, name: str = "map", **changes: Any) -> ClassRecord:
    """A map of a part of the particles, at 6 A."""
    usual = ClassRecord(
        name=name,
        map="map.mrc",
        fsc="fsc.csv",
        particles=round(share * COUNT),
        fraction=share,
        resolution_A=8.0,
        resolution_masked_A=6.0,
        mask_too_tight=False,
        limits=(),
    )
    return replace(usual, **changes)


def ending(*maps: ClassRecord, **changes: Any) -> Ending:
    """A refinement of which nothing bad is known, but for ``changes``."""
    maps = maps or (refined(),)
    files = tuple(Path(f"{number}.mrc") for number in range(len(maps)))
    settings = RefineConfig if len(maps) == 1 else ClassifyConfig
    config = settings(particles=Path("a"), output=Path("b"), maps=files, **changes.get("config", {}))
    source = SimpleNamespace(box=BOX, pixel_size=changes.get("pixel", PIXEL))
    symmetry = point_group(changes.get("symmetry", "C1"))
    given: Any = SimpleNamespace(
        source=source,
        extent=BOX * source.pixel_size,
        diameter=120.0,
        symmetry=symmetry,
        pose_doubts=lambda resolution: [TILT] if changes.get("tilted") and resolution < 7 else [],
    )
    sizes = torch.tensor([each.particles for each in maps])
    rotations = random_rotations(int(sizes.sum()), torch.Generator().manual_seed(1))
    estimates = SimpleNamespace(
        rotation=changes.get("rotations", rotations),
        klass=torch.arange(len(maps)).repeat_interleave(sizes),
        log_evidence=torch.full((3,), changes.get("gain", 40.0)),
        max_probability=torch.full((3,), 0.5),
    )
    start = replace(SHOWN, **changes.get("start", {}))
    known = {"starts": (start,) * len(maps), "random_start": None, "stalled": changes.get("stalled", 2)}
    state: Any = SimpleNamespace(estimates=estimates, **known)
    lines = [{"stage": "pass", "class_changes": changes.get("moved", 0.005)}] * changes.get("passes", 8)
    return Ending(config, given, state, maps, [*lines, {**LAST, **changes.get("last", {})}])


def said(verdict: Verdict) -> str:
    return " ".join([verdict.sentence, *verdict.reasons])


def side_views() -> torch.Tensor:
    """Views within ten degrees of the equator: poses whose third row, the direction of view, lies there."""
    rotations = random_rotations(40 * COUNT, torch.Generator().manual_seed(2))
    return rotations[rotations[:, 2, 2].abs() < 0.1][:COUNT]


def test_nothing_wrong_is_good() -> None:
    verdict = judge(ending())
    assert (verdict.level, verdict.sentence) == (
        "good",
        "Independent half-maps agree to 6.00 Å (FSC 0.143, within the mask).",
    )
    assert not any("fix:" in reason for reason in verdict.reasons)
    # 4,000 particles, half of them in each map: 1 / (2 x 20) of the slices meet a frequency at radius 120 / 6
    assert "a frequency of a half-map is the mean of 50 slices at this resolution" in verdict.reasons


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"start": {"lead_over_noise": 1.0}}, "bad", "no better than a random map"),
        ({"start": {"magnification": 1.05}}, "bad", "magnified 1.05 times"),
        ({"gain": -0.1}, "bad", "no better than pure noise"),
        ({"tilted": True}, "doubtful", "but beam tilt is not corrected for: at 6.00 Å it turns phases by 0.7 rad."),
        ({"last": {"searched_everywhere": 0.9}}, "good", ""),
        ({"stalled": 0, "passes": 25}, "doubtful", "still growing"),
        ({"stalled": 0, "passes": 24}, "good", ""),
        ({"rotations": side_views()}, "doubtful", "views are uneven"),
        # an octahedral particle has no sides
        ({"rotations": side_views(), "symmetry": "O"}, "good", ""),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], level: str, words: str) -> None:
    verdict = judge(ending(**changes))
    assert verdict.level == level
    assert words in verdict.sentence
    assert any("fix:" in reason for reason in verdict.reasons) == (level != "good")


@pytest.mark.parametrize(
    ("changes", "settings", "level", "words"),
    [
        ({"resolution_masked_A": 20.5}, {}, "bad", "no further than to 20 Å"),
        ({"resolution_masked_A": 4.1, "limits": ("The pixels limit it.",)}, {}, "good", "The pixels limit it."),
        ({"mask_too_tight": True}, {"mask": Path("mask.mrc")}, "doubtful", "the mask is too tight"),
        ({"mask_too_tight": True}, {}, "good", ""),
        ({"particles": 400}, {}, "good", ""),
        ({"particles": 300}, {}, "doubtful", "too few particles"),
    ],
)
def test_the_resolution_is_weighed(changes: dict[str, Any], settings: dict[str, Any], level: str, words: str) -> None:
    verdict = judge(ending(refined(**changes), config=settings))
    assert verdict.level == level
    assert words in verdict.sentence


def test_copies_of_a_symmetric_particle_count() -> None:
    assert judge(ending(refined(particles=300), symmetry="D2")).level == "good"


def test_pixels_too_coarse_for_independent_halves_are_a_doubt() -> None:
    verdict = judge(ending(refined(resolution_masked_A=24.0), pixel=12.0))
    assert verdict.level == "doubtful"
    assert "its halves share all that the images hold" in verdict.sentence


def test_the_worst_is_said_and_the_rest_are_reasons() -> None:
    verdict = judge(ending(gain=-1.0, stalled=0, passes=25))
    assert verdict.sentence == "Do not trust this map: particles fit it no better than pure noise."
    assert "still growing" in verdict.reasons[1]


def test_classes_that_are_empty_or_restless_are_a_doubt() -> None:
    names = ("class 1", "class 2", "class 3")
    whole = judge(ending(*(refined(1 / 3, name) for name in names)))
    assert whole.level == "good"
    assert "0.5 % of the particles changed class in the last pass" in whole.reasons
    empty = judge(ending(refined(0.7, names[0]), refined(0.29, names[1]), refined(0.01, names[2])))
    assert empty.level == "doubtful"
    assert empty.sentence.startswith("Independent half-maps of class 1 agree")
    assert "class 3 is empty" in empty.sentence
    assert "(40 particles, 1.0 %); fix: leave its start map out" in said(empty)
    restless = judge(ending(*(refined(1 / 3, name) for name in names), moved=0.02))
    assert "classes have not settled" in restless.sentence


@pytest.mark.parametrize("lead", [2.4, 2.6, 3.5, 4.1])
def test_the_verdict_and_the_refusal_of_a_start_map_have_one_rule(lead: float) -> None:
    found = replace(SHOWN, lead_over_noise=lead)
    try:
        refuse_bad_start(found, Path("map.mrc"))
        refused = False
    except InputError:
        refused = True
    assert (judge(ending(start={"lead_over_noise": lead})).level == "bad") == refused == (lead < 2.5)

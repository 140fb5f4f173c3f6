"""The rule of verdicts: the worst level counts, what is wrong at that level is named, and it comes first."""

from dataclasses import replace

import pytest

from cryorbit.core.verdict import LEVELS, Level, Remark, Verdict, weigh, worst

HARMLESS = Remark("good", "", "the mask is harmless")
UNEVEN = Remark("doubtful", "views are uneven", "views are uneven; fix: tilt the stage")
SIDED = Remark("doubtful", "views are uneven", "sampling factor 0.3")
EMPTY = Remark("doubtful", "class 2 is empty", "class 2 is empty; fix: leave it out")
NOISE = Remark("bad", "particles fit noise", "particles fit noise; fix: look at them")


def weighed(*remarks: Remark) -> Verdict:
    return weigh(remarks, lambda level, problem: f"{level}: {problem}")


@pytest.mark.parametrize(
    ("remarks", "level", "sentence"),
    [
        ((HARMLESS,), "good", "good: "),
        ((HARMLESS, UNEVEN, EMPTY), "doubtful", "doubtful: views are uneven; class 2 is empty"),
        ((UNEVEN, SIDED), "doubtful", "doubtful: views are uneven"),
        ((UNEVEN, HARMLESS, NOISE), "bad", "bad: particles fit noise"),
    ],
)
def test_the_worst_level_counts_and_its_problems_are_named_once(
    remarks: tuple[Remark, ...], level: Level, sentence: str
) -> None:
    verdict = weighed(*remarks)
    assert (verdict.level, verdict.sentence) == (level, sentence)


def test_what_is_wrong_comes_first_and_equals_keep_their_order() -> None:
    verdict = weighed(HARMLESS, UNEVEN, NOISE, EMPTY, Remark("bad", "", ""))
    assert verdict.reasons == (NOISE.reason, UNEVEN.reason, EMPTY.reason, HARMLESS.reason)


def test_levels_run_from_good_to_bad() -> None:
    assert worst(["good", "bad", "doubtful"]) == "bad"
    assert worst(["doubtful", "good"]) == "doubtful"
    assert [worst(LEVELS[: number + 1]) for number in range(3)] == list(LEVELS)


def test_a_notebook_shows_the_sentence_in_the_colour_of_its_level() -> None:
    verdict = Verdict("bad", "FSC < 0.143", ("few & small",))
    assert "FSC &lt; 0.143</b><ul><li>few &amp; small</li></ul>" in verdict._repr_html_()
    assert verdict._repr_html_() != replace(verdict, level="good")._repr_html_()
    assert str(verdict) == "FSC < 0.143\n  - few & small"

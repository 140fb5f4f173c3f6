"""Whether a result can be trusted: the verdict, the remarks it is made of, and the rule that makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, TypeAlias, get_args

Level: TypeAlias = Literal["good", "doubtful", "bad"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""Levels of a verdict, the worst last."""
_COLOURS = {"good": "#2e7d32", "doubtful": "#b26a00", "bad": "#b3261e"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a result can be trusted.

    Attributes
    ----------
    level
        ``good``, ``doubtful`` or ``bad``.
    sentence
        The verdict.
    reasons
        What it rests on, a sentence each.
    """

    level: Level
    sentence: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        """The sentence and its reasons, a line each."""
        return "\n".join([self.sentence, *(f"  - {reason}" for reason in self.reasons)])

    def _repr_html_(self) -> str:
        """The same in colour, for a notebook."""
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in self.reasons)
        return f'<b style="color: {_COLOURS[self.level]}">{escape(self.sentence)}</b><ul>{reasons}</ul>'


@dataclass(frozen=True, slots=True)
class Remark:
    """One observation that a verdict rests on.

    Attributes
    ----------
    level
        The level that it gives the result by itself.
    problem
        What is wrong, in a few words; empty where nothing is, or where the verdict says it in words of its own.
    reason
        The whole, with a fix where something is wrong; empty where the verdict's sentence says it all.
    """

    level: Level
    problem: str
    reason: str

    @classmethod
    def doubt(cls, sentence: str) -> Remark:
        """A doubt from a sentence of the form ``what is wrong; fix: ...``."""
        return cls("doubtful", sentence.partition(";")[0], sentence)


def sentence_of(doubt: str) -> str:
    """A doubt as a sentence of its own."""
    return f"{doubt[0].upper()}{doubt[1:]}."


def worst(levels: Iterable[Level]) -> Level:
    """Return the worst of the levels."""
    return max(levels, key=LEVELS.index)


def weigh(remarks: Sequence[Remark], sentence: Callable[[Level, str], str]) -> Verdict:
    """Make a verdict of at least one remark: the level is the worst of theirs, and what is wrong comes first.

    Parameters
    ----------
    remarks
        In the order in which they are to be read, levels apart.
    sentence
        Writes the verdict from the level and the problems of that level, joined by semicolons.
    """
    level = worst(remark.level for remark in remarks)
    problems = dict.fromkeys(remark.problem for remark in remarks if remark.level == level and remark.problem)
    ordered = sorted(remarks, key=lambda remark: -LEVELS.index(remark.level))
    reasons = tuple(remark.reason for remark in ordered if remark.reason)
    return Verdict(level, sentence(level, "; ".join(problems)), reasons)

"""What an inspection finds in the pixels of a set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

LISTED = 3
"""Images to repair that are named one by one."""


@dataclass(frozen=True, slots=True)
class ImageFindings:
    """What the pixels of M images of the set tell.

    Attributes
    ----------
    rows
        Row of each image in the file, from 1.
    contrast
        Centre minus background of each image, standard deviations of the image.
    dark
        Whether protein is dark.
    contrast_sentence, normalisation_sentence
        The evidence.
    normalised
        Whether backgrounds have mean 0 and standard deviation 1.
    masked
        Whether the images hold no noise outside the particle.
    repairs
        What single images have that others have not, and what a job does about it, by their rows.
    contradiction
        What the images say against the table so that a job would refuse them, and how to fix it; None for nothing.
    doubts
        What else they say against a reconstruction, a sentence each.
    diameter
        Of the particle, A; None when it does not stand out of the noise.
    diameter_evidence
        How it was found: the end of a sentence.
    power, noise
        Mean power of shells 0 ... box / 2 of the images, and of their background alone.
    snr
        Variance of the signal over that of the noise, in the whole image.
    pictures, smoothed
        A few images as they are, white protein, and low-passed to ``low_pass`` A.
    picture_rows
        Their rows.
    low_pass
        A.
    """

    rows: Int[Tensor, " m"]
    contrast: Float[Tensor, " m"]
    dark: bool
    contrast_sentence: str
    normalised: bool
    masked: bool
    normalisation_sentence: str
    repairs: dict[int, str]
    contradiction: tuple[str, str] | None
    doubts: tuple[str, ...]
    diameter: float | None
    diameter_evidence: str
    power: Float[Tensor, " s"]
    noise: Float[Tensor, " s"]
    snr: float
    pictures: Float[Tensor, "p n n"]
    smoothed: Float[Tensor, "p n n"]
    picture_rows: Int[Tensor, " p"]
    low_pass: float

    def warnings(self, *, premultiplied: bool) -> list[str]:
        """What the user should look at, a sentence each, the worst first.

        Parameters
        ----------
        premultiplied
            Whether the images were multiplied with their CTF: their noise then is what the CTF made of it.
        """
        sentences = [] if self.contradiction is None else [contradicted(*self.contradiction)]
        sentences += [*self.doubts, *_on_repairs(self.repairs)]
        if self.dark:
            sentences.append(f"{self.contrast_sentence} Reconstruction does so by itself.")
        if not (self.normalised or self.masked or premultiplied):
            sentences.append(f"{self.normalisation_sentence} Reconstruction normalises them by itself.")
        if self.diameter is None:
            sentences.append("The particle does not stand out of the noise: give its diameter to reconstruction.")
        return sentences

    def record(self) -> dict[str, Any]:
        """The numbers, for JSON."""
        return {
            "looked_at": len(self.rows),
            "protein": "dark" if self.dark else "white",
            "contrast": self.contrast_sentence,
            "normalised": self.normalised,
            "masked": self.masked,
            "normalisation": self.normalisation_sentence,
            "repairs": self.repairs,
            "contradiction": self.contradiction,
            "diameter_A": self.diameter,
            "diameter_evidence": self.diameter_evidence,
            "snr": self.snr,
            "power": self.power.tolist(),
            "noise": self.noise.tolist(),
        }


def contradicted(problem: str, fix: str) -> str:
    """The sentence on a problem for which a job refuses the set, and its fix."""
    return f"{problem[0].upper()}{problem[1:]}. Fix: {fix}."


def _on_repairs(repairs: dict[int, str]) -> list[str]:
    """Sentences on the images that a job will repair."""
    sentences = [f"To be repaired: row {row}, {repair}." for row, repair in list(repairs.items())[:LISTED]]
    if len(repairs) > LISTED:
        sentences.append(f"{len(repairs) - LISTED:,} more images are to be repaired.")
    return sentences

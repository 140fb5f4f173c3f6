"""What came of trying a symmetry on the images."""

from __future__ import annotations

from dataclasses import dataclass

from cryorbit.io.job_result import Measured


@dataclass(frozen=True, slots=True)
class SymmetryTrial:
    """What came of a symmetry that was asked for, as it stands in ``job.json``.

    Attributes
    ----------
    group
        As asked for.
    imposed
        Whether the job goes on with the symmetric map.
    scores
        Of each class, mean correlation of the C1 map with its copies within the particle.
    structure_scores
        The same without the average over each sphere about the centre.
    offsets_A
        Of each class, how far the centre was from the middle of the box.
    held_out, held_out_c1
        Mean log-likelihood of held-out particles under the symmetric map and under the C1 map, nats; None without any.
    """

    group: str
    imposed: bool
    scores: list[Measured]
    structure_scores: list[Measured]
    offsets_A: list[Measured]  # noqa: N815 (units belong to the name)
    held_out: float | None
    held_out_c1: float | None

    def sentences(self) -> list[str]:
        """What to tell people, the outcome first."""
        measured = (
            f"the C1 map agrees with its copies under {self.group} by {self.scores[0]:.2f} "
            f"({self.structure_scores[0]:.2f} without its spherical average), "
            f"its centre was {self.offsets_A[0]:.1f} Å off"
        )
        if self.held_out is None:
            return [f"{self.group} symmetry imposed: {measured}; no particles were held out to test it."]
        fits = (
            f"held-out particles fit the symmetric map by {self.held_out:.1f} nats, "
            f"the C1 map by {self.held_out_c1:.1f}"
        )
        if self.imposed:
            return [f"{self.group} symmetry imposed: {measured}; {fits}."]
        return [
            f"{self.group} symmetry not imposed: {fits}; {measured}. The map is the C1 map.",
            "fix: try a finer --max-resolution or another point group (--symmetry), or refine the C1 map without "
            "symmetry and inspect the map for axes",
        ]

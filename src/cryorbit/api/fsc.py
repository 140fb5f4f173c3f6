"""A Fourier shell correlation as a notebook holds it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.evaluation.fsc import FSCCurve, resolution_at
from cryorbit.io.destinations import require_new_file
from cryorbit.io.fsc_files import FREQUENCY, files_of, write_fsc

THRESHOLDS = (0.5, 0.143)


@dataclass(frozen=True, slots=True, eq=False)
class FSC:
    """One or several correlations of the same two maps.

    Attributes
    ----------
    table
        A row a shell: its spatial frequency, 1/A, in the first column, a curve in each of the others.
    """

    table: pd.DataFrame

    @property
    def curves(self) -> list[str]:
        """Names of the curves; the first is the one that counts."""
        return list(self.table.columns[1:])

    def resolution(self, threshold: float = 0.143, curve: str | None = None) -> float:
        """Resolution in A at which a curve, by default the first, first falls below ``threshold``."""
        name = curve or self.curves[0]
        if name not in self.curves:
            raise InputError(f"there is no curve {name!r}", fix=f"the curves are {', '.join(self.curves)}")
        return resolution_at(FSCCurve(self._column(self.table.columns[0]), self._column(name)), threshold)

    def save(self, stem: Path | str, title: str = "FSC", *, overwrite: bool = False) -> None:
        """Write ``stem`` with the suffixes ``.star`` (RELION), ``.xml`` (EMDB) and ``.csv``.

        Files that exist are replaced only with ``overwrite``.
        """
        for file in () if overwrite else files_of(Path(stem)):
            require_new_file(file)
        curves = {name: self._column(name).numpy() for name in self.curves}
        write_fsc(stem, self._column(self.table.columns[0]).numpy(), curves, title)

    def _column(self, name: str) -> Float[Tensor, " s"]:
        return torch.from_numpy(self.table[name].to_numpy(float, copy=True))

    def __repr__(self) -> str:
        """The resolutions of the first curve, one line."""
        at = ", ".join(f"{self.resolution(threshold):.2f} Å at {threshold:g}" for threshold in THRESHOLDS)
        return f"FSC({at}; curves: {', '.join(self.curves)})"

    def _repr_html_(self) -> str:
        """The curves with their thresholds, for a notebook."""
        from cryorbit.api.pictures import paragraph, picture
        from cryorbit.io.job_result import ClassRecord
        from cryorbit.report.curve_figures import draw_fsc
        from cryorbit.report.results import ClassResult

        name = "FSC" if len(self.curves) > 1 else self.curves[0]
        drawn = ClassResult(1, ClassRecord(name=name, map=""), None, None, self.table)
        return paragraph(repr(self)) + picture(partial(draw_fsc, [drawn]), "Fourier shell correlation")


def from_curve(curve: FSCCurve, name: str = "unmasked") -> FSC:
    """A curve as a table of one."""
    return FSC(pd.DataFrame({FREQUENCY: curve.frequency_per_A.numpy(), name: curve.correlation.numpy()}))

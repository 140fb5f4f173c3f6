"""Aberrations and magnification of the optics as the columns of a particle table state them, in RELION's words."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.core.readable import percent
from cryorbit.imaging.aberrations import Aberrations, coma_of_tilt, with_tilt
from cryorbit.imaging.ctf import electron_wavelength
from cryorbit.imaging.magnification import Magnification
from cryorbit.io.particles import Particles
from cryorbit.io.star_versions import GROUP

BEAM_TILT, ODD, EVEN = ("rlnBeamTiltX", "rlnBeamTiltY"), "rlnOddZernike", "rlnEvenZernike"
ABERRATIONS = (*BEAM_TILT, ODD, EVEN)
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
VECTOR = rf"\s*\[?\s*(?:{NUMBER}(?:\s*[,\s]\s*{NUMBER})*)?\s*\]?\s*"
"""How RELION writes coefficients: numbers in brackets."""
STRONGEST = {"rlnBeamTiltX": 100.0, "rlnBeamTiltY": 100.0, "rlnOddZernike": 1e4, "rlnEvenZernike": 1e4}
"""Largest values, mrad and radians; tilts are below 5, and a coefficient of 100 turns phases by turns at 3 A."""
MATRIX = {"rlnMagMat00": 1.0, "rlnMagMat01": 0.0, "rlnMagMat10": 0.0, "rlnMagMat11": 1.0}
"""Elements of the matrix of the magnification, and what they are where they are not set."""
MATRIX_NAME = "rlnMagMat00 to 11"
MOST_STRETCH = 0.2
"""Largest relative stretch of an image; microscopes are within 0.03."""
NO_STRETCH = 1e-6
"""Relative stretch below which a matrix is none: tables have six decimals."""
UNSET = ("None", "nan", "<NA>", "-")
_KV, _CS = "kV", "mm"


def columns_of_optics(particles: Particles, labels: tuple[str, ...]) -> pd.DataFrame:
    """Those of the columns that are stated, a row a particle; where both tables state one, that of the optics holds."""
    table, optics = particles.table, particles.optics
    found = pd.DataFrame(
        {label: table[label].to_numpy() for label in labels if label in table}, index=range(len(particles))
    )
    if optics is not None and GROUP in table:
        row = pd.Index(optics[GROUP]).get_indexer(table[GROUP])
        found = found.assign(**{label: optics[label].to_numpy()[row] for label in labels if label in optics})
    return found


def aberrations_of(particles: Particles) -> Aberrations | None:
    """The aberrations that a particle set states; None where it states none, and of images without a CTF.

    Raises
    ------
    InputError
        A beam tilt is not a number, or coefficients are not a list of numbers.
    """
    if particles.ctf.is_absent:
        return None
    stated = columns_of_optics(particles, ABERRATIONS)
    if not len(stated.columns):
        return None
    stated[_KV], stated[_CS] = particles.ctf.voltage.numpy(), particles.ctf.spherical_aberration.numpy()
    setting, first = _settings(stated)
    found = _Columns(stated.iloc[first], particles, first)
    odd, even = found.vectors(ODD), found.vectors(EVEN)
    if any(label in stated for label in BEAM_TILT):
        tilt = torch.stack([found.numbers(label) for label in BEAM_TILT], 1)
        odd = with_tilt(odd, coma_of_tilt(tilt, found.numbers(_CS), electron_wavelength(found.numbers(_KV))))
    return Aberrations(torch.from_numpy(setting), odd, even) if odd.any() or even.any() else None


def magnification_of(particles: Particles) -> Magnification | None:
    """The magnification that a particle set states in RELION's words; None where it stretches no image.

    A matrix that `lacks_identity` is not RELION's, and is passed over.

    Raises
    ------
    InputError
        An element of a matrix is not a number, or a matrix stretches images by more than `MOST_STRETCH`.
    """
    stated = stated_matrices(particles)
    if stated is None:
        return None
    setting, matrices = stated
    none = lacks_identity(matrices) | (_stretch(matrices - np.eye(2)) < NO_STRETCH)
    matrices[none] = np.eye(2)
    return None if none.all() else Magnification(torch.from_numpy(setting), torch.from_numpy(matrices))


def stated_matrices(particles: Particles) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "g 2 2"]] | None:
    """Setting of each particle and matrix of each setting, as stated; None without; errors as `magnification_of`."""
    stated = columns_of_optics(particles, tuple(MATRIX))
    if not len(stated.columns):
        return None
    setting, first = _settings(stated)
    return setting, _Columns(stated.iloc[first], particles, first).matrices()


def lacks_identity(matrices: Float[np.ndarray, "g 2 2"]) -> Bool[np.ndarray, " g"]:
    """Mask of the matrices near 0: not set, or a stretch without the identity, as cryoSPARC has it."""
    small: Bool[np.ndarray, " g"] = _stretch(matrices) <= MOST_STRETCH
    return small


def _stretch(change: Float[np.ndarray, "g 2 2"]) -> Float[np.ndarray, " g"]:
    """Largest relative change of a length by matrices that are to be added to the identity."""
    largest: Float[np.ndarray, " g"] = np.linalg.norm(change, ord=2, axis=(1, 2))
    return largest


def _settings(stated: pd.DataFrame) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " g"]]:
    """Number of the setting of each particle, and the first particle of each setting."""
    numbered = stated.groupby(list(stated.columns), sort=False, dropna=False).ngroup()
    setting = numbered.to_numpy(np.int64, copy=True)
    return setting, np.unique(setting, return_index=True)[1]


class _Columns:
    """Columns of the optics, a row a setting, and which particle each row was read of."""

    def __init__(self, rows: pd.DataFrame, particles: Particles, first: Int[np.ndarray, " g"]) -> None:
        self.rows, self.particles, self.first = rows, particles, first

    def numbers(self, label: str, default: float = 0.0) -> Float[Tensor, " g"]:
        """A number for each setting; ``default`` where there is none."""
        texts = self._texts(label)
        values = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64)
        self._require(np.isfinite(values) | texts.isin(UNSET).to_numpy(), label, "a number")
        values = np.where(np.isfinite(values), values, default)
        self._require_bounded(values, label)
        return torch.from_numpy(values)

    def vectors(self, label: str) -> Float[Tensor, "g c"]:
        """Coefficients of each setting, filled up with 0 to one number of them."""
        texts = self._texts(label)
        lists = np.array([bool(re.fullmatch(VECTOR, text)) for text in texts])
        self._require(lists | texts.isin(UNSET).to_numpy(), label, "a list of numbers, such as [0.1,-0.2]")
        found = [[float(each) for each in re.findall(NUMBER, text)] for text in texts]
        longest = max(map(len, found))
        self._require_bounded(np.array([max(map(abs, each), default=0.0) for each in found]), label)
        return torch.tensor([each + [0.0] * (longest - len(each)) for each in found], dtype=torch.float64)

    def matrices(self) -> Float[np.ndarray, "g 2 2"]:
        """The matrix of the magnification of each setting, near the identity or near 0."""
        elements = [self.numbers(label, default).numpy() for label, default in MATRIX.items()]
        matrices: Float[np.ndarray, "g 2 2"] = np.stack(elements, 1).reshape(-1, 2, 2)
        stretch = _stretch(matrices - np.eye(2))
        wrong = (stretch > MOST_STRETCH) & ~lacks_identity(matrices)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise self._fault(
                row,
                f"the matrix of the magnification ({MATRIX_NAME}) stretches images by {percent(stretch[row])}, "
                f"more than {percent(MOST_STRETCH)}",
                f"correct {MATRIX_NAME}, or remove the columns",
            )
        return matrices

    def _texts(self, label: str) -> pd.Series:
        return self.rows[label].astype(str) if label in self.rows else pd.Series(["None"] * len(self.rows))

    def _require_bounded(self, values: np.ndarray, label: str) -> None:
        most = STRONGEST.get(label, np.inf)
        self._require(np.abs(values) <= most, label, f"within {most:g}")

    def _require(self, sound: np.ndarray, label: str, kind: str) -> None:
        if sound.all():
            return
        row = int(np.argmin(sound))
        raise self._fault(
            row, f"{label} is {self._texts(label).iloc[row]!r}, not {kind}", f"correct {label}, or remove the column"
        )

    def _fault(self, row: int, problem: str, fix: str) -> InputError:
        return InputError(
            problem,
            file=self.particles.source,
            row=int(self.particles.rows[self.first[row]]),
            fix=f"{fix} if nothing is to be corrected for",
        )

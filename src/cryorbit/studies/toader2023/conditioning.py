"""Conditioning of known poses: condition numbers over radius and number of images, spectra, errors of probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from cryorbit.core.seeds import generator_for
from cryorbit.studies.tables import Row
from cryorbit.studies.toader2023.condition_numbers import (
    ProbeErrors,
    SpectralDensity,
    diagonal_bound,
    divided,
    extreme_eigenvalues,
    probe_errors,
    shell_quantiles,
    slicing_bound,
    spectral_density,
)
from cryorbit.studies.toader2023.courses import Optimum
from cryorbit.studies.toader2023.data import DataSet, without_ctf
from cryorbit.studies.toader2023.posed_misfit_hessian import assemble_hessian

LEVELS = (0.0, 0.5, 1.0)
"""Quantiles of a shell that are listed: its least entry, the median, the largest."""
PROBES = (1, 3, 10, 30, 100, 300)
"""Numbers of probes; ten epochs have the last."""
LANCZOS_STEPS = 80


@dataclass(frozen=True, slots=True)
class Spectra:
    """A Hessian before and after it is divided by a diagonal, by the name of the diagonal; ``none`` is before.

    Attributes
    ----------
    diagonals
        Least, median and largest entry of the divided Hessian's diagonal in each shell.
    densities
        Distributions of eigenvalues.
    probes
        Errors of the estimated diagonal.
    """

    diagonals: Mapping[str, Float[Tensor, "3 s"]]
    densities: Mapping[str, SpectralDensity]
    probes: ProbeErrors

    @classmethod
    def restored(cls, packed: Mapping[str, Any]) -> Spectra:
        """What `cryorbit.core.records.pack` made of it, put together again."""
        densities = {name: SpectralDensity(**each) for name, each in packed["densities"].items()}
        return cls(packed["diagonals"], densities, ProbeErrors(**packed["probes"]))


def condition(data: DataSet, radius: float, count: int) -> Row:
    """Condition numbers for one radius and number of images, as the row of the table."""
    problem = data.problem(count, radius)
    hessian, exact = assemble_hessian(problem), problem.hessian_diagonal()
    matrices = {
        "slices alone": assemble_hessian(without_ctf(problem)),
        "with CTF": hessian,
        "over exact diagonal": divided(hessian, exact),
        "over weight volume": divided(hessian, problem.weight_volume()),
    }
    return {
        "radius": f"{radius:g}",
        "images": count,
        "bound, slices alone": f"{slicing_bound(radius, problem.regularisation):.1f}",
        "bound, diagonal": f"{diagonal_bound(exact):.3g}",
        **{name: f"{extreme_eigenvalues(matrix).condition:.3g}" for name, matrix in matrices.items()},
        "unseen": f"{float((exact < 2 * problem.regularisation).double().mean()):.1%}",
    }


def spectra(optimum: Optimum, seed: int) -> Spectra:
    """Diagonals and eigenvalues before and after preconditioning, and the errors of probes."""
    problem, hessian = optimum.problem, optimum.hessian
    exact = problem.hessian_diagonal()
    by_name = {"none": exact.new_ones(len(exact)), "exact diagonal": exact, "weight volume": problem.weight_volume()}
    return Spectra(
        {name: shell_quantiles(exact / each, problem.ball.shells, LEVELS) for name, each in by_name.items()},
        {
            name: spectral_density(divided(hessian, each), LANCZOS_STEPS, generator_for(seed, "toader2023 spectrum"))
            for name, each in by_name.items()
        },
        probe_errors(hessian, PROBES, generator_for(seed, "toader2023 probes")),
    )


def list_spectra(spectra: Spectra) -> list[Row]:
    """A row a shell: quantiles of the diagonal before and after."""
    shells = next(iter(spectra.diagonals.values())).shape[1]
    names = ("least", "median", "largest")
    return [
        {
            "shell": shell,
            **{
                f"{name}, {diagonal}": f"{float(values[level, shell]):.4g}"
                for diagonal, values in spectra.diagonals.items()
                for level, name in enumerate(names)
            },
        }
        for shell in range(shells)
    ]


def list_probes(errors: ProbeErrors) -> list[Row]:
    """A row a number of probes."""
    columns = (errors.probes.tolist(), errors.measured.tolist(), errors.expected.tolist())
    return [
        {"probes": probes, "error": f"{measured:.3f}", "expected": f"{expected:.3f}"}
        for probes, measured, expected in zip(*columns, strict=True)
    ]

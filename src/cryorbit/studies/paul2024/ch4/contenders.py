"""The methods of chapter 4 of Paul (2024): as printed there, and as they are here, with what was published of each.

One list is for multireference alignment, one for cryo-EM.
Step lengths, mini-batches and curvature settings are not published. Those of the printed methods are the safe ones of
theory, and for SVRG+II a tenth of a quasi-Newton step, with which it takes about the published number of passes. Those
of the methods here are the package's defaults. No setting depends on the data or its seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from cryorbit.optim.anderson import Anderson
from cryorbit.optim.em import EM
from cryorbit.optim.gradient_descent import GradientDescent
from cryorbit.optim.method import Method
from cryorbit.optim.safeguards import Safeguard
from cryorbit.optim.sem_vr import SEMVR
from cryorbit.optim.sem_vr_quasi_newton import SEMVRQuasiNewton
from cryorbit.optim.sem_vr_statistics import SEMVRStatistics
from cryorbit.optim.svrg import SVRG
from cryorbit.optim.svrg_quasi_newton import SVRGQuasiNewton
from cryorbit.optim.svrg_subsampled_hessian import SVRGSubsampledHessian

BARE = Safeguard(active=False)
PRINTED_QN = SEMVRQuasiNewton(secant="printed", product="euclidean", restart="average", safeguard=BARE)


@dataclass(frozen=True, slots=True)
class Contender:
    """A method in the comparison.

    Attributes
    ----------
    name
        Name in the tables.
    figure
        Figure of the thesis whose curves it belongs to: in alignment 2 for gradients, 3 for EM; in cryo-EM 6.
    method
        The method.
    published_passes, published_seconds
        Numbers of tables 4.1 to 4.3; a plus sign where the method did not converge. Empty for what is not in them.
    """

    name: str
    figure: int
    method: Method[Any]
    published_passes: str = ""
    published_seconds: str = ""


CONTENDERS = (
    Contender("GD", 2, GradientDescent(), "14000+", "3500+"),
    Contender(
        "SVRG, as printed",
        2,
        SVRG(step_size=1 / 3, base="scalar", restart="average", safeguard=BARE, batch_size=300),
        "14000+",
        "3500+",
    ),
    Contender("SVRG", 2, SVRG()),
    Contender(
        "SVRG+I, as printed",
        2,
        SVRGSubsampledHessian(rank=8, refresh=1, share=0.1, base="scalar", restart="average", safeguard=BARE),
        "14000+",
        "3500+",
    ),
    Contender("SVRG+I", 2, SVRGSubsampledHessian()),
    Contender(
        "SVRG+II, as printed",
        2,
        SVRGQuasiNewton(step_size=0.1, base="scalar", restart="average", safeguard=BARE),
        "821",
        "217",
    ),
    Contender("SVRG+II", 2, SVRGQuasiNewton()),
    Contender("EM", 3, EM(), "3078", "85"),
    Contender("sEM-vr, as printed", 3, SEMVR(restart="average", safeguard=BARE, batch_size=300), "392", "53"),
    Contender("sEM-vr", 3, SEMVR()),
    Contender("sEM-vr of statistics", 3, SEMVRStatistics()),
    Contender("sEM-vr+QN, as printed", 3, PRINTED_QN, "188", "34"),
    Contender("sEM-vr+QN, as printed, eta 0.1", 3, replace(PRINTED_QN, step_size=0.1)),
    Contender("sEM-vr+QN, as printed, eta 0.01", 3, replace(PRINTED_QN, step_size=0.01)),
    Contender("sEM-vr+QN, printed secant, safeguarded", 3, SEMVRQuasiNewton(secant="printed", product="euclidean")),
    Contender("sEM-vr+QN, corrected secant, bare", 3, SEMVRQuasiNewton(product="euclidean", safeguard=BARE)),
    Contender("sEM-vr+QN, corrected secant", 3, SEMVRQuasiNewton(product="euclidean")),
    Contender("sEM-vr+QN", 3, SEMVRQuasiNewton()),
    Contender("EM, Anderson", 3, Anderson()),
)
"""In the order of the tables; those "as printed" have the thesis' secants, restarts and scales, and no safeguard."""

CRYO_CONTENDERS = (
    Contender("GD", 6, GradientDescent(), "2000+", "1500+"),
    Contender(
        "SVRG, as printed",
        6,
        SVRG(step_size=1 / 3, base="scalar", restart="average", safeguard=BARE, batch_size=300),
        "1139",
        "942",
    ),
    Contender("SVRG", 6, SVRG(batch_size=300)),
    Contender(
        "SVRG+II, as printed",
        6,
        SVRGQuasiNewton(step_size=0.1, base="scalar", restart="average", safeguard=BARE),
        "790",
        "713",
    ),
    Contender("SVRG+II", 6, SVRGQuasiNewton()),
    Contender("EM", 6, EM()),
    Contender("sEM-vr of statistics", 6, SEMVRStatistics(batch_size=300)),
    Contender("sEM-vr+QN", 6, SEMVRQuasiNewton(batch_size=300)),
    Contender("EM, Anderson", 6, Anderson()),
)
"""The same for cryo-EM, where a block of 300 images costs what it should: a pose is scored for all of them at once."""

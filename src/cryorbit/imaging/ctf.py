"""The contrast transfer function, in RELION's sign: protein is white, CTF(0) = amplitude contrast.

``CTF = -scale exp(-B k^2 / 4) sin(gamma)`` with
``gamma = -pi lambda z k^2 + pi/2 Cs lambda^3 k^4 - phase - arcsin(w)``, to which symmetric aberrations add.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.data import CTFParams


def electron_wavelength(voltage_kv: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Relativistic electron wavelength, A, at an acceleration voltage in kV."""
    volts = voltage_kv * 1e3
    # RELION's constants: h / sqrt(2 m e) in A sqrt(V), and e / (2 m c^2) in 1 / V
    return 12.2643247 / torch.sqrt(volts * (1.0 + volts * 0.978466e-6))


def ctf_values(
    params: CTFParams, frequencies: Float[Tensor, "p 2"], aberration: Float[Tensor, "n p"] | None = None
) -> Float[Tensor, "n p"]:
    """CTF of N particles at P spatial frequencies ``(x, y)`` in 1/A; ``aberration`` is added to its phase, radians.

    Parameters may be in main memory: they go to where the frequencies are. The phase reaches hundreds of radians, so it
    is computed in float64; the result is float32.
    """
    # asked for here, a device would have to be waited for
    has_envelope = bool((params.b_factor != 0).any())
    params = params.to(frequencies.device)
    column = {name: getattr(params, name)[:, None] for name in params.__slots__}
    fx, fy = frequencies.double().unbind(-1)
    k2 = fx**2 + fy**2
    wavelength = electron_wavelength(column["voltage"])
    mean = 0.5 * (column["defocus_u"] + column["defocus_v"])
    half_difference = 0.5 * (column["defocus_u"] - column["defocus_v"])
    # k^2 cos 2(angle - a) without the angle of k: two products instead of an arctangent and a cosine
    twice = 2 * column["defocus_angle"]
    defocus_k2 = mean * k2 + half_difference * (twice.cos() * (fx**2 - fy**2) + twice.sin() * (2 * fx * fy))
    spherical = 0.5 * math.pi * column["spherical_aberration"] * 1e7 * wavelength**3
    gamma = spherical * k2**2 - math.pi * wavelength * defocus_k2
    gamma = gamma - column["phase_shift"] - torch.asin(column["amplitude_contrast"])
    if aberration is not None:
        gamma = gamma + aberration
    # reduced to one turn in float64, the sine itself is accurate enough in float32
    reduced = (gamma - 2 * math.pi * torch.round(gamma / (2 * math.pi))).float()
    values = -column["scale"].float() * torch.sin(reduced)
    if has_envelope:
        values = values * torch.exp(-column["b_factor"] * k2 / 4).float()
    return values

"""Is this particle set fit for reconstruction? Asked before the first iteration.

What concerns the whole set is an error: files that are missing, of another size or cut short. What concerns single
particles sets them aside with the reason: unusable CTF parameters, images that are not finite or constant, duplicates.
Contrast and normalisation are judged and reported; whoever reconstructs acts on them.

Pixels of all images are looked at up to `SAMPLE` particles, and of that many, evenly spaced, beyond.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from cryorbit.core.errors import InputError
from cryorbit.io.image_paths import is_file
from cryorbit.io.image_statistics import ImageStatistics, image_statistics, median_contrast
from cryorbit.io.mrc import MrcHeader, read_header
from cryorbit.io.particles import Particles

SAMPLE = 20_000
DEFOCUS_A = (50.0, 100_000.0)
"""Limits of defocus; the lower one tells micrometres given for A."""
MAX_ASTIGMATISM_A = 20_000.0
VOLTAGE_KV = (20.0, 2000.0)
SIGNIFICANCE = 5.0
"""Standard errors the contrast must be away from 0 to be believed."""
BADLY_NORMALISED = 0.01
"""Fraction of images outside RELION's limits (|mean / std| <= 0.5, 0.5 <= std <= 2) above which all are."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The verdict on a particle set of N particles.

    Attributes
    ----------
    keep
        Indices of the particles to use.
    set_aside
        The others: ``row`` in the file (from 1), ``image`` and ``reason``.
    inverted
        Whether the protein is dark, so that the images must be multiplied by -1.
    contrast
        One sentence on the sign of the contrast.
    needs_normalisation
        Whether backgrounds are far from mean 0 and standard deviation 1.
    normalisation
        One sentence on the normalisation.
    """

    keep: Int[Tensor, " k"]
    set_aside: pd.DataFrame
    inverted: bool
    contrast: str
    needs_normalisation: bool
    normalisation: str


def check_particles(particles: Particles, max_bad_fraction: float = 0.1, sample: int = SAMPLE) -> CheckReport:
    """Check files, CTF parameters and pixels of a particle set.

    Parameters
    ----------
    particles
        The set.
    max_bad_fraction
        Fraction of particles that may be set aside.
    sample
        How many images are read at most.

    Raises
    ------
    InputError
        A file is missing, cut short or does not fit the table, or too many particles would be set aside.
    """
    check_files(particles)
    looked_at = torch.unique(torch.linspace(0, len(particles) - 1, min(sample, len(particles))).round().long())
    statistics = image_statistics(particles.images.subset(looked_at.numpy()))
    broken = torch.ones(2, len(particles), dtype=torch.bool)
    broken[:, looked_at] = torch.stack([statistics.finite, ~statistics.finite | (statistics.spread > 0)])
    reasons = {
        **ctf_faults(particles),
        "pixels that are not finite": ~broken[0],
        "a constant image": ~broken[1],
        "a duplicate of an earlier row": duplicates(particles),
    }
    set_aside = _set_aside(particles, reasons)
    _refuse_too_many(particles, set_aside, max_bad_fraction)
    bad = torch.stack(list(reasons.values())).any(dim=0)
    good = statistics[~bad[looked_at]]
    inverted, contrast = judge_contrast(good)
    needs_normalisation, normalisation = judge_normalisation(good, premultiplied=particles.premultiplied)
    keep = torch.nonzero(~bad)[:, 0]
    return CheckReport(keep, set_aside, inverted, contrast, needs_normalisation, normalisation)


def check_files(particles: Particles) -> None:
    """Raise `InputError` unless every stack is there, whole, and fits the table."""
    stack = particles.images
    used = np.unique(stack.file_index)
    missing = [stack.files[number] for number in used if not is_file(stack.files[number])]
    if missing:
        row = int(np.argmax(stack.file_index == stack.files.index(missing[0])))
        raise InputError(
            f"{missing[0]} is not there ({len(missing)} of {len(used)} image files are missing)",
            file=particles.source,
            row=int(particles.rows[row]),
            mend="give the folder that the names are relative to, or that holds the files, with --data-dir",
        )
    for number in used:
        check_file(particles, int(number))


def check_file(particles: Particles, number: int) -> None:
    """Raise `InputError` unless file ``number`` of the stack is there, whole, and fits the table."""
    stack = particles.images
    path = stack.files[number]
    header = read_header(path)
    stack.check_header(path, header, stack.section[stack.file_index == number])
    _check_length(path, header)
    _check_pixel_size(path, header, particles.pixel_size)


def judge_contrast(statistics: ImageStatistics) -> tuple[bool, str]:
    """Whether protein is dark, and a sentence, from the centre of the images against their background."""
    middle, error = median_contrast(statistics)
    measure = f"centre minus background is {middle:+.3f} +- {error:.3f} standard deviations of the image"
    if abs(middle) < SIGNIFICANCE * error or middle == 0:
        return False, f"The sign of the contrast is ambiguous ({measure}); white protein is assumed."
    if middle < 0:
        return True, f"Protein is dark ({measure}): the images must be inverted."
    return False, f"Protein is white ({measure})."


def judge_normalisation(statistics: ImageStatistics, *, premultiplied: bool = False) -> tuple[bool, str]:
    """Whether the images must be normalised, and a sentence, by RELION's limits on the background.

    The noise of images that were multiplied with their CTF differs with the CTF, as it should: dividing it out would
    change the weight of the particles.
    """
    mean, std = statistics.background_mean, statistics.background_std
    outside = ((mean / std).abs() > 0.5) | (std < 0.5) | (std > 2.0)
    fraction = float(outside.double().mean())
    measure = f"background mean {float(mean.median()):.3g}, standard deviation {float(std.median()):.3g} (medians)"
    if premultiplied:
        return False, f"Grey values are taken as they are: the images were multiplied with their CTF ({measure})."
    if fraction > BADLY_NORMALISED:
        return True, f"{100 * fraction:.0f} % of the images are not normalised: {measure}; expected 0 and 1."
    return False, f"The images are normalised: {measure}."


def _check_length(path: Path, header: MrcHeader) -> None:
    size = path.stat().st_size
    if size < header.file_bytes:
        raise InputError(
            f"the stack is cut short: {size} bytes where its header promises {header.file_bytes}",
            file=path,
            mend="copy the stack again, or extract the particles again",
        )


def _check_pixel_size(path: Path, header: MrcHeader, pixel_size: float) -> None:
    stated = header.pixel_size[0]
    # 0 and 1 are what programs write that do not know
    if stated not in (0.0, 1.0) and abs(stated - pixel_size) > 0.01 * pixel_size:
        raise InputError(
            f"the header says {stated:.4g} A a pixel, the table {pixel_size:.4g} A",
            file=path,
            mend="correct the one that is wrong (rlnImagePixelSize, or cell size in the header)",
        )


def ctf_faults(particles: Particles) -> dict[str, Bool[Tensor, " n"]]:
    """Masks of the particles whose CTF parameters cannot be, by reason; NaN fails every comparison."""
    ctf = particles.ctf
    defocus = torch.stack([ctf.defocus_u, ctf.defocus_v])
    others = torch.stack([ctf.defocus_angle, ctf.phase_shift, ctf.b_factor, ctf.scale])
    low, high = VOLTAGE_KV
    nearest, farthest = DEFOCUS_A
    legal = {
        f"a defocus outside {nearest:.0f} to {farthest:.0f} A": ((defocus >= nearest) & (defocus <= farthest)).all(0),
        f"astigmatism over {MAX_ASTIGMATISM_A:.0f} A": ~((defocus[0] - defocus[1]).abs() > MAX_ASTIGMATISM_A),
        f"a voltage outside {low:.0f} to {high:.0f} kV": (ctf.voltage >= low) & (ctf.voltage <= high),
        "an amplitude contrast outside 0 to 1": (ctf.amplitude_contrast >= 0) & (ctf.amplitude_contrast <= 1),
        "a negative spherical aberration": ctf.spherical_aberration >= 0,
        "CTF parameters that are not finite": torch.isfinite(others).all(0),
    }
    return {reason: ~mask for reason, mask in legal.items()}


def duplicates(particles: Particles) -> Bool[Tensor, " n"]:
    """Mask of the particles whose image an earlier row has."""
    places = pd.DataFrame({"file": particles.images.file_index, "section": particles.images.section})
    return torch.from_numpy(places.duplicated().to_numpy(copy=True))


def _set_aside(particles: Particles, reasons: dict[str, Bool[Tensor, " n"]]) -> pd.DataFrame:
    """The particles any of the masks holds for, with all their reasons."""
    bad = torch.nonzero(torch.stack(list(reasons.values())).any(dim=0))[:, 0].numpy()
    return pd.DataFrame(
        {
            "row": particles.rows[bad],
            "image": particles.table["rlnImageName"].iloc[bad].to_numpy(),
            "reason": ["; ".join(_reasons_of(int(index), reasons)) for index in bad],
        }
    )


def _reasons_of(index: int, reasons: dict[str, Bool[Tensor, " n"]]) -> Iterator[str]:
    return (reason for reason, mask in reasons.items() if mask[index])


def _refuse_too_many(particles: Particles, set_aside: pd.DataFrame, max_bad_fraction: float) -> None:
    if len(set_aside) <= max_bad_fraction * len(particles) and len(set_aside) < len(particles):
        return
    first = set_aside.iloc[0]
    raise InputError(
        f"{len(set_aside)} of {len(particles)} particles are unusable; this one has {first['reason']}",
        file=particles.source,
        row=int(first["row"]),
        mend=f"correct the table or extract again; at most {100 * max_bad_fraction:g} % can be set aside",
    )

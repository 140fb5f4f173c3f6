"""Values that no microscope, particle or setting has, put where the program could take them for possible."""

from __future__ import annotations

import math
import random
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import recfunctions
from pydantic import BaseModel

from cryorbit.api.jobs import plan_job
from cryorbit.api.recipe_table import CONFIGS
from cryorbit.io.checks import CheckReport, check_particles
from cryorbit.io.particles import Particles, read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.compare import read_box
from torture.forks import ACCEPTED

STAR_VALUES: dict[str, list[float]] = {
    "rlnDefocusU": [1e9, -1e9, math.nan, math.inf, 1e30],
    "rlnDefocusV": [1e9, -math.inf, 3e7],
    "rlnDefocusAngle": [1e9, math.nan, -1e6],
    "rlnPhaseShift": [1e6, math.inf, -1e5],
    "rlnCtfBfactor": [-1e5, 1e6, math.nan],
    "rlnCtfScalefactor": [1e30, 0, -1, 1e4, math.nan],
    "rlnAngleRot": [1e12, math.nan, math.inf],
    "rlnAngleTilt": [1e12, math.nan, -math.inf],
    "rlnOriginXAngst": [1e6, math.nan, 400.0],
    "rlnOriginYAngst": [-1e6, math.inf],
    "rlnVoltage": [0, -300, 3e9, math.nan],
    "rlnSphericalAberration": [2_700_000, 1e30, math.inf, -5],
    "rlnAmplitudeContrast": [7, -3, math.nan],
    "rlnImagePixelSize": [0, -5, 1e9, math.nan],
    "rlnImageSize": [0, 31, 1e9],
}
CS_VALUES: dict[str, list[float]] = {
    "ctf/df1_A": [1e9, -1e9, math.nan],
    "ctf/df_angle_rad": [1e9, math.nan],
    "ctf/phase_shift_rad": [1e6, math.inf],
    "ctf/bfactor": [-1e5, 1e6, math.nan],
    "ctf/scale": [1e30, 0, -1, math.nan],
    "ctf/accel_kv": [0, -300, 3e9],
    "ctf/cs_mm": [2_700_000, 1e30, math.inf],
    "ctf/amp_contrast": [7, -3, math.nan],
    "alignments3D/shift": [1e6, math.nan, math.inf],
    "alignments3D/pose": [1e12, math.nan],
    "blob/psize_A": [0, -5, math.nan, 1e9],
    "blob/sign": [0.5, math.nan, 1e9],
}
POSE_COLUMNS = {
    *("rlnAngleRot", "rlnAngleTilt", "rlnOriginXAngst", "rlnOriginYAngst"),
    *("alignments3D/pose", "alignments3D/shift"),
}
"""Columns in which a value that cannot be makes a particle one without a pose, which jobs on poses leave out."""
CS_KINDS = ["<f2", "<i2", "S8", "<c8", "<f8", "?", "<u8"]
PIXELS = [1e6, -1e6, 1e12, 1e30, math.nan, math.inf]
IMPOSSIBLE_PIXEL = 1e3
"""Of images whose pixels are a few units."""
SETTINGS: list[Any] = [math.inf, -math.inf, math.nan, 1e300, -1e300, 10**400, -(10**30)]
HEADER = 1024


def impossible_star(file: Path, draw: random.Random) -> tuple[str, int | None]:
    """Put an impossible value into a column; its label, and the row from 0 (None if it is of all)."""
    blocks = read_star(file)
    label = draw.choice(list(STAR_VALUES))
    block = "particles" if label in blocks["particles"] else "optics"
    table = blocks[block].copy()
    value = draw.choice(STAR_VALUES[label])
    row = draw.randrange(len(table))
    table[label] = table[label].astype(float) if label in table else 0.0
    table.loc[row, label] = value
    write_star(file, {**blocks, block: table})
    return f"{label}={value:g}", row if block == "particles" else None


def impossible_cs(file: Path, draw: random.Random) -> tuple[str, int | None]:
    """Put an impossible value into a field, or make the field one of another kind of values."""
    records = np.load(file)
    label = draw.choice([name for name in CS_VALUES if name in (records.dtype.names or ())])
    if draw.random() < 0.3:
        kind = draw.choice(CS_KINDS)
        part = records.dtype[label]
        with np.errstate(all="ignore"):
            changed = np.zeros(records[label].shape, kind) if kind[0] == "S" else records[label].astype(kind)
        rest = recfunctions.drop_fields(records, label, usemask=False)
        joined = np.empty(len(records), [*rest.dtype.descr, (label, kind, part.shape)])
        for name in rest.dtype.names or ():
            joined[name] = rest[name]
        joined[label] = changed
        _save(file, joined)
        return f"{label} as {kind}", -1
    value, row = draw.choice(CS_VALUES[label]), draw.randrange(len(records))
    records[label][row] = value
    _save(file, records)
    return f"{label}={value:g}", row


def impossible_pixels(file: Path, draw: random.Random) -> tuple[str, int]:
    """Put an impossible value into one pixel of a stack or voxel of a map."""
    content = bytearray(file.read_bytes())
    shape = np.frombuffer(content, "<i4", 3)
    row, place = draw.randrange(int(shape[2])), draw.randrange(int(shape[0] * shape[1]))
    value = draw.choice(PIXELS)
    where = HEADER + 4 * (row * int(shape[0] * shape[1]) + place)
    content[where : where + 4] = np.float32(value).tobytes()
    file.write_bytes(content)
    return f"pixel={value:g}", row


def impossible_settings(file: Path, draw: random.Random) -> tuple[str, str]:
    """Write a file in which one number among the settings of a verb is beyond all bounds; verb and setting."""
    verb = draw.choice(list(CONFIGS))
    module, _, name = CONFIGS[verb].partition(":")
    setting = draw.choice(list(_numbers(getattr(import_module(module), name))))
    value = draw.choice(SETTINGS)
    written = {"inf": "inf", "-inf": "-inf", "nan": "nan"}.get(str(value), str(value))
    file.write_text(f"{setting} = {written}\n")
    return verb, f"{verb}: {setting} = {written[:20]}"


def judge_particles(name: str, row: int | None, label: str) -> None:
    """Read and check particles as every job does; say so if the impossible value of a particle is used."""
    particles, report, kept = _checked(name)
    if row == -1 or not len(kept) or (row is not None and row not in kept):
        return
    column = label.partition("=")[0]
    unset = row is not None and column in POSE_COLUMNS and not bool(particles.aligned[row])
    # the others' pixel size is used where one is 0, and that is said
    replaced = column == "blob/psize_A" and any(" a pixel size of 0 " in said for said in report.remarks)
    if not (unset or replaced):
        print(ACCEPTED + label, flush=True)  # noqa: T201


def judge_pixels(name: str, row: int, label: str) -> None:
    """Read and check particles as every job does; say so if it would see the impossible pixel."""
    particles, report, kept = _checked(name)
    place = torch.from_numpy(np.flatnonzero(kept == row))
    images = particles.images.read(report.keep[place])
    if report.grey.levels is not None:
        images = report.grey.levels[place].apply(images)
    if bool((~(images.abs() < IMPOSSIBLE_PIXEL)).any()):
        print(ACCEPTED + label, flush=True)  # noqa: T201


def _checked(name: str) -> tuple[Particles, CheckReport, np.ndarray]:
    """Particles, the verdict on them, and the rows from 0 of those that are kept."""
    particles = read_particles(name)
    report = check_particles(particles, 1.0)
    return particles, report, np.asarray(particles.subset(report.keep).table.index)


def judge_map(name: str, label: str | None) -> None:
    """Read a map as every job does; say so if it is taken with an impossible voxel."""
    read_box(Path(name))
    if label is not None:
        print(ACCEPTED + label, flush=True)  # noqa: T201


def judge_settings(verb: str, name: str, label: str | None = None) -> None:
    """Read settings as every job does; say so if one beyond all bounds is taken."""
    given = {"particles": "particles.star", "observations": "observations.npz", "half1": "map.mrc", "half2": "map.mrc"}
    module, _, config = CONFIGS[verb].partition(":")
    fields = getattr(import_module(module), config).model_fields
    maps = {"maps": ("map.mrc", "map.mrc")} if "maps" in fields else {}
    plan_job(verb, {key: each for key, each in given.items() if key in fields} | maps | {"output": "job"}, Path(name))
    if label is not None:
        print(ACCEPTED + label, flush=True)  # noqa: T201


def _save(file: Path, records: np.ndarray) -> None:
    with file.open("wb") as stream:
        np.save(stream, records, allow_pickle=False)


def _numbers(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Dotted names of the numbers among settings."""
    found = []
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            found += _numbers(type(field.default), f"{prefix}{name}.")
        elif any(kind in str(field.annotation) for kind in ("int", "float")):
            found.append(prefix + name)
    return found

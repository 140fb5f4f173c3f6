"""What a job found, as it stands under ``result`` in ``job.json``: one form to write it in and to read it by.

Recipes add numbers of their own in dataclasses that extend `Result`; whoever reads a job of any kind reads a `Result`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from cryorbit.core.errors import InputError
from cryorbit.core.verdict import Verdict

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Kind = TypeVar("Kind", bound="DataclassInstance")
FIX = "the job cannot go on; start it again in another folder"
Measured: TypeAlias = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
"""A number that may not be finite: JSON has null for it, which is read as NaN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRecord:
    """One map of a job; None for what the job does not determine.

    Attributes
    ----------
    name, map, fsc
        What the report calls it, its file, and the table of its correlations.
    particles, fraction
        Particles that are most likely of this class, and their part of all.
    resolution_A, resolution_masked_A
        Where the half-maps correlate by 0.143, as they are, and within the mask, corrected for the mask, A.
    b_factor
        Applied, A^2; negative sharpens.
    mask_too_tight
        Whether the user's mask makes correlation of its own at that resolution.
    limits
        A sentence on what limits the resolution, if the particles do not.
    """

    name: str
    map: str
    fsc: str | None = None
    particles: int | None = None
    fraction: float | None = None
    resolution_A: float | None = None  # noqa: N815 (units belong to the name)
    resolution_masked_A: float | None = None  # noqa: N815
    b_factor: float | None = None
    mask_too_tight: bool | None = None
    limits: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ParticleCount:
    """Numbers of particles that were used, and of those that were set aside."""

    used: int
    set_aside: int


@dataclass(frozen=True, slots=True)
class StageRecord:
    """A stage of a job that is a job of its own: title for people, the command that makes such a job, its folder."""

    title: str
    verb: str
    folder: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class CrossSeed:
    """Agreement of S independent starts.

    Attributes
    ----------
    seeds
        Their seeds.
    resolution_A
        S x S: resolution to which two of them correlate by 0.5 after superposition (both hands), A.
    correlation
        S x S: correlation coefficient of the superposed maps.
    held_out_log_likelihood
        Of each start, nats a particle; NaN where no particles were held out.
    """

    seeds: tuple[int, ...]
    resolution_A: tuple[tuple[Measured, ...], ...] = ()  # noqa: N815 (units belong to the name)
    correlation: tuple[tuple[Measured, ...], ...] = ()
    held_out_log_likelihood: tuple[Measured, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthRecord:
    """The map of a demonstration against the map that its images were made from.

    Attributes
    ----------
    map, superposed
        Files of the true map, and of the first class superposed on it.
    resolution_fsc05_A, resolution_fsc0143_A
        Where the two correlate by 0.5 and by 0.143, A.
    correlation
        Correlation coefficient of the two.
    hand_flipped
        Whether the first class was mirrored.
    angle_median_deg, shift_median_A
        Median errors of the poses.
    """

    map: str
    superposed: str
    resolution_fsc05_A: float | None = None  # noqa: N815 (units belong to the name)
    resolution_fsc0143_A: float | None = None  # noqa: N815
    correlation: float | None = None
    hand_flipped: bool | None = None
    angle_median_deg: float | None = None
    shift_median_A: float | None = None  # noqa: N815


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedMap:
    """The agreement of a job's map with another one of the particle.

    Attributes
    ----------
    map
        Name of the other file.
    resolution_fsc05_A
        Where the two, superposed, correlate by 0.5, A.
    correlation
        Correlation coefficient of the two.
    hand_flipped
        Whether this map was mirrored.
    """

    map: str
    resolution_fsc05_A: Measured  # noqa: N815 (units belong to the name)
    correlation: Measured
    hand_flipped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What every job says of its result; None or empty for what it does not determine.

    Attributes
    ----------
    classes
        The maps.
    verdict
        How far to trust them.
    particles
        Numbers of particles.
    diameter_A
        Particle diameter, A.
    symmetry
        Point group that was imposed.
    contrast, normalisation
        A sentence each on the grey values of the images.
    inverted
        Whether protein is dark in the images.
    notes
        Sentences on what was decided about the particles.
    cross_seed
        Agreement of independent starts.
    stages
        Jobs within the job, in order.
    truth
        The comparison with the truth.
    compared
        The comparison with another map.
    """

    classes: tuple[ClassRecord, ...] = ()
    verdict: Verdict | None = None
    particles: ParticleCount | None = None
    diameter_A: float | None = None  # noqa: N815 (units belong to the name)
    symmetry: str | None = None
    contrast: str | None = None
    inverted: bool | None = None
    normalisation: str | None = None
    notes: tuple[str, ...] = ()
    cross_seed: CrossSeed | None = None
    stages: tuple[StageRecord, ...] = ()
    truth: TruthRecord | None = None
    compared: ComparedMap | None = None


def as_record(value: Any) -> Any:
    """Take dataclasses apart into mappings, for JSON; what is None or empty because nobody set it is left out."""
    if is_dataclass(value):
        parts = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: as_record(part) for field, part in parts if not _is_unset(part, field.default)}
    if isinstance(value, tuple | list):
        return [as_record(each) for each in value]
    if isinstance(value, Mapping):
        return {name: as_record(each) for name, each in value.items()}
    return value


def read_result(record: Mapping[str, Any], kind: type[Kind], file: Path | None = None) -> Kind:
    """Read the result in the content of a ``job.json``.

    Parameters
    ----------
    record
        The content.
    kind
        The dataclass to read it as: `Result`, or that of a recipe. What it does not know is passed over; what a record
        of an older version lacks has its default, or is None where it may be.
    file
        The ``job.json``, for errors.

    Raises
    ------
    InputError
        A part is not of the kind that it must be, or is missing; the part is named.
    """
    content = dict(record.get("result") or {})
    if isinstance(content.get("classes"), list):
        content["classes"] = [_named(number, each) for number, each in enumerate(content["classes"], start=1)]
    known = {field.name: content.get(field.name) for field in fields(kind)}
    optional = {field.name for field in fields(kind) if field.default is not MISSING}
    values = {name: value for name, value in known.items() if value is not None or name not in optional}
    adapter: TypeAdapter[Kind] = _adapter(kind)
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        raise damage(error, file, "result") from error


def damage(error: ValidationError, file: Path | None, *place: str) -> InputError:
    """The error to raise of a record that does not fit; ``place`` is where in the record what was read stands."""
    first = error.errors()[0]
    where = ".".join(map(str, (*place, *first["loc"])))
    wrong = (
        "input should be a table of entries"
        if first["type"] == "dataclass_type"
        else first["msg"].lower().replace("tuple", "list")
    )
    what = f"{where!r}: {wrong}" if where else "it holds no table of entries"
    return InputError(f"is damaged, or not the record of a job: {what}", file=file, fix=FIX)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _is_unset(value: Any, default: Any) -> bool:
    return (value is None and default is None) or (value == () and default == ())


def _named(number: int, entry: Any) -> Any:
    """The entry of class ``number``, from 1, with the names that older versions left out."""
    usual = {"name": f"class {number}", "map": f"class_{number}.mrc", "fsc": f"fsc_class_{number}.csv"}
    return {**usual, **entry} if isinstance(entry, Mapping) else entry

"""Records taken apart and put together again: nested, optional, in tuples, with tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryorbit.core.records import pack, unpack


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a record."""

    values: Float[Tensor, " n"]
    name: str = "part"


@dataclass(frozen=True, slots=True)
class Whole:
    """A record of all that records hold."""

    number: int
    one: Part
    none: Part | None
    some: Part | None
    parts: tuple[Part, ...] = ()
    history: tuple[float, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)


def test_a_record_comes_back_as_it_was() -> None:
    part = Part(torch.arange(3.0))
    extra = {"pair": [1.0, 2.0], "tensor": torch.ones(2), "nested": {"t": torch.zeros(1)}}
    whole = Whole(3, part, None, part, (part, Part(torch.ones(1), "other")), (0.5, 1.5), extra)
    packed = pack(whole)
    assert set(packed) == {"number", "one", "none", "some", "parts", "history", "extra"}
    assert isinstance(packed["parts"][1], dict)
    again = unpack(Whole, packed)
    assert (again.number, again.none, again.history) == (3, None, (0.5, 1.5))
    assert isinstance(again.some, Part)
    assert [each.name for each in again.parts] == ["part", "other"]
    assert torch.equal(again.parts[0].values, part.values)
    assert again.extra["pair"] == [1.0, 2.0]
    assert torch.equal(again.extra["nested"]["t"], torch.zeros(1))


def test_tensors_come_to_the_device() -> None:
    whole = Whole(1, Part(torch.ones(2)), None, None, (Part(torch.ones(2)),), (), {"x": [torch.ones(1)]})
    again = unpack(Whole, pack(whole), torch.device("meta"))
    for tensor in (again.one.values, again.parts[0].values, again.extra["x"][0]):
        assert tensor.device.type == "meta"

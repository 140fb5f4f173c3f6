"""Every row of the table: its kernels do what the reference does in double precision; where each is chosen."""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import torch
from places import FUSED, implementation

from cryorbit.fourier.half_disc import half_disc
from cryorbit.geometry.grid_operators import grid_factors
from cryorbit.geometry.point_groups import point_group
from cryorbit.geometry.rotations import random_rotations
from cryorbit.kernels import kernel, table
from cryorbit.kernels.kernel import Kernel
from cryorbit.kernels.significant import Limits
from cryorbit.kernels.zeros import LARGE
from cryorbit.studies.toader2023.interpolation_products import OFFSETS, pairs_of_corners

SIZE, PAD, COUNT = 20, 2, 9
HALF = (SIZE, SIZE, SIZE // 2 + 1)
DISC = half_disc(SIZE // PAD, 4.0)
ROWS = {name: row for name, row in vars(table).items() if isinstance(row, Kernel)}
ON_CPU = [(name, dtype, "cpu") for name, row in ROWS.items() for dtype in row.dtypes]
ON_GPU = [
    pytest.param(name, row.dtypes[0], *FUSED.values, marks=FUSED.marks) for name, row in ROWS.items() if row.fused
]
Draw = Callable[..., torch.Tensor]


def slices(draw: Draw) -> tuple[Any, ...]:
    """Values, weights, rotations and frequencies of slices, a fixed pose among them."""
    rotations = random_rotations(COUNT, torch.Generator().manual_seed(2))
    rotations[0] = torch.eye(3)
    return draw(COUNT, len(DISC)), draw(COUNT, len(DISC), real=True), draw.cast(rotations), DISC.frequencies


def add(draw: Draw) -> tuple[Any, ...]:
    return draw(*HALF), draw(*HALF, real=True), *slices(draw), PAD


def add_exact(draw: Draw) -> tuple[Any, ...]:
    counts = torch.zeros(*HALF, 3, dtype=torch.int64)
    return counts, (2.0**-30, 2.0**-28), *slices(draw), PAD


def products(draw: Draw) -> tuple[Any, ...]:
    _, weights, rotations, frequencies = slices(draw)
    into = torch.zeros(len(OFFSETS), SIZE * SIZE * (SIZE // 2 + 1), dtype=weights.dtype)
    return into, weights, rotations, PAD * frequencies, SIZE, pairs_of_corners()


def turned_mean(draw: Draw) -> tuple[Any, ...]:
    rotations = grid_factors(point_group("O"))[1]
    return draw(*HALF), draw(*HALF, real=True), rotations, draw(*HALF), draw(*HALF, real=True)


def significant(draw: Draw) -> tuple[Any, ...]:
    before = draw.cast(torch.full((COUNT,), -torch.inf))
    before[3] = 10.0
    even, odd = 6 * draw(COUNT, 7, 150, real=True), 6 * draw(COUNT, 7, 150, real=True)
    return even, odd, draw(7, real=True), draw(COUNT, 2, 150, real=True), before, Limits(10.0, 2048, 1024)


def pose_scores(draw: Draw) -> tuple[Any, ...]:
    values, weights, rotations, frequencies = slices(draw)
    image, klass = torch.arange(COUNT) // 4, torch.arange(COUNT) % 2
    phases = torch.polar(torch.ones(5, len(DISC)), draw(5, len(DISC), real=True).float())
    return values[:3], weights[:3].abs(), (image, klass, rotations), draw(2, *HALF), frequencies, PAD, draw.cast(phases)


CASES: dict[str, Callable[[Draw], tuple[Any, ...]]] = {
    "GATHER": lambda draw: (draw(*HALF), *slices(draw)[2:], PAD),
    "INSERT": lambda draw: (*slices(draw), SIZE, PAD),
    "ADD": add,
    "ADD_EXACT": add_exact,
    "PRODUCTS": products,
    "TURNED_MEAN": turned_mean,
    "SIGNIFICANT": significant,
    "POSE_SCORES": pose_scores,
    "ZEROS": lambda draw: ((3, *HALF), torch.ones(1, dtype=draw.dtype)),
}
"""Arguments of every row."""


class Drawn:
    """Random tensors in one precision, and whatever else in that precision."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype, self.generator = dtype, torch.Generator().manual_seed(1)

    def __call__(self, *shape: int, real: bool = False) -> torch.Tensor:
        """Normal numbers."""
        return torch.randn(shape, dtype=self.dtype.to_real() if real else self.dtype, generator=self.generator)

    def cast(self, tensor: torch.Tensor) -> torch.Tensor:
        """``tensor`` in this precision."""
        return tensor.to(self.dtype.to_real().to_complex() if tensor.is_complex() else self.dtype.to_real())


def in_double(value: Any) -> Any:
    """Copies of the tensors of arguments, in double precision."""
    if isinstance(value, tuple):
        return tuple(map(in_double, value))
    if not isinstance(value, torch.Tensor):
        return value
    if value.is_complex():
        return value.to(torch.complex128)
    # whole numbers are written to as well
    return value.double() if value.is_floating_point() else value.clone()


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """All tensors of arguments or results."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from tensors(each)
    elif is_dataclass(value):
        yield from tensors(tuple(getattr(value, field.name) for field in fields(value)))


def test_every_row_has_a_case() -> None:
    assert set(CASES) == set(ROWS)
    assert len(ROWS) >= 8
    assert len(ON_GPU) >= 5


@pytest.mark.parametrize(("name", "dtype", "place"), [*ON_CPU, *ON_GPU])
def test_the_kernel_does_what_the_reference_does(name: str, dtype: torch.dtype, place: str) -> None:
    arguments = CASES[name](Drawn(dtype))
    exact = in_double(arguments)
    found, expected = implementation(ROWS[name], place)(*arguments), ROWS[name].reference(*exact)
    tolerance = 5e-6 if dtype in (torch.float32, torch.complex64) else 1e-12
    # what is written in place counts as a result
    pairs = list(zip(tensors((found, arguments)), tensors((expected, exact)), strict=True))
    for one, other in pairs:
        assert one.shape == other.shape
        scale = float(other.abs()[other.isfinite()].max()) if other.numel() else 0.0
        torch.testing.assert_close(one.to(other.dtype), other, rtol=0, atol=tolerance * scale)
    assert name == "ZEROS" or any(float(each.abs().max()) > 0 for each in tensors((found, arguments)))


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("compiled_for", [None, "another"])
def test_the_kernel_is_chosen_for_its_precisions_in_main_memory_alone(
    name: str, compiled_for: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "fused_device", lambda: compiled_for)
    row = ROWS[name]
    for dtype in (torch.float32, torch.float64, torch.complex64, torch.complex128):
        here, elsewhere = (torch.empty(1, dtype=dtype, device=device) for device in ("cpu", "meta"))
        assert row.choose(here) is (row.cpu if dtype in row.dtypes else row.reference)
        assert row.choose(elsewhere) is row.reference


@pytest.mark.parametrize("name", ROWS)
def test_the_fused_kernel_is_chosen_in_single_precision_where_triton_compiles(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "fused_device", lambda: "meta")
    row = ROWS[name]
    for dtype in (torch.float32, torch.float64, torch.complex64, torch.complex128):
        is_fused = row.fused is not None and dtype in (torch.float32, torch.complex64)
        assert row.choose(torch.empty(1, dtype=dtype, device="meta")) is (row.fused if is_fused else row.reference)


def test_zeros_are_in_the_precision_that_was_asked_for() -> None:
    for dtype in table.ZEROS.dtypes:
        found = table.ZEROS.cpu((2, 3), torch.ones(1, dtype=dtype))
        assert found.dtype == dtype
        assert torch.equal(found, torch.zeros(2, 3, dtype=dtype))


def test_large_zeros_are_written_to_like_others() -> None:
    for dtype in table.ZEROS.dtypes:
        like = torch.ones(1, dtype=dtype)
        found = table.ZEROS.cpu((3, LARGE // like.element_size()), like)
        assert (found.dtype, found.shape) == (dtype, (3, LARGE // like.element_size()))
        found[1, 5] = 2
        assert found[:, ::4096].count_nonzero() == 0
        assert found[:, 5].real.tolist() == [0, 2, 0]

"""The pretended card refuses what a real one refuses, and counts what a real one does."""

import pytest
import torch

from cryorbit.core.memory import free_bytes
from cryorbit.kernels.table import GATHER
from pretended_card import GIB, NAME, CardTensor, MixedDevicesError, PretendedCard


def test_numbers_are_those_of_the_cpu() -> None:
    with PretendedCard():
        values = torch.arange(6.0).to(NAME).view(2, 3)
        found = (values @ values.mT).cumsum(1)
        assert found.device == torch.device(NAME, 0)
        assert found.cpu().tolist() == [[5, 19], [14, 64]]


def test_conjugates_are_numbers() -> None:
    with PretendedCard():
        value = torch.tensor([1 + 2j], device=NAME)
        assert torch.view_as_real(value.conj().resolve_conj()).tolist() == [[1, -2]]


def test_what_is_written_in_place_is_seen_through_views() -> None:
    with PretendedCard():
        whole = torch.zeros(3, 2, device=NAME)
        row = whole[1]
        row += 2
        row.add_(1)
        assert whole.tolist() == [[0, 0], [3, 3], [0, 0]]


@pytest.mark.parametrize(
    "mix",
    [
        lambda here, there: here + there,
        lambda here, there: here[there.long()] + there,
        lambda here, there: there[here.long()],
        lambda here, there: torch.cat([here, there]),
        lambda here, there: here.index_put_((there.long(),), there),
        lambda here, _: torch.randn(3, device=NAME, generator=torch.Generator()) + here,
        lambda here, _: here.normal_(generator=torch.Generator()),
        lambda here, there: GATHER.fused and GATHER.choose(here)(*arguments(here, there)),
    ],
)
def test_tensors_of_two_devices_are_refused(mix: object) -> None:
    with PretendedCard(fused=True), pytest.raises(MixedDevicesError):
        mix(torch.ones(3, device=NAME), torch.ones(3))


def arguments(here: torch.Tensor, there: torch.Tensor) -> tuple[object, ...]:
    """A volume on the card and rotations that are not."""
    volume = torch.zeros(4, 4, 3, dtype=torch.complex64).to(here.device)
    return volume, torch.eye(3)[None] * there[0], torch.ones(1, 2).to(here.device), 2


def test_numbers_of_either_device_are_welcome() -> None:
    with PretendedCard():
        here = torch.ones(3, device=NAME)
        assert (here * torch.tensor(2.0) + 1).tolist() == [3, 3, 3]
        assert here[torch.tensor([0, 2])].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("act", "launches", "size", "waits", "uploads"),
    [
        (lambda x: x + 1, 1, 32, 0, 0),
        (lambda x: x.view(2, 2).mT, 0, 0, 0, 0),
        (lambda x: x[[1, 2]], 2, 64, 0, 1),
        (lambda x: float(x[0]), 0, 0, 1, 0),
        (lambda x: torch.nonzero(x), 1, 48, 1, 0),
        (lambda x: x[x > 0], 2, None, 1, 0),
        (lambda x: x.cpu(), 0, 0, 1, 0),
        (lambda x: torch.ones(4).to(x.device), 1, 32, 0, 1),
        (lambda x: torch.zeros(4, device=x.device), 1, 16, 0, 0),
        (lambda x: x.repeat_interleave(x.long()), 3, None, 1, 0),
    ],
)
def test_what_happens_is_counted(act: object, launches: int, size: int | None, waits: int, uploads: int) -> None:
    with PretendedCard() as card:
        values = torch.ones(4).to(NAME)
        with card.counting() as counts:
            act(values)
    assert counts.launches == launches
    assert size in (None, counts.bytes)
    assert sum(counts.waits.values()) == waits
    assert sum(counts.uploads.values()) == uploads
    assert counts.seconds == pytest.approx(6e-6 * launches, abs=1e-9)


def test_a_kernel_of_triton_is_one_launch_with_the_numbers_of_its_counterpart() -> None:
    volume = torch.randn(8, 8, 5, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    given = volume, torch.eye(3).expand(4, 3, 3), torch.tensor([[0.5, 0.0], [1.0, 0.5], [0.0, 1.0]]), 2
    with PretendedCard(fused=True) as card:
        moved = tuple(value.to(NAME) if isinstance(value, torch.Tensor) else value for value in given)
        with card.counting() as counts:
            found = GATHER.choose(moved[0])(*moved)
    assert isinstance(found, CardTensor)
    assert torch.equal(found.stored, GATHER.cpu(*given))
    assert (counts.launches, counts.bytes) == (1, 72 * 4 * 3)


def test_the_card_is_gone_afterwards() -> None:
    with PretendedCard():
        left = torch.ones(1, device=NAME)
        assert free_bytes(left.device) == 70 * GIB
    with pytest.raises(MixedDevicesError, match="not there any more"):
        left + 1

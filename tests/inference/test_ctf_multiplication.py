"""Images that were multiplied with their CTF, and such as were not, of weak and of strong signal."""

from pathlib import Path

import pytest
import torch

from cryorbit.imaging.ctf import ctf_values
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.inference.ctf_multiplication import judge_multiplication, left_at_zeros, multiplied_images, two_kinds
from phantom_sets import phantom_set, sharp_phantom, write_source

COUNT = 100


@pytest.fixture(scope="module", params=[0.05, 0.5], ids=["weak", "strong"])
def raw(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ParticleSource:
    generator = torch.Generator().manual_seed(2)
    folder = tmp_path_factory.mktemp("raw")
    return phantom_source(folder, request.param, generator)


def phantom_source(folder: Path, snr: float, generator: torch.Generator) -> ParticleSource:
    """Images in a box of 256 A, where the CTF is known coefficient by coefficient."""
    return phantom_set(folder, [sharp_phantom(generator)], COUNT, snr, generator, pixel_size=8.0).source


def multiplied(images: torch.Tensor, source: ParticleSource) -> torch.Tensor:
    """The images times their CTF, without the half discs of the code under test."""
    box = source.box
    ky, kx = torch.meshgrid(torch.fft.fftfreq(box, 1 / box), torch.arange(box // 2 + 1).float(), indexing="ij")
    frequencies = torch.stack([kx, ky], -1).flatten(0, 1) / (box * source.pixel_size)
    transfer = ctf_values(source.ctf, frequencies).reshape(len(source), box, -1)
    return torch.fft.irfft2(torch.fft.rfft2(images) * transfer, s=(box, box))


def test_raw_images_were_not_multiplied(raw: ParticleSource) -> None:
    assert judge_multiplication(raw, torch.arange(COUNT)) == "not multiplied"


def test_what_was_multiplied_is_noticed(raw: ParticleSource, tmp_path: Path) -> None:
    images = multiplied(raw.read(torch.arange(COUNT)), raw)
    again = write_source(tmp_path / "multiplied.mrcs", images, raw.ctf, raw.pixel_size)
    assert judge_multiplication(again, torch.arange(COUNT)) == "multiplied"


def test_images_cut_from_larger_ones_that_were_multiplied(raw: ParticleSource, tmp_path: Path) -> None:
    # the cut blurs the zeros of the CTF
    images = multiplied(raw.read(torch.arange(COUNT)), raw)[:, 4:-4, 4:-4]
    again = write_source(tmp_path / "cut.mrcs", images, raw.ctf, raw.pixel_size)
    assert judge_multiplication(again, torch.arange(COUNT)) != "not multiplied"


def test_a_strong_particle_is_not_taken_for_noise(tmp_path: Path) -> None:
    source = phantom_source(tmp_path, 10.0, torch.Generator().manual_seed(3))
    assert judge_multiplication(source, torch.arange(COUNT)) != "multiplied"


def test_the_particle_alone_says_nothing(tmp_path: Path) -> None:
    source = phantom_source(tmp_path, 1e6, torch.Generator().manual_seed(3))
    assert judge_multiplication(source, torch.arange(COUNT)) == "unknown"


def test_a_strong_particle_in_a_small_box_does_not_hide_the_noise(tmp_path: Path) -> None:
    # the CTF turns so fast there that few bands can tell, and in the inner ones the particle prevails
    generator = torch.Generator().manual_seed(3)
    source = phantom_set(tmp_path, [sharp_phantom(generator)], 3 * COUNT, 4.0, generator, pixel_size=4.0).source
    assert judge_multiplication(source, torch.arange(3 * COUNT)) == "not multiplied"


@pytest.mark.parametrize("cut", [0.55, 0.65, 0.8])
@pytest.mark.parametrize("by_ctf", [False, True])
def test_filtered_images_say_nothing(raw: ParticleSource, tmp_path: Path, cut: float, by_ctf: bool) -> None:
    images = raw.read(torch.arange(COUNT))
    filtered = low_passed(multiplied(images, raw) if by_ctf else images, cut)
    source = write_source(tmp_path / "filtered.mrcs", filtered, raw.ctf, raw.pixel_size)
    assert judge_multiplication(source, torch.arange(COUNT)) == "unknown"


def test_filtered_images_are_no_mixture(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(2)
    everything = torch.arange(2 * COUNT)
    raw = phantom_set(tmp_path, [sharp_phantom(generator)], 2 * COUNT, 0.05, generator, pixel_size=6.0).source
    source = write_source(tmp_path / "filtered.mrcs", low_passed(raw.read(everything), 0.6), raw.ctf, raw.pixel_size)
    assert multiplied_images(source, everything) is None


def low_passed(images: torch.Tensor, cut: float) -> torch.Tensor:
    """The images without frequencies beyond a part of Nyquist."""
    box = images.shape[-1]
    radius = torch.hypot(torch.fft.fftfreq(box)[:, None], torch.fft.rfftfreq(box)[None, :])
    return torch.fft.irfft2(torch.fft.rfft2(images) * (radius < 0.5 * cut), s=(box, box))


def bands(*each: tuple[float, float, float, float]) -> torch.Tensor:
    """Sums over bands of coefficients, half of them at zeros of the CTF, the others where it is one.

    Of each band the number of coefficients, the power at the zeros and at the others, and the corners' power.
    """
    rows = [(n, n / 2, n / 2, n * (low + high) / 2, n * high / 2, n * outside) for n, low, high, outside in each]
    return torch.tensor(rows, dtype=torch.float64).T


def test_what_is_left_at_zeros_is_the_power_there_over_the_mean() -> None:
    assert left_at_zeros(bands((1000, 0.2, 1.8, 1))) == pytest.approx(0.2)
    assert left_at_zeros(bands((1000, 0.9, 2.1, 1.5))) == pytest.approx(0.6)


def test_the_outer_half_of_the_bands_decides_by_its_median() -> None:
    inner = [(1000.0, 1.0, 1.0, 1.0)] * 3
    outer = [(1000.0, low, 2 - low, 1.0) for low in (0.5, 0.1, 0.3)]
    assert left_at_zeros(bands(*inner, *outer)) == pytest.approx(0.3)


def test_bands_that_are_not_known_or_not_noise_do_not_count() -> None:
    """The error of 800 coefficients is 0.05; noise is what has six tenths of its power in the corners, too."""
    known = (810.0, 0.4, 1.6, 0.61)
    assert left_at_zeros(bands(known)) == pytest.approx(0.4)
    for other in ((790.0, 0.4, 1.6, 1.0), (810.0, 0.4, 1.6, 0.59), (0.0, 0.0, 0.0, 0.0)):
        assert left_at_zeros(bands(other)) is None
        assert left_at_zeros(bands(known, other)) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("low", "high", "between", "are_two"),
    [
        (20, 30, 3, True),
        (30, 20, 3, True),
        # fewer than twenty, and as many between them as a fifth of the rarer
        (19, 31, 0, False),
        (31, 19, 0, False),
        (20, 30, 4, False),
        # a twentieth of a large set
        (50, 940, 9, True),
        (49, 942, 9, False),
    ],
)
def test_two_kinds_are_many_each_and_hardly_any_between(low: int, high: int, between: int, are_two: bool) -> None:
    left = torch.tensor([0.24] * low + [0.61] * high + [0.26] * (between // 2) + [0.59] * (between - between // 2))
    told = torch.full_like(left, 0.14)
    kinds = two_kinds(left, told)
    assert (kinds is not None) == are_two
    if kinds is not None:
        assert [int(each.sum()) for each in kinds] == [low, high]
        assert bool(kinds[0][:low].all())
        unknown = torch.full((100,), 0.4), torch.full((100,), 0.16)
        some = two_kinds(*(torch.cat(each) for each in zip((left, told), unknown, strict=True)))
        assert (some is None) == (low == 50), "images that tell nothing count among all"


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> tuple[ParticleSource, torch.Tensor]:
    """Two hundred images as they were taken, and the same images multiplied with their CTF."""
    generator = torch.Generator().manual_seed(2)
    folder = tmp_path_factory.mktemp("kinds")
    raw = phantom_set(folder, [sharp_phantom(generator)], 200, 0.05, generator, pixel_size=8.0).source
    return raw, multiplied(raw.read(torch.arange(200)), raw)


@pytest.mark.parametrize(("every", "number"), [(40, 15), (10, 60)])
def test_images_of_two_kinds_are_told_one_by_one(
    kinds: tuple[ParticleSource, torch.Tensor], tmp_path: Path, every: int, number: int
) -> None:
    """Sixty of two hundred are a kind, of which most are known; fifteen may be chance."""
    raw, images = kinds
    is_multiplied = torch.arange(200) % every < 3
    assert int(is_multiplied.sum()) == number
    mixed = torch.where(is_multiplied[:, None, None], images, raw.read(torch.arange(200)))
    source = write_source(tmp_path / "mixed.mrcs", mixed, raw.ctf, raw.pixel_size)
    found = multiplied_images(source, torch.arange(200))
    if number == 15:
        assert found is None
    else:
        assert found is not None
        assert not found[~is_multiplied].any()
        assert float(found[is_multiplied].float().mean()) > 0.8


def test_sets_of_one_kind_have_no_other(kinds: tuple[ParticleSource, torch.Tensor], tmp_path: Path) -> None:
    raw, images = kinds
    everything = torch.arange(200)
    assert multiplied_images(raw, everything) is None
    alone = write_source(tmp_path / "multiplied.mrcs", images, raw.ctf, raw.pixel_size)
    assert multiplied_images(alone, everything) is None

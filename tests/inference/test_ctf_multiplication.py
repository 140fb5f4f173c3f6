"""Images that were multiplied with their CTF, and such as were not, of weak and of strong signal."""

from pathlib import Path

import pytest
import torch

from cryorbit.imaging.ctf import ctf_values
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.inference.ctf_multiplication import judge_multiplication, multiplied_images
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

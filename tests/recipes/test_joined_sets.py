"""Sets of two kinds that were joined: what one half says against the other."""

from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.imaging.ctf import ctf_values
from cryorbit.io.contrast import opposite_contrasts, rarer_contrast
from cryorbit.io.mrc import write_map
from cryorbit.io.particles import Particles, read_particles
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.dataset import read_dataset
from cryorbit.recipes.inspect import InspectConfig
from cryorbit.recipes.inspect import run as inspect
from cryorbit.recipes.reconstruct import ReconstructConfig
from cryorbit.recipes.simulate import SimulateConfig
from cryorbit.recipes.simulate import run as simulate
from cryorbit.simulate.microscope import Microscope
from phantom_sets import sharp_phantom

COUNT = 200
Change = Callable[[torch.Tensor, Particles], torch.Tensor]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("joined")
    # a box of 256 A, in which the CTF is known coefficient by coefficient
    write_map(folder / "map.mrc", sharp_phantom(torch.Generator().manual_seed(3)), 8.0)
    microscope = Microscope(particles_per_micrograph=20)
    simulate(SimulateConfig(maps=(folder / "map.mrc",), output=folder, microscope=microscope, count=COUNT, snr=0.3))
    return folder


def turned(images: torch.Tensor, _: Particles) -> torch.Tensor:
    return -images


def filtered(images: torch.Tensor, transfer: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    box = images.shape[-1]
    ky, kx = torch.meshgrid(torch.fft.fftfreq(box), torch.fft.rfftfreq(box), indexing="ij")
    factors = transfer(torch.stack([kx, ky], -1).flatten(0, 1)).reshape(-1, box, box // 2 + 1)
    return torch.fft.irfft2(torch.fft.rfft2(images) * factors, s=(box, box))


def multiplied(images: torch.Tensor, particles: Particles) -> torch.Tensor:
    return filtered(images, lambda frequencies: ctf_values(particles.ctf, frequencies / particles.pixel_size).float())


def low_passed(images: torch.Tensor, _: Particles) -> torch.Tensor:
    return filtered(images, lambda frequencies: (frequencies.norm(dim=-1) < 0.25).float())


SECOND_HALF = np.arange(COUNT) >= COUNT // 2


def joined(folder: Path, target: Path, change: Change, *, groups: bool, changed: np.ndarray = SECOND_HALF) -> Path:
    """The set, the second half of its images changed, as one optics group or as two."""
    particles = read_particles(folder / "truth.star")
    images = particles.images.read(np.arange(COUNT))
    images[changed] = change(images, particles)[changed]
    with mrcfile.new(target / "particles.mrcs") as file:
        file.set_data(images.numpy())
        file.set_image_stack()
        file.voxel_size = particles.pixel_size
    tables = read_star(folder / "truth.star")
    if groups:
        optics = tables["optics"]
        tables["optics"] = type(optics)({name: np.repeat(optics[name].to_numpy(), 2) for name in optics})
        tables["optics"]["rlnOpticsGroup"] = [1, 2]
        tables["particles"]["rlnOpticsGroup"] = 1 + (np.arange(COUNT) >= COUNT // 2)
    write_star(target / "joined.star", tables)
    return target / "joined.star"


@pytest.mark.parametrize(
    ("change", "groups", "told"),
    [
        (
            turned,
            True,
            "the images are of two contrasts: protein is white in optics group 1, and dark in optics group 2",
        ),
        (turned, False, "protein is white in the first third of the particles, and dark in the last third"),
        (multiplied, True, "in optics group 2, the images were multiplied with their CTF"),
        (multiplied, False, "in the last third of the particles, the images were multiplied with their CTF"),
    ],
)
def test_what_no_map_can_be_made_of_is_refused(
    folder: Path, tmp_path: Path, change: Change, groups: bool, told: str
) -> None:
    star = joined(folder, tmp_path, change, groups=groups)
    found = inspect(InspectConfig(particles=star))
    assert not found.fit
    assert found.images is not None and found.images.contradiction is not None
    assert told in found.images.contradiction[0]
    with pytest.raises(InputError) as caught:
        read_dataset(ReconstructConfig(particles=star, output=tmp_path / "job"))
    assert told in caught.value.problem


@pytest.mark.parametrize("every", [2, 5])
def test_two_kinds_that_are_shuffled_are_refused(folder: Path, tmp_path: Path, every: int) -> None:
    star = joined(folder, tmp_path, multiplied, groups=False, changed=np.arange(COUNT) % every == 1)
    with pytest.raises(InputError, match=rf"(?s)at least \d+ of the {COUNT} .*rows 2, {every + 2}, .*one by one"):
        read_dataset(ReconstructConfig(particles=star, output=tmp_path / "job"))


def test_a_low_passed_half_is_told(folder: Path, tmp_path: Path) -> None:
    star = joined(folder, tmp_path, low_passed, groups=True)
    said = read_dataset(ReconstructConfig(particles=star, output=tmp_path / "job")).remarks
    assert any(sentence.startswith("Of optics group 2: beyond") for sentence in said)
    assert any("Of optics group 2: beyond" in warning for warning in inspect(InspectConfig(particles=star)).warnings())


def test_nothing_is_said_of_a_set_of_one_kind(folder: Path, tmp_path: Path) -> None:
    star = joined(folder, tmp_path, lambda images, _: images, groups=True)
    found = inspect(InspectConfig(particles=star))
    assert found.images is not None
    assert (found.fit, found.images.contradiction, found.images.doubts) == (True, None, ())


@pytest.mark.parametrize("part", [0.1, 0.5])
def test_two_clear_peaks(rng: np.random.Generator, part: float) -> None:
    contrasts = torch.from_numpy(rng.normal(0.3, 0.07, 1000))
    contrasts[: int(part * 1000)] *= -1
    rare = rarer_contrast(contrasts)
    assert rare is not None
    assert int(rare.sum()) == pytest.approx(part * 1000, abs=2)


@pytest.mark.parametrize("middle", [0.0, 0.05, 0.1, 0.15, -0.1])
@pytest.mark.parametrize("count", [60, 300, 3000])
def test_a_broad_peak_is_one(rng: np.random.Generator, middle: float, count: int) -> None:
    for _ in range(50):
        assert rarer_contrast(torch.from_numpy(rng.normal(middle, 0.1, count))) is None


def test_parts_of_weak_contrast_tell_by_their_medians(rng: np.random.Generator) -> None:
    white, dark, none = (torch.from_numpy(rng.normal(middle, 0.5, 2000)) for middle in (0.1, -0.1, 0.0))
    assert opposite_contrasts([none, dark, white]) == (2, 1)
    assert opposite_contrasts([none, white]) is None

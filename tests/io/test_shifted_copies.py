"""Particles extracted twice, a few pixels apart, without coordinates: their images tell, and those of others do not."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cryorbit.io.checks import SAME_FIELD, check_particles
from cryorbit.io.image_stack import ImageStack
from cryorbit.io.particles import read_particles
from cryorbit.io.shifted_copies import described, shifted_copies
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.io.survey import survey
from small_sets import write_stack

BOX, A_MICROGRAPH, MICROGRAPHS = 32, 30, 2
COUNT = A_MICROGRAPH * MICROGRAPHS
HEAD = """
data_optics

loop_
_rlnOpticsGroup #1
_rlnVoltage #2
_rlnSphericalAberration #3
_rlnAmplitudeContrast #4
_rlnImagePixelSize #5
_rlnImageSize #6
1 300 2.7 0.1 5.0 32

data_particles

loop_
_rlnImageName #1
_rlnMicrographName #2
_rlnOpticsGroup #3
_rlnDefocusU #4
_rlnDefocusV #5
_rlnDefocusAngle #6
"""


def written(folder: Path, places: np.ndarray, rng: np.random.Generator, noise: float = 1.0) -> Path:
    """Images cut at places ``(micrograph, y, x)`` out of micrographs of noise with a disc at each place of a grid."""
    y, x = np.mgrid[:512, :512]
    blobs = np.hypot((y % 64) - 32, (x % 64) - 32) < 6
    micrographs = blobs + noise * rng.standard_normal((MICROGRAPHS, 512, 512))
    half = BOX // 2
    images = [micrographs[m, y - half : y + half, x - half : x + half] for m, y, x in places]
    # as programs normalise them, one by one
    images = [(image - image.mean()) / image.std() for image in images]
    write_stack(folder / "particles.mrcs", np.array(images, dtype=np.float32), 5.0)
    rows = [f"{row}@particles.mrcs mic{m}.mrc 1 15000 14000 {row % 90}" for row, (m, _, _) in enumerate(places, 1)]
    star = folder / "particles.star"
    star.write_text(HEAD + "\n".join(rows) + "\n")
    return star


def grid() -> np.ndarray:
    """Places two boxes apart."""
    micrograph, place = np.divmod(np.arange(COUNT), A_MICROGRAPH)
    return np.stack([micrograph, 32 + 64 * (place // 6), 32 + 64 * (place % 6)], 1)


@pytest.mark.parametrize("shift", [(1, 0), (2, -2), (-3, 1)])
def test_a_particle_extracted_again_is_set_aside(
    tmp_path: Path, rng: np.random.Generator, shift: tuple[int, int]
) -> None:
    again = [3, 17, 44]
    star = written(tmp_path, np.concatenate([grid(), grid()[again] + (0, *shift)]), rng)
    report = check_particles(read_particles(star))
    assert report.set_aside["row"].tolist() == [COUNT + 1, COUNT + 2, COUNT + 3]
    assert set(report.set_aside["reason"]) == {SAME_FIELD}
    assert len(check_particles(read_particles(star), keep_same_places=True).keep) == COUNT + 3


def test_neighbours_that_overlap_are_others(tmp_path: Path, rng: np.random.Generator) -> None:
    star = written(tmp_path, np.concatenate([grid(), grid()[[3, 17, 44]] + (0, 0, 8)]), rng)
    assert check_particles(read_particles(star)).set_aside.empty


def test_particles_in_other_poses_stay(tmp_path: Path, rng: np.random.Generator) -> None:
    star = written(tmp_path, np.concatenate([grid(), grid()[[3]] + (0, 2, 1)]), rng)
    tables = read_star(star)
    angles = {label: rng.uniform(10, 170, COUNT + 1) for label in ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")}
    write_star(star, tables | {"particles": tables["particles"].assign(**angles)})
    assert check_particles(read_particles(star)).set_aside.empty


def test_images_without_noise_tell_nothing(tmp_path: Path, rng: np.random.Generator) -> None:
    star = written(tmp_path, np.concatenate([grid(), grid()[[3]] + (0, 2, 1)]), rng, noise=0.0)
    particles = read_particles(star)
    (statistics, levels), everything = survey(particles.images, described(particles)), torch.arange(COUNT + 1)
    assert statistics.moduli.shape[1]
    assert not len(shifted_copies(particles, statistics.moduli, levels, everything, everything < 0))


def test_what_many_images_have_in_common_is_not_looked_at(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    star = written(tmp_path, grid(), rng)
    tables = read_star(star)
    # one micrograph, the first, of three has such images
    names = np.repeat(["a", "b", "c"], [A_MICROGRAPH, A_MICROGRAPH // 2, A_MICROGRAPH // 2])
    write_star(star, tables | {"particles": tables["particles"].assign(rlnMicrographName=names)})
    particles = read_particles(star)
    levels, everything = survey(particles.images)[1], torch.arange(COUNT)
    moduli = torch.from_numpy(rng.integers(0, 200, (COUNT, 256)).astype(np.uint8))
    moduli[:A_MICROGRAPH] = moduli[0]
    asked: list[int] = []
    monkeypatch.setattr(ImageStack, "read", lambda _stack, indices: asked.append(len(indices)))
    assert not len(shifted_copies(particles, moduli, levels, everything, everything < 0))
    assert not asked


def test_a_defect_of_the_camera_makes_no_copies(tmp_path: Path, rng: np.random.Generator) -> None:
    star = written(tmp_path, grid(), rng)
    images = read_particles(star).images.read(np.arange(COUNT)).numpy()
    images[:, 5, 9] += 200.0
    write_stack(star.with_name("particles.mrcs"), images, 5.0)
    assert check_particles(read_particles(star)).set_aside.empty


FAR = 100.0 * np.arange(COUNT + 1)


@pytest.mark.parametrize("changes", [{"rlnCoordinateX": FAR, "rlnCoordinateY": FAR}, {"rlnHelicalTubeID": 1}])
def test_coordinates_tell_and_filaments_overlap(
    tmp_path: Path, rng: np.random.Generator, changes: dict[str, object]
) -> None:
    star = written(tmp_path, np.concatenate([grid(), grid()[[3]] + (0, 2, 1)]), rng)
    tables = read_star(star)
    write_star(star, tables | {"particles": tables["particles"].assign(**changes)})
    assert check_particles(read_particles(star)).set_aside.empty


@pytest.mark.parametrize("coordinates", [True, False])
def test_images_are_read_once_with_and_without_coordinates(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, *, coordinates: bool
) -> None:
    star = written(tmp_path, grid(), rng)
    if coordinates:
        tables = read_star(star)
        places = {"rlnCoordinateX": FAR[:COUNT], "rlnCoordinateY": FAR[:COUNT]}
        write_star(star, tables | {"particles": tables["particles"].assign(**places)})
    particles = read_particles(star)
    asked: list[int] = []
    read = ImageStack.read

    def counted(stack: ImageStack, indices: torch.Tensor | np.ndarray) -> torch.Tensor:
        asked.append(len(indices))
        return read(stack, indices)

    monkeypatch.setattr(ImageStack, "read", counted)
    check_particles(particles)
    # every image, those of so small a set again as a sample that shows defects which all have, and a pair by chance
    assert 2 * COUNT <= sum(asked) <= 2.1 * COUNT

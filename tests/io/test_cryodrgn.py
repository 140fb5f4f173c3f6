"""Poses and CTF parameters as cryoDRGN reads them, against the formulas of its documentation, written out here."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.io.cryodrgn import write_cryodrgn
from cryorbit.io.particles import read_particles
from cryorbit.recipes.config import load_config
from cryorbit.recipes.convert import ConvertConfig, run
from small_sets import BOX, COUNT, PIXEL_SIZE, blob_images, write_cs_set, write_star_set


def relion_matrix(rot: float, tilt: float, psi: float) -> np.ndarray:
    """RELION's matrix of Euler angles in degrees: rotations about z, y and z of the coordinate frame."""

    def about_z(angle: float) -> np.ndarray:
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])

    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    return about_z(psi) @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) @ about_z(rot)


@pytest.fixture
def star(tmp_path: Path) -> Path:
    return write_star_set(tmp_path, blob_images(COUNT, np.random.default_rng(3)))


def test_poses_and_ctf_are_those_of_the_table(star: Path, tmp_path: Path) -> None:
    ctf_file = write_cryodrgn(tmp_path / "poses.pkl", read_particles(star))
    assert ctf_file == tmp_path / "poses_ctf.pkl"
    rotations, shifts = pickle.loads((tmp_path / "poses.pkl").read_bytes())
    ctf = pickle.loads(ctf_file.read_bytes())
    assert rotations.shape == (COUNT, 3, 3)
    assert ctf.dtype == np.float32
    for row in (0, 7, 33):
        assert np.allclose(rotations[row], relion_matrix(4 * row, 3 * row + 5, -4 * row), atol=1e-9)
        assert np.allclose(shifts[row], np.array([0.125 * row, -0.0625 * row]) / PIXEL_SIZE / BOX, atol=1e-9)
        microscope = [300, 2.7, 0.1] if row < COUNT // 2 else [200, 2.0, 0.07]
        expected = [BOX, PIXEL_SIZE, 10000 + 10 * row, 9900 + 10 * row, 3 * row, *microscope, 0]
        assert np.allclose(ctf[row], expected, rtol=1e-6)


def test_a_cs_file_gives_the_same(tmp_path: Path) -> None:
    source = write_cs_set(tmp_path, blob_images(COUNT, np.random.default_rng(3)), np.random.default_rng(3))
    particles = read_particles(source)
    write_cryodrgn(tmp_path / "poses.pkl", particles)
    rotations, shifts = pickle.loads((tmp_path / "poses.pkl").read_bytes())
    ctf = pickle.loads((tmp_path / "poses_ctf.pkl").read_bytes())
    assert particles.poses is not None
    assert np.array_equal(rotations, particles.poses.rotations.numpy())
    assert np.allclose(shifts * BOX, particles.poses.shifts.numpy())
    assert np.allclose(ctf[:, 8], np.degrees(0.25), rtol=1e-6)


def test_particles_without_poses_are_refused(star: Path, tmp_path: Path) -> None:
    star.write_text(star.read_text().replace("_rlnAngleRot ", "_rlnAngleRotPrior "))
    with pytest.raises(InputError, match="no poses"):
        write_cryodrgn(tmp_path / "poses.pkl", read_particles(star))
    assert not (tmp_path / "poses.pkl").exists()


def test_conversion_tells_where_the_ctf_is(star: Path, tmp_path: Path) -> None:
    given = {"source": star, "target": tmp_path / "poses.pkl"}
    found = run(load_config(ConvertConfig, None, given))
    assert found.particles == COUNT
    assert any("poses_ctf.pkl" in note for note in found.notes)
    assert len(torch.from_numpy(pickle.loads((tmp_path / "poses.pkl").read_bytes())[0])) == COUNT
    with pytest.raises(InputError, match="the file exists"):
        run(load_config(ConvertConfig, None, given))
    with pytest.raises(InputError, match="cannot be checked"):
        run(load_config(ConvertConfig, None, {**given, "target": tmp_path / "other.pkl", "check": True}))

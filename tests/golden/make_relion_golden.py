"""Make ``relion.npz``: projections, CTFs and symmetry operators as the RELION programs compute them.

Run with the RELION programs (3.1) on the PATH: ``python tests/golden/make_relion_golden.py``. Contents:

``map`` (z, y, x), ``pixel_size``
    An asymmetric sum of Gaussians.
``angles``, ``origins_A``
    rlnAngleRot, rlnAngleTilt, rlnAnglePsi and rlnOriginXAngst, rlnOriginYAngst of the particles.
``optics``
    One row a particle: defocus U, defocus V (A), angle (degrees), phase shift (degrees), voltage (kV), Cs (mm),
    amplitude contrast.
``projections``, ``projections_ctf``
    Images of the map without and with CTF. Padding 8 makes the error of RELION's trilinear interpolation small.
``point_spread``
    Images of a centred point with CTF: their transforms are the CTF.
``sym_X``
    Operators of point group X, printed by RELION with about five digits.
"""

import re
import subprocess
import tempfile
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import starfile

BOX, PIXEL_SIZE = 32, 3.0
GROUPS = ("C4", "D3", "T", "O", "I", "I1", "I2", "I3", "I4")
OPTICS = np.array(
    [
        (10000, 10000, 0, 0, 300, 2.7, 0.1),
        (12000, 9000, 30, 0, 300, 2.7, 0.1),
        (21000, 20500, -70, 0, 200, 1.4, 0.07),
        (8000, 6500, 110, 90, 300, 2.7, 0.07),
        (-3000, -2500, 15, 35, 120, 2.0, 0.2),
        (5000, 7000, 60, 0, 300, 0.01, 0.0),
    ]
)
OPTICS_COLUMNS = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")
PARTICLE_COLUMNS = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift")
POSE_COLUMNS = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst")


def asymmetric_map(rng: np.random.Generator) -> np.ndarray:
    """Twelve Gaussians of width 1.5 to 2.5 pixels within 8 pixels of the centre."""
    z, y, x = np.mgrid[:BOX, :BOX, :BOX] - BOX // 2
    volume = np.zeros((BOX, BOX, BOX))
    for _ in range(12):
        centre = rng.uniform(-5, 5, 3)
        width, height = rng.uniform(1.5, 2.5), rng.uniform(0.5, 1.5)
        square = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2
        volume += height * np.exp(-square / (2 * width**2))
    volume[volume < 1e-6] = 0
    return volume.astype(np.float32)


def project(volume: np.ndarray, poses: np.ndarray, folder: Path, *flags: str) -> np.ndarray:
    """Images of the map in the poses, by ``relion_project``."""
    with mrcfile.new(folder / "map.mrc", overwrite=True) as file:
        file.set_data(volume)
        file.voxel_size = PIXEL_SIZE
    count = len(poses)
    groups = np.arange(1, count + 1)
    optics = pd.DataFrame(OPTICS[:, 4:], columns=OPTICS_COLUMNS)
    optics["rlnOpticsGroupName"] = [f"group{g}" for g in groups]
    optics["rlnOpticsGroup"] = groups
    optics["rlnImagePixelSize"], optics["rlnImageSize"], optics["rlnImageDimensionality"] = PIXEL_SIZE, BOX, 2
    particles = pd.DataFrame(poses, columns=POSE_COLUMNS)
    particles[list(PARTICLE_COLUMNS)] = OPTICS[:, :4]
    particles["rlnImageName"] = [f"{g:06d}@none.mrcs" for g in groups]
    particles["rlnOpticsGroup"] = groups
    starfile.write({"optics": optics, "particles": particles}, folder / "poses.star", overwrite=True)
    command = ["relion_project", "--i", "map.mrc", "--o", "out", "--ang", "poses.star", "--pad", "8", *flags]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return mrcfile.read(folder / "out.mrcs")


def symmetry_operators(symbol: str) -> np.ndarray:
    """Operators of a point group, by ``relion_refine --print_symmetry_ops``."""
    command = ["relion_refine", "--print_symmetry_ops", "--sym", symbol]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    blocks = re.findall(r"R\(\d+\)=\s*((?:[-+.\de]+\s+){9})", text)
    return np.array([block.split() for block in blocks], np.float32).reshape(-1, 3, 3)


def main() -> None:
    """Write the file next to this script."""
    rng = np.random.default_rng(7)
    count = len(OPTICS)
    volume = asymmetric_map(rng)
    angles = np.stack([rng.uniform(-180, 180, count), rng.uniform(0, 180, count), rng.uniform(-180, 180, count)], 1)
    origins = rng.uniform(-9, 9, (count, 2))
    poses = np.concatenate([angles, origins], 1)
    point = np.zeros_like(volume)
    point[(BOX // 2,) * 3] = 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez_compressed(
            Path(__file__).with_name("relion.npz"),
            map=volume,
            pixel_size=PIXEL_SIZE,
            angles=angles,
            origins_A=origins,
            optics=OPTICS,
            projections=project(volume, poses, folder),
            projections_ctf=project(volume, poses, folder, "--ctf"),
            point_spread=project(point, np.zeros_like(poses), folder, "--ctf"),
            **{f"sym_{symbol}": symmetry_operators(symbol) for symbol in GROUPS},
        )


if __name__ == "__main__":
    main()

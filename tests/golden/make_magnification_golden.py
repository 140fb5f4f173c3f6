"""Make ``relion_magnification.npz``: what RELION's programs do with the magnification of an optics table.

Run with the RELION programs (3.1) on the PATH: ``python tests/golden/make_magnification_golden.py``. Contents:

``matrix``, ``pixel_size``
    ``rlnMagMat00`` ... ``11``, far from symmetric.
``lens``, ``width``, ``spread``
    Defocus U, defocus V (A), angle (degrees), voltage (kV), Cs (mm), amplitude contrast, and the image that
    ``relion_project --ctf`` makes of a Gaussian of this width, pixels, in the centre of a map. It stretches the CTF
    alone.
``image``, ``origin_A``
    An upright image of two blobs, not centred, as the microscope stretches it: in closed form, its transform at ``k``
    is theirs at ``matrix @ k``, moved by minus the origin.
``corrected``
    What ``relion_reconstruct`` makes of that image and of those of the blobs turned in the plane.
"""

import subprocess
import tempfile
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import starfile

BOX, PIXEL_SIZE, TURNS = 64, 2.0, 36
MATRIX = np.array([[1.03, 0.02], [-0.01, 0.98]])
LENS = (3000.0, 2000.0, 20.0, 300.0, 2.7, 0.1)
WIDTH = 1.0
ORIGIN = np.array([6.0, -4.0])
"""A."""
CENTRES, WIDTHS, HEIGHTS = np.array([[6.0, -9.0], [-3.0, 4.0]]), (2.0, 1.5), (1.0, 0.6)
"""Of the blobs, pixels."""
WAVE = np.fft.fftfreq(BOX)
FREQUENCIES = np.stack(np.meshgrid(WAVE, WAVE), -1)
"""Cycles a pixel."""


def blobs(frequencies: np.ndarray) -> np.ndarray:
    """Transform of the two blobs."""
    square = (frequencies**2).sum(-1)
    return sum(
        height * 2 * np.pi * width**2 * np.exp(-2 * (np.pi * width) ** 2 * square - 2j * np.pi * frequencies @ centre)
        for centre, width, height in zip(CENTRES, WIDTHS, HEIGHTS, strict=True)
    )


def stretched_image(psi: float) -> np.ndarray:
    """The blobs turned by ``psi`` degrees, as the microscope stretches them, moved by minus the origin."""
    cos, sin = np.cos(np.deg2rad(psi)), np.sin(np.deg2rad(psi))
    turned = blobs(FREQUENCIES @ MATRIX.T @ np.array([[cos, sin], [-sin, cos]]))
    moved = turned * np.exp(2j * np.pi * FREQUENCIES @ (ORIGIN / PIXEL_SIZE))
    return np.fft.fftshift(np.fft.ifft2(moved).real).astype(np.float32)


def write_particles(folder: Path, psi: np.ndarray) -> None:
    """A table of particles turned in the plane."""
    optics = {"rlnOpticsGroup": 1, "rlnOpticsGroupName": "one", "rlnImagePixelSize": PIXEL_SIZE, "rlnImageSize": BOX}
    optics |= dict(zip(("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast"), LENS[3:], strict=True))
    optics |= {f"rlnMagMat{row}{column}": MATRIX[row, column] for row in (0, 1) for column in (0, 1)}
    optics["rlnImageDimensionality"] = 2
    particles = pd.DataFrame({"rlnImageName": [f"{n:06d}@images.mrcs" for n in range(1, len(psi) + 1)]})
    particles = particles.assign(rlnOpticsGroup=1, rlnAngleRot=0.0, rlnAngleTilt=0.0, rlnAnglePsi=psi)
    particles = particles.assign(rlnOriginXAngst=ORIGIN[0], rlnOriginYAngst=ORIGIN[1])
    particles[["rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle"]] = LENS[:3]
    starfile.write({"optics": pd.DataFrame([optics]), "particles": particles}, folder / "images.star", overwrite=True)


def run(folder: Path, *command: str) -> np.ndarray:
    """The image that a RELION program leaves."""
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return mrcfile.read(next(folder.glob("out.mrc*"))).reshape(BOX, BOX).astype(np.float32)


def write(path: Path, data: np.ndarray) -> None:
    """Write a map or a stack."""
    with mrcfile.new(path) as stored:
        stored.set_data(data)
        stored.voxel_size = PIXEL_SIZE


def main() -> None:
    """Write the file next to this script."""
    line = np.exp(-0.5 * ((np.arange(BOX) - BOX // 2) / WIDTH) ** 2) / (np.sqrt(2 * np.pi) * WIDTH)
    gaussian = (line[:, None, None] * line[:, None] * line).astype(np.float32)
    psi = np.arange(TURNS) * 360 / TURNS
    images = np.stack([stretched_image(each) for each in psi])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "images.mrcs", images)
        write(folder / "map.mrc", gaussian)
        write_particles(folder, psi)
        command = ("relion_reconstruct", "--i", "images.star", "--o", "out.mrc", "--refdim", "2", "--pad", "8")
        corrected = run(folder, *command)
        (folder / "out.mrc").unlink()
        write_particles(folder, psi[:1])
        command = ("relion_project", "--i", "map.mrc", "--o", "out", "--ang", "images.star", "--ctf", "--pad", "8")
        spread = run(folder, *command)
    np.savez_compressed(
        Path(__file__).with_name("relion_magnification.npz"),
        matrix=MATRIX,
        pixel_size=PIXEL_SIZE,
        lens=LENS,
        width=WIDTH,
        spread=spread,
        image=images[0],
        origin_A=ORIGIN,
        corrected=corrected,
    )


if __name__ == "__main__":
    main()

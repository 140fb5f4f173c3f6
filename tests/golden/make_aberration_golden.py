"""Make ``relion_aberrations.npz``: what RELION's programs do with the aberrations of an optics table.

Run with the RELION programs (3.1) on the PATH: ``python tests/golden/make_aberration_golden.py``. Contents:

``even_X``, ``point_spread_X``
    Coefficients of ``rlnEvenZernike``, and the image of a centred point with CTF: its transform is the CTF.
``tilt_X``, ``odd_X``, ``corrected_X``
    Beam tilt (mrad) and coefficients of ``rlnOddZernike``, and what ``relion_reconstruct`` makes of the image of a
    point: its transform has the phases that RELION takes out. A tilt of NaN is a column that is not there.
"""

import subprocess
import tempfile
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import starfile

BOX, PIXEL_SIZE = 32, 2.0
PADDING = ("--pad", "8")
DEFOCUS = {"even": 3000.0, "odd": 0.0}
"""Of the two kinds, A. Odd phases are best seen where the CTF has no zero: with amplitude contrast alone."""
CONTRAST = {"even": 0.1, "odd": 1.0}
EVEN = (
    "[0.5]",
    "[0,10]",
    "[0,0,0.5]",
    "[0,0,0,10]",
    "[0,0,0,0,90]",
    "[0,0,0,0,0,-9]",
    "[0,0,0,0,0,0,0.5]",
    "[0,0,0,0,0,0,0,9]",
    "[0.1,2,-0.3,4,30,-9,0.2,1,40]",
)
ODD = (
    (0.5, 0.0, "[]"),
    (0.0, -0.7, "[]"),
    (np.nan, np.nan, "[1]"),
    (np.nan, np.nan, "[0,1]"),
    (np.nan, np.nan, "[0,0,30]"),
    (np.nan, np.nan, "[0,0,0,1]"),
    (np.nan, np.nan, "[0,0,0,0,1]"),
    (np.nan, np.nan, "[0,0,0,0,0,30]"),
    (0.4, 0.3, "[0.5,-0.4,20,5,7,-15]"),
)


def write_particle(folder: Path, kind: str, **optics: object) -> None:
    """A table of one particle, upright and centred."""
    groups = {"rlnOpticsGroup": 1, "rlnOpticsGroupName": "one", "rlnVoltage": 300.0, "rlnSphericalAberration": 2.7}
    groups |= {"rlnAmplitudeContrast": CONTRAST[kind], "rlnImagePixelSize": PIXEL_SIZE, "rlnImageSize": BOX}
    groups |= {"rlnImageDimensionality": 2, **optics}
    pose = dict.fromkeys(("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst"), 0.0)
    lens = {"rlnDefocusU": DEFOCUS[kind], "rlnDefocusV": DEFOCUS[kind], "rlnDefocusAngle": 0.0}
    particle = {"rlnImageName": "000001@point.mrcs", "rlnOpticsGroup": 1, **lens, **pose}
    tables = {"optics": pd.DataFrame([groups]), "particles": pd.DataFrame([particle])}
    starfile.write(tables, folder / "one.star", overwrite=True)


def run(folder: Path, *command: str) -> np.ndarray:
    """The image that a RELION program leaves."""
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return mrcfile.read(next(folder.glob("out.mrc*"))).reshape(BOX, BOX).astype(np.float32)


def main() -> None:
    """Write the file next to this script."""
    found: dict[str, object] = {"pixel_size": PIXEL_SIZE}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, shape in (("map.mrc", (BOX,) * 3), ("point.mrcs", (1, BOX, BOX))):
            point = np.zeros(shape, np.float32)
            point[tuple(side // 2 for side in shape)] = 1
            with mrcfile.new(folder / file) as stored:
                stored.set_data(point)
                stored.voxel_size = PIXEL_SIZE
        for number, even in enumerate(EVEN):
            write_particle(folder, "even", rlnEvenZernike=even)
            command = ("relion_project", "--i", "map.mrc", "--o", "out", "--ang", "one.star", "--ctf", *PADDING)
            found |= {f"even_{number}": even, f"point_spread_{number}": run(folder, *command)}
        (folder / "out.mrcs").unlink()
        for number, (x, y, odd) in enumerate(ODD):
            tilt = {} if np.isnan(x) else {"rlnBeamTiltX": x, "rlnBeamTiltY": y}
            write_particle(folder, "odd", **tilt, **({} if odd == "[]" else {"rlnOddZernike": odd}))
            command = ("relion_reconstruct", "--i", "one.star", "--o", "out.mrc", "--refdim", "2", "--ctf", *PADDING)
            found |= {f"tilt_{number}": (x, y), f"odd_{number}": odd, f"corrected_{number}": run(folder, *command)}
    np.savez_compressed(Path(__file__).with_name("relion_aberrations.npz"), **found)


if __name__ == "__main__":
    main()

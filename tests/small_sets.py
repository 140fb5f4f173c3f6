"""A small particle set as STAR and as .cs files, written without the code under test."""

from pathlib import Path

import mrcfile
import numpy as np

COUNT = 40
BOX = 16
PIXEL_SIZE = 2.0

STAR_HEAD = """
# version 30001

data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_rlnVoltage #3
_rlnSphericalAberration #4
_rlnAmplitudeContrast #5
_rlnImagePixelSize #6
_rlnImageSize #7
_rlnImageDimensionality #8
krios 1 300.000000 2.700000 0.100000 2.000000 16 2
talos 2 200.000000 2.000000 0.070000 2.000000 16 2

# version 30001

data_particles

loop_
_rlnImageName #1
_rlnMicrographName #2
_rlnOpticsGroup #3
_rlnDefocusU #4
_rlnDefocusV #5
_rlnDefocusAngle #6
_rlnAngleRot #7
_rlnAngleTilt #8
_rlnAnglePsi #9
_rlnOriginXAngst #10
_rlnOriginYAngst #11
_rlnRandomSubset #12
_rlnBeamTiltClass #13
"""


def write_stack(path: Path, images: np.ndarray, pixel_size: float = PIXEL_SIZE) -> None:
    """Write an image stack through mrcfile; the type of ``images`` decides the mode."""
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(images)
        file.set_image_stack()
        file.voxel_size = pixel_size


def blob_images(count: int, rng: np.random.Generator, sign: float = 1.0) -> np.ndarray:
    """White noise, mean 0 and standard deviation 1, with a disc of height ``sign`` in the centre."""
    y, x = np.mgrid[:BOX, :BOX] - BOX // 2
    disc = (np.hypot(x, y) < 4).astype(np.float32)
    return (rng.standard_normal((count, BOX, BOX)) + sign * disc).astype(np.float32)


def write_star_set(folder: Path, images: np.ndarray) -> Path:
    """The set as ``particles.star`` with two stacks in the folder ``Extract``; 20 images a stack, a stack a group."""
    (folder / "Extract").mkdir()
    half = len(images) // 2
    write_stack(folder / "Extract" / "a.mrcs", images[:half])
    write_stack(folder / "Extract" / "b.mrcs", images[half:])
    rows = [
        f"{row % half + 1:06d}@Extract/{'ab'[row // half]}.mrcs mic{row // 10:03d}.mrc {row // half + 1} "
        f"{10000 + 10 * row:.2f} {9900 + 10 * row:.2f} {3 * row % 180:.2f} "
        f"{4 * row:.3f} {3 * row + 5:.3f} {-4 * row:.3f} "
        f"{0.125 * (row % 40):.4f} {-0.0625 * (row % 40):.4f} {row % 2 + 1} 0007"
        for row in range(len(images))
    ]
    star = folder / "particles.star"
    star.write_text(STAR_HEAD + "\n".join(rows) + "\n")
    return star


CS_FIELDS = [
    *(("uid", "<u8"), ("blob/path", "S40"), ("blob/idx", "<u4"), ("blob/shape", "<u4", (2,)), ("blob/psize_A", "<f4")),
    *(("blob/sign", "<f4"), ("ctf/accel_kv", "<f4"), ("ctf/cs_mm", "<f4"), ("ctf/amp_contrast", "<f4")),
    *(("ctf/df1_A", "<f4"), ("ctf/df2_A", "<f4"), ("ctf/df_angle_rad", "<f4"), ("ctf/phase_shift_rad", "<f4")),
    *(("ctf/exp_group_id", "<u4"), ("location/micrograph_path", "S40")),
]
ALIGNMENT_FIELDS = [
    *(("uid", "<u8"), ("alignments3D/pose", "<f4", (3,)), ("alignments3D/shift", "<f4", (2,))),
    *(("alignments3D/psize_A", "<f4"), ("alignments3D/split", "<u4"), ("alignments3D/class", "<u4")),
    ("alignments3D/error", "<f4"),
]


def write_cs_set(folder: Path, images: np.ndarray, rng: np.random.Generator) -> Path:
    """Poses in ``J7/J7_particles.cs``, images and CTF in its passthrough (rows in another order), stack in ``J3``."""
    (folder / "J3").mkdir()
    (folder / "J7").mkdir()
    write_stack(folder / "J3" / "stack.mrc", -images)
    count = len(images)
    uid = rng.integers(2**60, 2**64, size=count, dtype=np.uint64)
    main = np.zeros(count, ALIGNMENT_FIELDS)
    main["uid"] = uid
    main["alignments3D/pose"] = rng.normal(size=(count, 3))
    main["alignments3D/shift"] = rng.normal(0, 0.5, (count, 2))
    main["alignments3D/psize_A"] = 2 * PIXEL_SIZE
    main["alignments3D/split"] = np.arange(count) % 2
    main["alignments3D/error"] = np.arange(count)
    handed = np.zeros(count, CS_FIELDS)
    handed["uid"] = uid
    handed["blob/path"] = b">J3/stack.mrc"
    handed["blob/idx"] = np.arange(count)
    handed["blob/shape"] = BOX
    handed["blob/psize_A"] = PIXEL_SIZE
    handed["blob/sign"] = -1
    handed["ctf/accel_kv"] = 300
    handed["ctf/cs_mm"] = 2.7
    handed["ctf/amp_contrast"] = 0.1
    handed["ctf/df1_A"] = 12000 + np.arange(count)
    handed["ctf/df2_A"] = 11000
    handed["ctf/df_angle_rad"] = 0.5
    handed["ctf/phase_shift_rad"] = 0.25
    handed["ctf/exp_group_id"] = 3 + np.arange(count) // 20
    handed["location/micrograph_path"] = [f"J1/mic{row // 10}.mrc".encode() for row in range(count)]
    save_cs(folder / "J7" / "J7_particles.cs", main)
    save_cs(folder / "J7" / "J7_passthrough_particles.cs", handed[rng.permutation(count)])
    return folder / "J7" / "J7_particles.cs"


def save_cs(path: Path, records: np.ndarray, allow_pickle: bool = False) -> None:
    """Write a structured array the way cryoSPARC does."""
    with path.open("wb") as file:
        np.save(file, records, allow_pickle=allow_pickle)

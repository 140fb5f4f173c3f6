"""A pass that inserts what the volume does not explain: the gradient of the log-likelihood, zero at the exact model."""

from pathlib import Path

import pytest
import torch

from cryorbit.fourier.half_disc import half_disc, image_from_transform
from cryorbit.fourier.interpolation import gather_slices, join_mates
from cryorbit.geometry.rotations import random_rotations
from cryorbit.geometry.so3_grid import subdivide
from cryorbit.imaging.ctf import ctf_values
from cryorbit.imaging.particle_source import ParticleSource
from cryorbit.inference.candidates import Candidates
from cryorbit.inference.local_search import Descent, Domain, Level, Refinement, refine_poses
from cryorbit.inference.pose_space import PoseSpace
from cryorbit.inference.statistics import VolumeStatistics, empty_statistics
from cryorbit.simulate.microscope import Microscope, draw_ctf
from cryorbit.simulate.phantoms import random_blob_phantom
from cryorbit.volumes.voxel import PAD, adjoint, resample, synthesize, working_grid
from phantom_sets import PhantomSet, write_source

BOX, RADIUS, PIXEL_SIZE, SPACING = 32, 8.0, 4.0, 15.0
LEVELS = [Level(SPACING / 2, 0.5, RADIUS, 12)]


def one_pass(
    source: ParticleSource, cells: Candidates, volume: torch.Tensor, noise: float, *, residual: bool = True
) -> VolumeStatistics:
    """Statistics of all images on the children of their cells."""
    grid, disc = working_grid(BOX, RADIUS), half_disc(BOX, RADIUS)
    statistics = empty_statistics(grid, disc, 1, len(volume), torch.zeros(0, dtype=torch.complex64))
    index = torch.arange(len(source))
    refinement = Refinement(Descent(LEVELS, PoseSpace(4.0)), torch.zeros_like(index), residual=residual)
    domain = Domain(grid, disc, torch.full((BOX // 2 + 1,), noise))
    refine_poses(source, index, cells, volume, domain, refinement, statistics)
    return statistics


@pytest.fixture
def cells(clear_set: PhantomSet, generator: torch.Generator) -> Candidates:
    """Two cells for each image: at its true pose and anywhere."""
    count = len(clear_set.source)
    rotation = torch.stack([clear_set.poses.rotations, random_rotations(count, generator).float()], 1)
    image = torch.arange(count).repeat_interleave(2)
    centre = clear_set.poses.shifts.repeat_interleave(2, 0)
    return Candidates(image, torch.zeros_like(image), rotation.flatten(0, 1), centre)


def test_nothing_is_left_of_images_that_the_model_explains(tmp_path: Path, generator: torch.Generator) -> None:
    """Noiseless slices of the volume itself, at poses of the candidates' grid."""
    count, grid, disc = 20, working_grid(BOX, RADIUS), half_disc(BOX, RADIUS)
    volume = resample(random_blob_phantom(BOX, generator), grid.size)[None]
    rotations = random_rotations(count, generator).float()
    child = subdivide(rotations, SPACING)[:, 3]
    ctf, _ = draw_ctf(count, Microscope(), generator)
    slices = gather_slices(synthesize(volume, grid)[0], child, disc.frequencies, PAD)
    images = image_from_transform(slices * ctf_values(ctf, disc.frequencies / (BOX * PIXEL_SIZE)), disc)
    source = write_source(tmp_path / "exact.mrcs", images, ctf, PIXEL_SIZE)
    image = torch.arange(count)
    cells = Candidates(image, torch.zeros_like(image), rotations, torch.zeros(count, 2))
    whole = one_pass(source, cells, volume, 1e-4, residual=False)
    left = one_pass(source, cells, volume, 1e-4)
    assert torch.equal(left.weight, whole.weight)
    assert float(left.data.abs().max()) < 1e-4 * float(whole.data.abs().max())


def test_what_is_inserted_is_the_gradient_of_the_log_likelihood(clear_set: PhantomSet, cells: Candidates) -> None:
    """Fisher's identity, against central differences along the map itself and along another map."""
    volume = clear_set.working(RADIUS)
    # a volume that is wrong, under noise that leaves several poses to each image
    start, noise = 0.7 * volume.roll(1, -1), 4.0
    grid = working_grid(BOX, RADIUS)
    gradient = adjoint(one_pass(clear_set.source, cells, start, noise).data[0], grid)
    for direction in (volume, volume.flip(-1)):
        ahead, behind = (
            float(one_pass(clear_set.source, cells, start + step * direction, noise).log_evidence)
            for step in (0.01, -0.01)
        )
        expected = float((gradient * direction).sum())
        assert (ahead - behind) / 0.02 == pytest.approx(expected, rel=0.01)


def test_residuals_differ_from_images_in_what_is_inserted_only(clear_set: PhantomSet, cells: Candidates) -> None:
    volume = clear_set.working(RADIUS)
    images, left = (one_pass(clear_set.source, cells, volume, 1.0, residual=flag) for flag in (False, True))
    for name in set(VolumeStatistics.__slots__) - {"data"}:
        assert torch.equal(getattr(left, name), getattr(images, name)), name
    without_model = one_pass(clear_set.source, cells, torch.zeros_like(volume), 1.0)
    blank = one_pass(clear_set.source, cells, torch.zeros_like(volume), 1.0, residual=False)
    assert torch.equal(without_model.data, blank.data)
    power = [join_mates(s.data[0]).abs().square().sum() for s in (left, images)]
    assert float(power[0]) < 0.5 * float(power[1])

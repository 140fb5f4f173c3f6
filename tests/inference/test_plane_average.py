"""E-steps, statistics and M-step of volumes on a plane: the average of turned, shifted, noisy copies of one image."""

import pytest
import torch

from cryorbit.core.data import Poses
from cryorbit.fourier.half_disc import half_disc, image_transform
from cryorbit.geometry.rotations import angular_distance, euler_to_matrix, nearest_rotation
from cryorbit.geometry.shift_grid import disc_grid
from cryorbit.imaging.shifts import shift_phases
from cryorbit.imaging.slices import SliceOperator
from cryorbit.inference.band import Band
from cryorbit.inference.exact_sums import exact_sums
from cryorbit.inference.global_search import coarse_cells
from cryorbit.inference.grid_oracle import GridOracle
from cryorbit.inference.local_search import Descent, Refinement, refine_poses
from cryorbit.inference.mstep import regularised, shell_weights
from cryorbit.inference.pose_estimates import PoseEstimates
from cryorbit.inference.pose_grid import PoseGrid
from cryorbit.inference.pose_levels import levels_for
from cryorbit.inference.pose_space import InPlaneSpace
from cryorbit.inference.reconstruction import KnownPoses, reconstruct
from cryorbit.inference.statistics import VolumeStatistics, volume_statistics
from cryorbit.simulate.microscope import Microscope, draw_ctf
from cryorbit.simulate.particles import Truth, clean_images
from cryorbit.simulate.projection import prepare_map
from cryorbit.volumes.plane import PlaneGrid
from cryorbit.volumes.voxel import working_grid
from phantom_sets import PhantomSet, sharp_phantom, write_source

BOX, RADIUS, IMAGES, SNR = 32, 9.0, 200, 0.15
SPACING, SHIFT_STEP, SHIFT_RANGE, DIAMETER_PX = 15.0, 1.0, 4.0, 20.0
PLANE, DISC = PlaneGrid(BOX, working_grid(BOX, RADIUS).size), half_disc(BOX, RADIUS)
BAND = Band(PLANE, DISC, torch.ones(BOX // 2 + 1))


def about_z(degrees: torch.Tensor) -> torch.Tensor:
    """Rotations about z, float64."""
    nothing = torch.zeros_like(degrees)
    return euler_to_matrix(torch.stack([nothing, nothing, degrees], -1).double())


@pytest.fixture(scope="module")
def turned_set(tmp_path_factory: pytest.TempPathFactory) -> PhantomSet:
    """Images of one view of a map: turned in the plane, shifted, under a CTF, in noise of unit variance."""
    generator = torch.Generator().manual_seed(3)
    volume = sharp_phantom(generator)
    turns = about_z(360 * torch.rand(IMAGES, generator=generator))
    poses = Poses(turns, torch.randn(IMAGES, 2, generator=generator, dtype=torch.float64))
    ctf, micrographs = draw_ctf(IMAGES, Microscope(particles_per_micrograph=20), generator)
    classes = torch.zeros(IMAGES, dtype=torch.long)
    clean = clean_images([prepare_map(volume)], Truth(poses, ctf, classes, micrographs), 4.0)
    scale = (SNR / clean.var((1, 2), correction=0).mean()).sqrt()
    images = scale * clean + torch.randn(clean.shape, generator=generator)
    source = write_source(tmp_path_factory.mktemp("turned") / "particles.mrcs", images, ctf, 4.0)
    return PhantomSet(source, scale * volume[None], poses, classes)


def all_poses() -> PoseGrid:
    """A grid of all turns and shifts."""
    pairs = torch.arange(0, 180, SPACING)[:, None] + torch.tensor([0.0, 180.0])
    return PoseGrid(about_z(pairs.flatten()).float()[None], disc_grid(SHIFT_RANGE, SHIFT_STEP).float())


def solved(statistics: VolumeStatistics) -> torch.Tensor:
    """The M-step, with the prior of a signal-to-noise ratio that is the same in every shell."""
    fsc = torch.full((1, int(RADIUS) + 2), 0.9)
    return regularised(statistics, fsc, shell_weights(statistics, PLANE, RADIUS), PLANE)


def first_average(particles: PhantomSet, images: int) -> torch.Tensor:
    """The average of the first images as they are."""
    index = torch.arange(images)
    as_they_are = Poses(torch.eye(3, dtype=torch.float64).expand(images, 3, 3), torch.zeros(images, 2))
    known = KnownPoses(as_they_are, torch.zeros_like(index), index % 2, torch.ones(images))
    return solved(reconstruct(particles.source, index, known, BAND, 1))


def one_pass(particles: PhantomSet, average: torch.Tensor) -> tuple[torch.Tensor, PoseEstimates]:
    """The next average and the poses, from a search of all poses and a refinement of the likely ones."""
    observations = particles.source.observe(particles.everything, DISC, BAND.noise_variance)
    cells = coarse_cells(observations, average, all_poses(), BAND, 4)
    levels = levels_for(RADIUS, SPACING, SHIFT_STEP, DIAMETER_PX, BOX, 6)
    refinement = Refinement(Descent(levels, InPlaneSpace(SHIFT_RANGE)), particles.everything % 2)
    sums = exact_sums(BAND, len(particles.everything), 2, 1, torch.device("cpu"))
    found, terms = refine_poses(particles.source, particles.everything, cells, average, BAND, refinement, sums)
    return solved(volume_statistics(sums, terms, particles.source.shards)), found


def likeness(particles: PhantomSet, average: torch.Tensor) -> float:
    """Correlation of an average with the view, turned and shifted to where it is largest."""
    truth = image_transform(particles.volumes[0].sum(0), DISC)
    seen = SliceOperator(PLANE, DISC, about_z(torch.arange(0.0, 360.0)).float()).project(average[0])
    phases = shift_phases(disc_grid(SHIFT_RANGE, 0.25).float(), DISC)
    overlap = ((truth.conj() * phases) @ seen.mT).real
    return float((overlap / seen.norm(dim=1)).max() / truth.norm())


def test_one_average_is_found_from_a_few_images_as_they_are(turned_set: PhantomSet) -> None:
    average = first_average(turned_set, 5)
    assert likeness(turned_set, average) < 0.8
    for _ in range(4):
        average, found = one_pass(turned_set, average)
    assert likeness(turned_set, average) > 0.95
    # all poses are known up to one turn of the average
    apart = found.rotation.double().mT @ turned_set.poses.rotations
    assert float(angular_distance(apart, nearest_rotation(apart.mean(0))).median()) < 4.0


def test_steps_of_the_grid_oracle_raise_the_likelihood(turned_set: PhantomSet) -> None:
    observations = turned_set.source.observe(torch.arange(60), DISC, BAND.noise_variance)
    oracle, average = GridOracle(observations, all_poses(), PLANE, DISC), first_average(turned_set, 5)
    values = []
    for _ in range(4):
        found = oracle.evaluate(average, None)
        average = average - found.field
        values.append(float(found.value))
    assert values == sorted(values, reverse=True)
    assert values[0] - values[-1] > 5

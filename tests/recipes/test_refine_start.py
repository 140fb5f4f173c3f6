"""Start maps: brought onto the particles' grid and grey scale, and refused where the images contradict them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from abinit_jobs import PIXEL_SIZE, make_set
from refine_jobs import low_passed_map, refine_config, refined
from scipy.stats import t as student_t

from cryorbit.core.errors import InputError
from cryorbit.evaluation.phase_randomisation import randomise_phases
from cryorbit.fourier.resampling import resampled
from cryorbit.geometry.point_groups import point_group
from cryorbit.geometry.rotations import rotvec_to_matrix
from cryorbit.imaging.masks import soft_ball
from cryorbit.inference.copies import copies_agreement
from cryorbit.inference.turned_map import rotated
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.mrc import read_map, write_map
from cryorbit.recipes.dataset import read_dataset
from cryorbit.recipes.refine.start import RANDOM_MAPS, begin, magnified
from cryorbit.recipes.refine.state import RefineState
from cryorbit.volumes.voxel import resample
from phantom_sets import sharp_phantom

BOX, COUNT = 32, 120
COARSE: dict[str, Any] = {"poses": {"angular_spacing": 30.0}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Particles, the true map, and other maps."""
    folder = tmp_path_factory.mktemp("start")
    make_set(folder, [sharp_phantom(torch.Generator().manual_seed(3))], COUNT, 0.5)
    return folder


@pytest.fixture(scope="module")
def first(folder: Path) -> RefineState:
    """The first state from the true map."""
    return started(folder, folder / "truth_1.mrc")


def started(folder: Path, start_map: Path, **changes: Any) -> RefineState:
    config = refine_config(folder / "particles.star", start_map, folder / "job", **{**COARSE, **changes})
    return begin(config, read_dataset(config))


def changed_map(folder: Path, name: str, volume: torch.Tensor, pixel_size: float = PIXEL_SIZE) -> Path:
    write_map(folder / name, volume, pixel_size)
    return folder / name


def true_map(folder: Path) -> torch.Tensor:
    return read_map(folder / "truth_1.mrc")[0]


def test_the_grey_scale_of_the_images_is_found(folder: Path, first: RefineState) -> None:
    """Whatever the map's own: factors that are tried are 1.4 apart."""
    louder = started(folder, changed_map(folder, "louder.mrc", 40 * true_map(folder)))
    torch.testing.assert_close(louder.references, first.references, rtol=0, atol=1e-4 * float(first.references.max()))
    shown = resample(first.references[0, 0], BOX)
    truth = true_map(folder)
    # at 30 A, where the low-passed map and the truth are nearly the same
    coarse, fine = (torch.fft.rfftn(v)[1:4, 1:4, 1:4] for v in (shown, truth))
    assert float(coarse.abs().sum() / fine.abs().sum()) == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_level_of_the_solvent_is_taken_out(folder: Path, first: RefineState, sign: int) -> None:
    raised = changed_map(folder, f"raised_{sign}.mrc", sign * true_map(folder) + 300 * float(true_map(folder).std()))
    if sign < 0:
        with pytest.raises(InputError, match="the map is dark"):
            started(folder, raised)
        return
    other = started(folder, raised).references
    assert float((other - first.references).norm() / first.references.norm()) < 0.02


def test_both_half_sets_start_from_the_map_and_know_what_the_images_say(first: RefineState) -> None:
    assert torch.equal(first.references[0], first.references[1])
    assert (first.stage, first.iteration, first.estimates) == ("sgd", 0, None)
    assert first.radius == pytest.approx(BOX * PIXEL_SIZE / 30)
    (found,) = first.starts
    # the spread of random maps is that of eight: one in ten thousand of them would be so far ahead
    assert student_t.sf(found.lead_over_noise, RANDOM_MAPS - 1) < 1e-4
    assert found.log_likelihood > 50
    assert found.magnification == 1


def test_a_map_on_another_grid_is_resampled(folder: Path, first: RefineState) -> None:
    """The field of view is the same, the box and the voxels are others."""
    for box in (40, 24):
        path = changed_map(folder, f"box_{box}.mrc", resample(true_map(folder), box), PIXEL_SIZE * BOX / box)
        other = started(folder, path).references
        assert float((other - first.references).norm() / first.references.norm()) < 0.02


@pytest.mark.parametrize(
    ("size", "pixel_size", "words"),
    [
        (44, 5.0, "cropped from 44 voxels to 32"),
        (28, 5.0, "padded from 28 voxels to 32"),
        (44, 4.1, "resampled from 44 voxels of 4.1 Å to 32 of 5 Å"),
        (32, 1.0, "states 1 Å per voxel, which stands for unknown; 5 Å is used"),
        (32, 0.0, "states 0 Å per voxel, which stands for unknown; 5 Å is used"),
        (40, 1.0, "5 Å is used; cropped from 40 voxels to 32"),
    ],
)
def test_a_map_of_another_field_of_view_is_brought_to_that_of_the_images(
    folder: Path, first: RefineState, size: int, pixel_size: float, words: str
) -> None:
    true_size = pixel_size if pixel_size > 1 else PIXEL_SIZE
    path = changed_map(folder, "other.mrc", resampled(true_map(folder), 3, size, true_size / PIXEL_SIZE), pixel_size)
    state = started(folder, path)
    assert float((state.references - first.references).norm() / first.references.norm()) < 0.03
    (note,) = state.start_notes
    assert note.startswith("Start map other.mrc: ")
    assert words in note


def test_a_dark_map_is_called_dark(folder: Path) -> None:
    path = changed_map(folder, "dark.mrc", -true_map(folder))
    with pytest.raises(InputError, match=r"dark\.mrc: the map is dark(.|\n)*multiply the grey values of the map by -1"):
        started(folder, path)
    assert started(folder, path, check_start=False).starts[0].inverted == 1


def test_a_map_that_no_image_shows_is_refused_unless_told_otherwise(folder: Path) -> None:
    noise = randomise_phases(true_map(folder), 1, torch.Generator().manual_seed(1))
    path = changed_map(folder, "noise.mrc", noise * soft_ball(BOX, 10.0, 3.0))
    with pytest.raises(InputError, match=r"noise\.mrc.*no better than a random map(.|\n)*--no-check-start"):
        started(folder, path)
    assert started(folder, path, check_start=False).stage == "sgd"


@pytest.mark.parametrize(("factor", "best"), [(1.1, "0.9"), (0.9, "1.[01]")])
def test_a_magnified_map_is_refused_with_the_factor(folder: Path, factor: float, best: str) -> None:
    """To the nearest factors that are tried: at low resolution they are hard to tell apart."""
    path = changed_map(folder, "magnified.mrc", magnified(true_map(folder), factor))
    words = rf"magnified\.mrc.*better when it is magnified {best}\d? times(.|\n)*pixel sizes(.|\n)*--no-check-start"
    with pytest.raises(InputError, match=words):
        started(folder, path)
    assert started(folder, path, check_start=False).stage == "sgd"


@pytest.mark.parametrize(("own", "initial"), [(10.0, 40.0), (10.0, 20.0), (30.0, 30.0)])
def test_the_true_map_passes_however_it_is_filtered(folder: Path, own: float, initial: float) -> None:
    """Amplitudes that end where images are scored must not look like a magnification."""
    path = low_passed_map(folder / "truth_1.mrc", folder / "filtered.mrc", own)
    state = started(folder, path, initial_resolution=initial)
    assert state.starts[0].magnification == 1


def test_no_image_tells_the_hand(folder: Path, first: RefineState) -> None:
    mirrored = changed_map(folder, "mirrored.mrc", true_map(folder).flip(0).roll(1, 0))
    ours, theirs = (state.starts[0].log_likelihood for state in (first, started(folder, mirrored)))
    assert theirs == pytest.approx(ours, rel=0.02)


def test_magnifying_moves_density_from_the_centre() -> None:
    volume = torch.zeros(24, 24, 24)
    volume[12, 12, 12] = 1
    volume[12, 12, 20] = 1
    zoomed = magnified(volume, 0.75)
    assert zoomed.dtype == volume.dtype
    near = zoomed[12, 12, 15:21]
    assert int(near.argmax()) == 18 - 15
    assert int(zoomed.argmax()) in (int(volume.argmax()), 12 * 24 * 24 + 12 * 24 + 18)


def test_the_first_scores_keep_to_the_finest_resolution_allowed(folder: Path) -> None:
    state = started(folder, folder / "truth_1.mrc", max_resolution=40.0)
    assert state.radius == pytest.approx(BOX * PIXEL_SIZE / 40)


def test_a_mask_that_cannot_be_used_is_told_before_the_first_pass(folder: Path, tmp_path: Path) -> None:
    for name, mask, words in (
        ("empty.mrc", torch.zeros(BOX, BOX, BOX), "the mask is empty"),
        ("loud.mrc", 3 * soft_ball(BOX, 8.0, 3.0), "values from 0 to 3"),
        ("inverse.mrc", 1 - soft_ball(BOX, 0.4 * BOX, 2.0), "0 and 1 are exchanged"),
        ("beside.mrc", soft_ball(BOX, 3.0, 1.0).roll(BOX // 2 - 4, 0).roll(BOX // 2 - 4, 1), "leaves out the particle"),
    ):
        path = changed_map(tmp_path, name, mask)
        with pytest.raises(InputError, match=rf"{name}.*{words}"):
            refined(folder / "particles.star", folder / "truth_1.mrc", tmp_path / f"job_{name}", mask=path)
        assert JobFolder.open(tmp_path / f"job_{name}").read_metrics() == []


@pytest.fixture(scope="module")
def twofold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Particles with a twofold axis along z."""
    folder = tmp_path_factory.mktemp("twofold")
    volume = sharp_phantom(torch.Generator().manual_seed(3))
    make_set(folder, [0.5 * (volume + volume.flip(1, 2).roll((1, 1), (1, 2)))], COUNT, 0.5)
    return folder


def test_a_symmetric_map_is_turned_to_its_axes(twofold: Path) -> None:
    settings = {"symmetry": "C2", "initial_resolution": 20.0}
    assert started(twofold, twofold / "truth_1.mrc", **settings).start_notes == ()
    turn = rotvec_to_matrix(torch.tensor([0.5, 0.3, 0.0]))
    state = started(twofold, changed_map(twofold, "turned.mrc", rotated(true_map(twofold), turn)), **settings)
    (note,) = state.start_notes
    assert "the axes of C2 lay elsewhere; the map was turned by" in note
    reference = state.references[0, 0]
    agreement = copies_agreement(reference, reference, point_group("C2"), 0.3 * len(reference))
    assert agreement is not None
    assert agreement > 0.9


def test_a_map_without_the_symmetry_is_refused_unless_told_otherwise(folder: Path) -> None:
    path, settings = folder / "truth_1.mrc", {"symmetry": "D3", "initial_resolution": 20.0}
    with pytest.raises(InputError, match=r"has no D3 symmetry(.|\n)*leave --symmetry out(.|\n)*--no-check-start"):
        started(folder, path, **settings)
    assert "has no D3 symmetry" in started(folder, path, check_start=False, **settings).start_notes[0]

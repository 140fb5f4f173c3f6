"""The post-processing recipe: from a folder of half-maps to files, numbers and a verdict; and RELION beside it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.core.progress import SilentProgress
from cryorbit.evaluation.band_limit import without_shells_beyond
from cryorbit.evaluation.fsc import fourier_shell_correlation
from cryorbit.evaluation.radial_filter import apply_gain
from cryorbit.evaluation.sharpening import fit_b_factor, signal_weights
from cryorbit.geometry.rotations import matrix_to_euler, random_rotations
from cryorbit.imaging.masks import soft_ball
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.mrc import read_map, write_map
from cryorbit.io.star import read_star
from cryorbit.io.star_writing import write_star
from cryorbit.recipes.postprocess import PostprocessConfig, PostprocessResult, run
from cryorbit.recipes.postprocess.inputs import read_half_maps
from cryorbit.simulate.phantoms import random_blob_phantom

BOX, PIXEL_SIZE, B_FACTOR = 64, 1.5, 130.0
RELION_LABELS = {
    "unmasked": "rlnFourierShellCorrelationUnmaskedMaps",
    "masked": "rlnFourierShellCorrelationMaskedMaps",
    "corrected": "rlnFourierShellCorrelationCorrected",
}


def make_truth(generator: torch.Generator) -> torch.Tensor:
    """A particle with power at all frequencies that falls with a B-factor."""
    outline = random_blob_phantom(BOX, generator, count=30)
    detail = torch.randn(BOX, BOX, BOX, generator=generator)
    frequency = torch.arange(BOX // 2 + 1) / (BOX * PIXEL_SIZE)
    inside = (outline > 0.15 * outline.max()).float()
    return apply_gain(inside * (1 + detail), torch.exp(-0.25 * B_FACTOR * frequency**2))


def particle_table(rotations: torch.Tensor) -> pd.DataFrame:
    """Particles in the given poses."""
    angles = matrix_to_euler(rotations).numpy()
    table = pd.DataFrame(angles, columns=["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"])
    table.insert(0, "rlnImageName", [f"{row + 1:06d}@particles.mrcs" for row in range(len(table))])
    return table


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half-maps and particles as a refinement leaves them."""
    generator = torch.Generator().manual_seed(20)
    path = tmp_path_factory.mktemp("refined")
    truth = make_truth(generator)
    write_map(path / "truth.mrc", truth, PIXEL_SIZE)
    for half in (1, 2):
        noisy = truth + 0.2 * torch.randn(BOX, BOX, BOX, generator=generator)
        write_map(path / f"map_half{half}_unfil.mrc", noisy, PIXEL_SIZE)
    write_star(path / "particles.star", {"particles": particle_table(random_rotations(3000, generator))})
    return path


def process(config: PostprocessConfig) -> tuple[JobFolder, PostprocessResult]:
    """Run the recipe in a new job."""
    job = JobFolder.create(config.output, verb="postprocess", config=config.model_dump(mode="json"))
    return job, run(config, job, SilentProgress())


@pytest.fixture(scope="module")
def finished(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[JobFolder, PostprocessResult]:
    """The folder, post-processed."""
    output = tmp_path_factory.mktemp("processed") / "job"
    return process(PostprocessConfig(folder=folder, output=output, local_filter=True))


def test_files_and_numbers(finished: tuple[JobFolder, PostprocessResult], folder: Path) -> None:
    job, result = finished
    truth, _ = read_map(folder / "truth.mrc")
    mask, pixel_size = read_map(job.path / "mask.mrc")
    assert pixel_size == pytest.approx(PIXEL_SIZE)
    assert float((truth * mask).square().sum() / truth.square().sum()) > 0.98
    sharp, masked = (read_map(job.path / name)[0] for name in ("postprocess.mrc", "postprocess_masked.mrc"))
    torch.testing.assert_close(masked, sharp * mask)
    local, _ = read_map(job.path / "local_resolution.mrc")
    assert result.local_resolution.best_A >= float(local.min())
    assert result.local_resolution.worst_A <= float(local.max()) * 1.001
    table = read_star(job.path / "postprocess.star")
    assert float(table["general"]["rlnFinalResolution"].iloc[0]) == pytest.approx(result.resolution_A, abs=1e-3)
    assert set(RELION_LABELS.values()) <= set(table["fsc"])
    for name in ("postprocess.xml", "postprocess.csv", "guinier.csv", "conical_fsc.csv", "local_filtered.mrc"):
        assert (job.path / name).is_file(), name
    record = json.loads((job.path / "job.json").read_text())["result"]
    assert record["resolution_A"] == result.resolution_A
    assert record["verdict"]["level"] == "good"


def test_resolution_and_b_factor_are_those_of_the_simulation(
    finished: tuple[JobFolder, PostprocessResult], folder: Path
) -> None:
    job, result = finished
    halves = [read_map(folder / f"map_half{half}_unfil.mrc")[0] for half in (1, 2)]
    mask, _ = read_map(job.path / "mask.mrc")
    truth, _ = read_map(folder / "truth.mrc")
    # the mean of the halves correlates with the truth as sqrt(2 F / (1 + F)) of their correlation F: 0.5 at 0.143
    against_truth = fourier_shell_correlation(0.5 * (halves[0] + halves[1]), truth, mask)
    shell = round(BOX * PIXEL_SIZE / result.resolution_A)
    assert float(against_truth[shell - 1 : shell + 2].mean()) == pytest.approx(0.5, abs=0.06)
    assert result.resolution_A < result.resolution_unmasked_A
    noiseless = fit_b_factor(truth, torch.ones(BOX // 2 + 1), PIXEL_SIZE, result.resolution_A)
    assert noiseless is not None
    assert result.b_factor_fitted == pytest.approx(noiseless.b_factor, rel=0.1)
    assert result.b_factor_error is not None
    assert result.b_factor == pytest.approx(result.b_factor_fitted + result.b_factor_error)
    assert result.mask_bias < 0.05


def test_directions_are_even(finished: tuple[JobFolder, PostprocessResult]) -> None:
    _, result = finished
    assert result.conical_area_ratio > 0.8
    assert result.sampling_factor == pytest.approx(1.0, abs=0.03)
    assert result.unsampled == 0.0


def test_same_seed_gives_the_same_files(
    finished: tuple[JobFolder, PostprocessResult], folder: Path, tmp_path: Path
) -> None:
    job, _ = finished
    again, _ = process(PostprocessConfig(folder=folder, output=tmp_path / "again"))
    for name in ("postprocess.mrc", "postprocess.csv", "local_resolution.mrc"):
        assert (again.path / name).read_bytes() == (job.path / name).read_bytes(), name


def test_settings_are_heeded(folder: Path, tmp_path: Path) -> None:
    mask = soft_ball(BOX, 24, 4)
    write_map(tmp_path / "mask.mrc", mask, PIXEL_SIZE)
    generator = torch.Generator().manual_seed(1)
    sideways = random_rotations(2000, generator)
    sideways = sideways[sideways[:, 2, 2].abs() < 0.2]
    write_star(tmp_path / "side.star", {"particles": particle_table(sideways)})
    config = PostprocessConfig(
        half1=folder / "map_half1_unfil.mrc",
        half2=folder / "map_half2_unfil.mrc",
        output=tmp_path / "job",
        mask=tmp_path / "mask.mrc",
        particles=tmp_path / "side.star",
        pixel_size=2 * PIXEL_SIZE,
        b_factor=-20.0,
    )
    job, result = process(config)
    torch.testing.assert_close(read_map(job.path / "mask.mrc")[0], mask)
    assert read_map(job.path / "postprocess.mrc")[1] == pytest.approx(2 * PIXEL_SIZE)
    assert result.b_factor == -20.0
    assert result.sampling_factor == pytest.approx(0.83, abs=0.05)


def test_optics_that_nothing_corrects_for_are_a_doubt(folder: Path, tmp_path: Path) -> None:
    """A stretch by a tenth, in cryoSPARC's words, displaces the rim of a particle of half a box by 0.8 pixels."""
    table = particle_table(random_rotations(300, torch.Generator().manual_seed(1)))
    table = table.assign(rlnDefocusU=15e3, rlnDefocusV=15e3, rlnDefocusAngle=0.0, rlnOpticsGroup=1)
    optics = {"rlnOpticsGroup": 1, "rlnVoltage": 300.0, "rlnSphericalAberration": 2.7, "rlnAmplitudeContrast": 0.1}
    optics |= {"rlnImagePixelSize": PIXEL_SIZE, "rlnImageSize": BOX, "rlnMagMat00": 0.1, "rlnMagMat11": 0.0}
    write_star(tmp_path / "stretch.star", {"optics": pd.DataFrame([optics]), "particles": table})
    _, result = process(PostprocessConfig(folder=folder, output=tmp_path / "job", particles=tmp_path / "stretch.star"))
    assert result.verdict.level == "doubtful"
    assert "optics that are not corrected for limit it" in result.verdict.sentence
    assert any(reason.startswith("anisotropic magnification (rlnMagMat00 to 11)") for reason in result.verdict.reasons)


def test_half_maps_of_ab_initio_share_their_poses(folder: Path, tmp_path: Path) -> None:
    ab_initio = JobFolder.create(tmp_path / "abinit", verb="abinit", config={}).path
    for half in (1, 2):
        shutil.copy(folder / f"map_half{half}_unfil.mrc", ab_initio / f"class_2_half{half}_unfil.mrc")
    _, result = process(PostprocessConfig(folder=ab_initio, output=tmp_path / "job", class_number=2))
    assert result.verdict.level == "doubtful"
    assert any("upper bound" in reason for reason in result.verdict.reasons)
    assert result.sampling_factor is None


def test_mask_that_cuts_into_the_density_is_called_bad(folder: Path, tmp_path: Path) -> None:
    truth, _ = read_map(folder / "truth.mrc")
    write_map(tmp_path / "tight.mrc", (truth > 0.35 * truth.max()).float(), PIXEL_SIZE)
    config = PostprocessConfig(folder=folder, output=tmp_path / "job", mask=tmp_path / "tight.mrc")
    _, result = process(config)
    assert result.mask_bias > 0.05
    assert result.verdict.level == "bad"
    assert "mask is too tight" in result.verdict.sentence


def halves_without_detail(folder: Path) -> list[torch.Tensor]:
    """The half-maps of the folder, cut at shell 10."""
    return [without_shells_beyond(read_map(folder / f"map_half{half}_unfil.mrc")[0], 10) for half in (1, 2)]


@pytest.mark.parametrize("said", [9.5, None], ids=["label", "spectrum"])
def test_half_maps_without_detail_claim_none(folder: Path, tmp_path: Path, said: float | None) -> None:
    """What the files hold is known from their label, wherever they were copied, or else from their spectra."""
    for number, half in enumerate(halves_without_detail(folder), start=1):
        write_map(tmp_path / f"made_{number}.mrc", half, PIXEL_SIZE, said)
        shutil.copyfile(tmp_path / f"made_{number}.mrc", tmp_path / f"copy_{number}.mrc")
    job, result = process(
        PostprocessConfig(half1=tmp_path / "copy_1.mrc", half2=tmp_path / "copy_2.mrc", output=tmp_path / "job")
    )
    end = BOX * PIXEL_SIZE / 10
    assert result.resolution_A == result.resolution_unmasked_A == result.holds_to_A == pytest.approx(end)
    assert f"hold data to {said or end:.1f} Å only" in result.verdict.sentence
    assert result.b_factor == 0.0
    assert result.local_resolution.best_A >= end * 0.999
    table = pd.read_csv(job.path / "postprocess.csv")
    assert not table[["corrected", "unmasked", "masked", "randomised"]][11:].to_numpy().any()


def test_half_maps_that_were_masked_are_told(folder: Path, tmp_path: Path) -> None:
    ball = soft_ball(BOX, 0.35 * BOX, 3)
    for half in (1, 2):
        write_map(tmp_path / f"{half}.mrc", read_map(folder / f"map_half{half}_unfil.mrc")[0] * ball, PIXEL_SIZE)
    _, result = process(PostprocessConfig(half1=tmp_path / "1.mrc", half2=tmp_path / "2.mrc", output=tmp_path / "job"))
    assert result.verdict.level == "bad"
    assert "the half-maps were masked before" in result.verdict.sentence
    _, untouched = process(PostprocessConfig(folder=folder, output=tmp_path / "untouched"))
    assert "masked before" not in untouched.verdict.sentence


def test_a_label_is_in_the_units_of_the_file(folder: Path, tmp_path: Path) -> None:
    for number, half in enumerate(halves_without_detail(folder), start=1):
        write_map(tmp_path / f"{number}.mrc", half, PIXEL_SIZE, 9.6)
    files = {"half1": tmp_path / "1.mrc", "half2": tmp_path / "2.mrc"}
    _, result = process(PostprocessConfig(**files, pixel_size=2 * PIXEL_SIZE, output=tmp_path / "job"))
    assert result.holds_to_A == pytest.approx(2 * 9.6)
    assert "hold data to 19.2 Å only" in result.verdict.sentence


@pytest.mark.parametrize(
    ("stated", "given", "size"),
    [
        ((0.0, PIXEL_SIZE), None, PIXEL_SIZE),
        ((PIXEL_SIZE, 1.0), None, PIXEL_SIZE),
        ((1.0, PIXEL_SIZE), None, PIXEL_SIZE),
        ((0.0, 0.0), 4.0, 4.0),
        ((PIXEL_SIZE, 0.0), 4.0, 4.0),
    ],
)
def test_a_header_that_says_nothing(
    stated: tuple[float, float], given: float | None, size: float, tmp_path: Path, generator: torch.Generator
) -> None:
    for number, each in enumerate(stated, start=1):
        write_map(tmp_path / f"{number}.mrc", torch.randn(16, 16, 16, generator=generator), each)
    files = {"half1": tmp_path / "1.mrc", "half2": tmp_path / "2.mrc"}
    found = read_half_maps(PostprocessConfig(**files, pixel_size=given, output=tmp_path / "job"))
    assert found.pixel_size == size
    unset = [each for each in stated if each != PIXEL_SIZE]
    told = [f"states {each:g} Å per voxel, which stands for unknown; {size:.4g} Å is used" for each in unset]
    assert len(found.remarks) == len(told)
    assert all(words in sentence for words, sentence in zip(told, found.remarks, strict=True))


@pytest.mark.parametrize(("sign", "words"), [(-1.0, "opposite contrast"), (0.0, "no signal in common")])
def test_half_maps_that_are_none_are_called_that(sign: float, words: str, folder: Path, tmp_path: Path) -> None:
    truth, _ = read_map(folder / "truth.mrc")
    noise = read_map(folder / "map_half2_unfil.mrc")[0] - truth
    write_map(tmp_path / "2.mrc", sign * truth + noise, PIXEL_SIZE)
    files = {"half1": folder / "map_half1_unfil.mrc", "half2": tmp_path / "2.mrc"}
    _, result = process(PostprocessConfig(**files, output=tmp_path / "job"))
    assert result.verdict.level == "bad"
    assert words in result.verdict.sentence
    assert not any("mask" in reason for reason in result.verdict.reasons)


def test_the_pixels_are_named_where_they_limit(tmp_path: Path, generator: torch.Generator) -> None:
    truth = make_truth(generator)
    for half in (1, 2):
        noisy = truth + 0.005 * torch.randn(BOX, BOX, BOX, generator=generator)
        write_map(tmp_path / f"map_half{half}_unfil.mrc", noisy, PIXEL_SIZE)
    _, result = process(PostprocessConfig(folder=tmp_path, output=tmp_path / "job"))
    assert result.resolution_A == pytest.approx(2 * PIXEL_SIZE, rel=0.02)
    assert "nothing finer than 3.0 Å (Nyquist)" in result.verdict.sentence


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "nothing to process"),
        ({"half1": "a.mrc"}, "one half-map is missing"),
        ({"folder": "empty"}, "holds no pair of half-maps"),
        ({"half1": "a.mrc", "half2": "a.mrc"}, "one and the same map"),
        ({"half1": "a.mrc", "half2": "a_scaled.mrc"}, "one and the same map"),
        ({"half1": "a.mrc", "half2": "b.mrc", "mask": "zero.mrc"}, "mask is empty"),
        ({"half1": "a.mrc", "half2": "small.mrc"}, "voxels"),
        ({"half1": "unset.mrc", "half2": "unset_2.mrc"}, "do not state their voxel size"),
    ],
)
def test_unfit_input_is_refused(
    given: dict[str, str], problem: str, tmp_path: Path, generator: torch.Generator
) -> None:
    for name, box in (("a.mrc", 16), ("b.mrc", 16), ("small.mrc", 12)):
        write_map(tmp_path / name, torch.randn(box, box, box, generator=generator), 2.0)
    scaled = 2.5 * torch.from_numpy(mrcfile.read(tmp_path / "a.mrc").copy()) + 3.0
    write_map(tmp_path / "a_scaled.mrc", scaled + 0.001 * torch.randn(16, 16, 16, generator=generator), 2.0)
    for name in ("unset.mrc", "unset_2.mrc"):
        write_map(tmp_path / name, torch.randn(16, 16, 16, generator=generator), 0.0)
    faint = torch.zeros(16, 16, 16)
    faint[8, 8, 8] = 0.1
    write_map(tmp_path / "zero.mrc", faint, 2.0)
    (tmp_path / "empty").mkdir()
    config = PostprocessConfig(output=tmp_path / "job", **{key: tmp_path / name for key, name in given.items()})
    with pytest.raises(InputError, match=problem) as caught:
        process(config)
    assert caught.value.fix


@pytest.mark.relion
@pytest.mark.skipif(shutil.which("relion_postprocess") is None, reason="relion_postprocess is not installed")
def test_relion_finds_the_same(finished: tuple[JobFolder, PostprocessResult], folder: Path, tmp_path: Path) -> None:
    job, result = finished
    command = [
        *("relion_postprocess", "--i", str(folder / "map_half1_unfil.mrc"), "--mask", str(job.path / "mask.mrc")),
        *(
            "--auto_bfac",
            "--autob_highres",
            f"{result.resolution_A:.3f}",
            "--angpix",
            str(PIXEL_SIZE),
            "--o",
            "relion/map",
        ),
    ]
    (tmp_path / "relion").mkdir()
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    theirs = read_star(tmp_path / "relion" / "map.star")
    ours = pd.read_csv(job.path / "postprocess.csv")
    # the random phases differ: a correlation of noise in a shell of some hundred independent numbers
    for name, tolerance in (("unmasked", 0.02), ("masked", 0.02), ("corrected", 0.05)):
        difference = theirs["fsc"][RELION_LABELS[name]].astype(float).to_numpy() - ours[name].to_numpy()
        assert np.abs(difference).max() < tolerance, name
    general = theirs["general"].iloc[0]
    # RELION gives the last shell above the threshold, not the crossing
    theirs_shell, ours_shell = (
        BOX * PIXEL_SIZE / d for d in (float(general["rlnFinalResolution"]), result.resolution_A)
    )
    assert theirs_shell == pytest.approx(ours_shell, abs=1.0)
    # RELION fits a straight line, and to the map without the mask
    weights = signal_weights(torch.tensor(ours["corrected"].to_list()))
    mean = sum(read_map(folder / f"map_half{half}_unfil.mrc")[0] for half in (1, 2)) / 2
    unmasked = fit_b_factor(mean, weights, PIXEL_SIZE, result.resolution_A)
    assert unmasked is not None
    used = (unmasked.inverse_square >= 0.01) & (unmasked.inverse_square <= result.resolution_A**-2)
    slope = np.polyfit(unmasked.inverse_square[used].numpy(), unmasked.log_amplitude[used].numpy(), 1)[0]
    assert float(general["rlnBfactorUsedForSharpening"]) == pytest.approx(4 * slope, rel=0.1)
    sharpened, _ = read_map(tmp_path / "relion" / "map.mrc")
    curve = fourier_shell_correlation(sharpened, read_map(job.path / "postprocess.mrc")[0])
    assert float(curve[1 : round(BOX * PIXEL_SIZE / result.resolution_A) - 1].min()) > 0.999


def test_half_maps_and_masks_out_of_place_are_told(folder: Path, tmp_path: Path) -> None:
    """A half-map turned by a quarter about z, and a mask beside the particle."""
    first, second = (read_map(folder / f"map_half{half}_unfil.mrc")[0] for half in (1, 2))
    write_map(tmp_path / "1.mrc", first, PIXEL_SIZE)
    write_map(tmp_path / "2.mrc", second.transpose(1, 2).flip(1).roll(1, 1), PIXEL_SIZE)
    files = {"half1": tmp_path / "1.mrc", "half2": tmp_path / "2.mrc"}
    _, result = process(PostprocessConfig(**files, output=tmp_path / "turned"))
    assert result.verdict.level == "bad"
    assert "the half-maps do not belong together, as they are not in one position" in result.verdict.sentence
    assert re.search(r"when it is rotated by (89|90|91) degrees$", result.verdict.reasons[0])
    write_map(tmp_path / "mask.mrc", soft_ball(BOX, 4, 2).roll((22, 22, 22), (0, 1, 2)), PIXEL_SIZE)
    config = PostprocessConfig(folder=folder, output=tmp_path / "beside", mask=tmp_path / "mask.mrc")
    _, result = process(config)
    assert result.verdict.level == "bad"
    assert "the mask leaves out the particle. Fix: give a mask that is 1 on the particle" in result.verdict.sentence

"""Maps, curves and particles as a notebook shows them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import cryorbit as co
from cryorbit import api
from cryorbit.api.pictures import paragraph
from cryorbit.evaluation.band_limit import without_shells_beyond
from small_sets import COUNT, blob_images, write_star_set


@pytest.fixture
def particles(tmp_path: Path) -> co.ParticleSet:
    """Forty images in two stacks and two optics groups."""
    return co.read_particles(write_star_set(tmp_path, blob_images(COUNT, np.random.default_rng(3))))


def blob(box: int = 16) -> co.Volume:
    grid = torch.stack(torch.meshgrid(*3 * [torch.arange(box) - box // 2], indexing="ij")).float()
    return co.Volume(torch.exp(-(grid**2).sum(0) / 12), 2.5)


def test_the_package_is_light_until_it_is_used() -> None:
    code = "import sys, cryorbit; print([name for name in ('torch', 'pandas', 'matplotlib') if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_every_name_is_there_and_no_other() -> None:
    assert dir(co) == sorted([*api.__all__, "__version__"])
    assert all(getattr(co, name) is getattr(api, name) for name in api.__all__)
    assert all(getattr(api, name).__doc__ for name in api.__all__)
    with pytest.raises(AttributeError, match="abinito"):
        _ = co.abinito  # type: ignore[attr-defined]


def test_a_map_shows_itself(tmp_path: Path) -> None:
    volume = blob()
    assert repr(volume).startswith("Volume(16 x 16 x 16 voxels of 2.5 Å, ")
    assert "to 1, standard deviation" in repr(volume)
    page = volume._repr_html_()
    assert page.startswith("<p>Volume(16")
    assert page.count('<img src="data:image/png;base64,') == 1
    volume.save(tmp_path / "map.mrc")
    again = co.read_map(tmp_path / "map.mrc")
    assert torch.equal(again.values, volume.values)
    assert again.pixel_size == 2.5


def test_a_map_without_anything_to_see_is_told_in_words() -> None:
    assert "<img" not in co.Volume(torch.zeros(8, 8, 8), 1.0)._repr_html_()
    assert "<img" not in co.Volume(torch.rand(8, 8, 6), 1.0)._repr_html_()


def test_a_curve_tells_its_resolution(tmp_path: Path) -> None:
    frequency = np.arange(9) / 40.0
    table = pd.DataFrame({"f": frequency, "masked": np.linspace(1, 0, 9), "unmasked": np.linspace(1, -1, 9)})
    curve = co.FSC(table)
    assert curve.resolution(0.5) == pytest.approx(40 / 4)
    assert curve.resolution(0.5, "unmasked") == pytest.approx(40 / 2)
    assert repr(curve) == "FSC(10.00 Å at 0.5, 5.83 Å at 0.143; curves: masked, unmasked)"
    assert "data:image/png" in curve._repr_html_()
    with pytest.raises(co.InputError, match="the curves are masked, unmasked"):
        curve.resolution(curve="tight")
    curve.save(tmp_path / "fsc", "a title")
    assert {file.suffix for file in tmp_path.iterdir()} == {".star", ".xml", ".csv"}
    assert np.allclose(pd.read_csv(tmp_path / "fsc.csv")["masked"], table["masked"])


def test_maps_that_do_not_fit_are_refused() -> None:
    with pytest.raises(co.InputError, match=r"no.* even cube"):
        co.fsc(co.Volume(torch.rand(8, 8, 6), 1.0), blob())
    with pytest.raises(co.InputError, match="constant"):
        co.compare(co.Volume(torch.ones(18, 18, 18), 2.5), blob())
    with pytest.raises(co.InputError, match="values from"):
        co.fsc(blob(), blob(), mask=co.Volume(3 * blob().values, 2.5))


def test_a_map_and_itself_correlate_within_a_mask_too() -> None:
    assert torch.allclose(torch.tensor(co.fsc(blob(), blob()).table["unmasked"].to_numpy()), torch.ones(9).double())
    assert co.fsc(blob(), blob(), mask=blob()).curves == ["corrected", "unmasked", "masked", "randomised"]


def test_a_mask_makes_no_map_finer_than_its_data() -> None:
    """Half-maps without anything beyond shell 8 of 16: what a mask carries further is the mask's."""
    ball = blob(32).values
    halves = [
        co.Volume(without_shells_beyond(ball + 0.02 * torch.randn(32, 32, 32, generator=generator), 8), 2.5)
        for generator in map(torch.Generator().manual_seed, (1, 2))
    ]
    found = co.fsc(*halves, mask=co.Volume((ball > 0.3).float(), 2.5))
    assert found.resolution() >= 32 * 2.5 / 9
    assert found.resolution(curve="masked") >= 32 * 2.5 / 9


def test_particles_show_themselves(particles: co.ParticleSet) -> None:
    assert repr(particles).startswith("ParticleSet(40 images of 16 x 16 pixels of 2 Å in 2 files, with poses; ")
    page = particles._repr_html_()
    assert "krios" in page
    assert "rlnDefocusU" in page
    assert "data:image/png" in page
    particles.particles.images.files[0].unlink()
    assert "data:image/png" not in particles._repr_html_()


def test_particles_are_chosen_by_rows_query_and_chance(particles: co.ParticleSet, tmp_path: Path) -> None:
    assert list(particles[3:6].table.index) == [3, 4, 5]
    assert list(particles[[5, 2]].table.index) == [5, 2]
    assert len(particles[torch.arange(COUNT) < 7]) == 7
    assert len(particles.where("rlnDefocusU < 10050 and rlnVoltage == 300")) == 5
    assert len(particles.sample(9, seed=1)) == 9
    assert torch.equal(particles[[5]].images([0]), particles.images([5]))
    chosen = particles[10:20]
    chosen.save(tmp_path / "chosen.star")
    again = co.read_particles(tmp_path / "chosen.star")
    assert torch.equal(again.images(range(10)), chosen.images(range(10)))
    assert again.poses is not None
    assert chosen.poses is not None
    assert torch.allclose(again.poses.rotations, chosen.poses.rotations)
    with pytest.raises(co.InputError, match=r"\.star"):
        chosen.save(tmp_path / "chosen.txt")


def test_text_is_escaped() -> None:
    assert paragraph("a < b") == "<p>a &lt; b</p>"

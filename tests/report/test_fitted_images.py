"""Images beside the projections of their maps: alike where pose, class, CTF and hand are right, and only there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cryorbit.io.mrc import read_map, write_map
from cryorbit.recipes import simulate
from cryorbit.report.fit_figures import draw_fitted
from cryorbit.report.fitted_images import SHOWN, read_fitted
from cryorbit.simulate.microscope import Microscope
from phantom_sets import sharp_phantom

PIXEL_SIZE = 5.0
LOW_PASS = 15.0


def simulated(folder: Path, **changes: Any) -> Path:
    """Forty images of two maps, hardly any noise; the true poses and classes."""
    folder.mkdir()
    paths = (folder / "a.mrc", folder / "b.mrc")
    for seed, path in enumerate(paths):
        write_map(path, sharp_phantom(torch.Generator().manual_seed(seed)), PIXEL_SIZE)
    microscope = Microscope(particles_per_micrograph=10)
    settings = {"microscope": microscope, "count": 40, "snr": 20.0, "shift_sigma": 2.0, **changes}
    simulate.run(simulate.SimulateConfig(maps=paths, output=folder, **settings))
    return folder / "truth.star"


def true_maps(table: Path) -> list[np.ndarray]:
    return [read_map(table.parent / f"truth_{number}.mrc")[0].numpy() for number in (1, 2)]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated(tmp_path_factory.mktemp("fitted") / "set")


def test_the_true_maps_leave_only_noise(table: Path) -> None:
    found = read_fitted(table, true_maps(table), {}, LOW_PASS)
    assert found is not None
    assert found.images.shape == (SHOWN, 32, 32)
    assert found.correlation.min() > 0.98
    assert set(found.class_number) == {1, 2}
    np.testing.assert_allclose(found.images - found.projections, found.residuals, atol=1e-5)
    assert (found.residuals**2).mean() < 0.04 * (found.images**2).mean()


def test_wrong_classes_a_wrong_hand_and_a_displaced_map_do_not_fit(table: Path) -> None:
    first, second = true_maps(table)
    mirrored = [np.roll(each[::-1], 1, axis=0) for each in (first, second)]
    displaced = [np.roll(each, 3, axis=2) for each in (first, second)]
    for maps in ([second, first], mirrored, displaced):
        found = read_fitted(table, maps, {}, LOW_PASS)
        assert found is not None
        assert found.correlation.mean() < 0.9


def test_dark_protein_is_shown_white(table: Path, tmp_path: Path) -> None:
    dark = simulated(tmp_path / "dark", invert_contrast=True)
    found, plain = (read_fitted(each, true_maps(each), {}, LOW_PASS) for each in (dark, table))
    assert found is not None
    assert plain is not None
    assert found.correlation.min() > 0.98
    np.testing.assert_allclose(found.projections, plain.projections, atol=0.05 * plain.projections.max())


def test_images_that_are_gone_or_do_not_fit_are_no_trouble(table: Path, tmp_path: Path) -> None:
    maps = true_maps(table)
    assert read_fitted(table, [each[:16, :16, :16] for each in maps], {}, LOW_PASS) is None
    assert read_fitted(table, [maps[0], None], {}, LOW_PASS) is None
    lonely = tmp_path / "particles.star"
    lonely.write_text(table.read_text())
    assert read_fitted(lonely, maps, {}, LOW_PASS) is None
    assert read_fitted(lonely, maps, {"data_dir": str(table.parent)}, LOW_PASS) is not None
    assert read_fitted(lonely, maps, {"particles": str(table)}, LOW_PASS) is not None


def test_the_figure_shows_all_of_them_with_their_correlation(table: Path) -> None:
    found = read_fitted(table, true_maps(table), {}, LOW_PASS)
    assert found is not None
    figure = draw_fitted(found)
    assert sum(len(axes.images) for axes in figure.axes) == 3 * SHOWN
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [f"{value:.2f}" for value in found.correlation]

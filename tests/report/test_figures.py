"""Figures show what is there: view directions where they are, thresholds, numbers in squares."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from cryorbit.io.job_result import ClassRecord, CrossSeed
from cryorbit.report.curve_figures import draw_course, draw_fsc
from cryorbit.report.look import save_figure
from cryorbit.report.noise_figures import draw_noise, draw_scales
from cryorbit.report.particle_figures import density_picture, draw_view_directions
from cryorbit.report.pass_figures import draw_class_flow, draw_pass_curves, has_class_flow, has_pass_curves
from cryorbit.report.results import ClassResult
from cryorbit.report.seed_figures import draw_cross_seed


def particles(rot: np.ndarray, tilt: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"rlnAngleRot": rot, "rlnAngleTilt": tilt})


@pytest.mark.parametrize(("rot", "tilt"), [(0, 90), (90, 90), (-120, 60), (45, 150), (200, 100), (30, -70), (10, 200)])
def test_a_direction_is_where_mollweide_puts_it(rot: float, tilt: float) -> None:
    picture = density_picture(particles(np.full(20_000, rot), np.full(20_000, tilt)))
    rows, columns = np.nonzero(np.nan_to_num(picture) > 1)
    shape = np.array(picture.shape)
    y, x = (np.array([rows.mean(), columns.mean()]) / (shape - 1) - 0.5) * np.array([2, 4])
    auxiliary = np.arcsin(y)
    latitude = np.arcsin((2 * auxiliary + np.sin(2 * auxiliary)) / np.pi)
    longitude = np.pi * x / (2 * np.cos(auxiliary))
    shown = [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)]
    view = Rotation.from_euler("ZYZ", [rot, tilt, 0], degrees=True).apply([0, 0, 1])
    cell_radius = np.sqrt(4 * np.pi / (12 * 8**2))
    assert np.arccos(np.dot(shown, view)) < cell_radius


def test_an_even_spread_is_one_everywhere(rng: np.random.Generator) -> None:
    count = 200_000
    tilt = np.degrees(np.arccos(rng.uniform(-1, 1, count)))
    picture = density_picture(particles(rng.uniform(0, 360, count), tilt))
    assert np.nanmean(picture) == pytest.approx(1.0, abs=0.02)
    assert np.nanstd(picture) < 0.2
    assert np.isnan(picture).mean() == pytest.approx(1 - np.pi / 4, abs=0.01)


def test_classes_have_panels_of_their_own(rng: np.random.Generator) -> None:
    table = particles(rng.uniform(0, 360, 90), rng.uniform(0, 180, 90)).assign(rlnClassNumber=[1, 2, 3] * 30)
    titles = [axes.get_title() for axes in draw_view_directions(table).axes]
    assert [title for title in titles if title] == [f"class {number}: 30 particles" for number in (1, 2, 3)]


def test_agreement_is_written_into_the_squares(tmp_path: Path) -> None:
    nan = float("nan")
    cross = CrossSeed((4, 7), ((8.0, 14.1), (14.1, 8.0)), ((1.0, nan), (nan, 1.0)))
    figure = draw_cross_seed(cross)
    assert [text.get_text() for text in figure.axes[0].texts] == ["14.1", "14.1"]
    assert len(figure.axes[1].texts) == 0
    assert save_figure(partial(draw_cross_seed, cross), tmp_path / "f.png", vector=True).startswith("data:image/svg")


def test_an_optimisation_shows_its_held_out_images_against_gradients() -> None:
    rows = [{"evaluations": 100 * i, "epochs": i / 2, "held_out": -float(i), "log_likelihood": i} for i in (1, 2, 3)]
    (axes,) = draw_course(pd.DataFrame(rows)).axes
    (line,) = axes.lines
    assert line.get_xdata().tolist() == [100, 200, 300]
    assert line.get_ydata().tolist() == [1, 2, 3]
    above = axes.child_axes[0]
    assert "passes" in above.get_xlabel()


def test_course_has_a_line_a_seed_and_finer_resolution_upwards() -> None:
    rows = [{"seed": seed, "resolution_A": 40.0 - i, "ess": 3.0} for seed in (0, 1, 2) for i in range(5)]
    figure = draw_course(pd.DataFrame(rows))
    assert [len(axes.lines) for axes in figure.axes] == [3, 3]
    bottom, top = figure.axes[0].get_ylim()
    assert bottom > top


def test_the_resolution_at_which_starts_are_judged_is_no_step_of_the_course() -> None:
    rows = [{"stage": "grow", "resolution_A": 20.0 - i, "ess": 3.0} for i in range(5)]
    figure = draw_course(pd.DataFrame([*rows, {"stage": "judge", "resolution_A": 19.5, "ess": None}]))
    assert figure.axes[0].lines[0].get_ydata().tolist() == [20.0, 19.0, 18.0, 17.0, 16.0]


def test_of_several_maps_no_curve_is_drawn_that_the_mask_alone_may_make() -> None:
    frequency = np.linspace(0, 0.1, 5)
    table = pd.DataFrame({"f": frequency, **dict.fromkeys(("unmasked", "corrected", "masked"), 1 - frequency)})
    classes = [ClassResult(number, ClassRecord(name=f"class {number}", map=""), None, None, table) for number in (1, 2)]
    labels = [line.get_label() for line in draw_fsc(classes).axes[0].lines if not line.get_label().startswith("_")]
    assert labels == [f"class {number}, {name}" for number in (1, 2) for name in ("unmasked", "corrected")]
    assert len(draw_fsc(classes[:1]).axes[0].lines) == 3 + 2


def test_the_crossing_of_the_curve_that_counts_is_marked() -> None:
    table = pd.DataFrame(
        {"frequency": np.arange(5) / 40, "unmasked": [1, 1, 0.1, 0.1, 0], "corrected": [1, 1, 0.9, 0.1, 0]}
    )
    entry = ClassRecord(name="map", map="map.mrc")
    (axes,) = draw_fsc([ClassResult(1, entry, None, None, table)]).axes
    (mark,) = [line for line in axes.lines if line.get_marker() == "o"]
    expected = (2 + (0.9 - 0.143) / 0.8) / 40
    assert mark.get_xdata()[0] == pytest.approx(expected)
    assert f"{1 / expected:.1f} Å" in [text.get_text() for text in axes.texts]


def test_lines_of_the_sphere_run_through_their_directions() -> None:
    table = particles(np.full(2000, 60.0), np.full(2000, 60.0))
    axes = draw_view_directions(table).axes[0]
    rows, columns = np.nonzero(np.nan_to_num(density_picture(table)) > 1)
    spot = np.array([columns.mean() / 600 * 4 - 2, rows.mean() / 300 * 2 - 1])
    distance = [min(np.hypot(*(np.array(line.get_data()).T - spot).T)) for line in axes.lines]
    assert sorted(distance)[1] < 0.15


def test_noise_and_contrast_are_drawn_from_their_tables(tmp_path: Path) -> None:
    noise, scales = tmp_path / "noise.csv", tmp_path / "scales.csv"
    pd.DataFrame({"frequency_per_A": np.arange(4) / 40, "half1": [9, 3, 2, 1], "half2": [9, 3, 2, 2]}).to_csv(noise)
    pd.DataFrame({"group": [0, 1], "particles": [30, 10], "scale": [1.0, 0.8]}).to_csv(scales)
    first, second = draw_noise(noise).axes[0].lines
    assert (list(first.get_ydata()), list(second.get_ydata())) == ([3, 2, 1], [3, 2, 2])
    heights = [bar.get_height() for bar in draw_scales(scales).axes[0].patches]
    assert sorted(heights)[-2:] == [10, 30]


def passes_of_two_classes() -> pd.DataFrame:
    """Three passes: the curves move to the right, and ever fewer particles change class."""
    shells = np.arange(17)
    curves = [1 / (1 + np.exp(shells - cut)) for cut in (6, 9, 12)]
    lines = [{"stage": "pass", "fsc": {"extent_A": 128.0, "classes": [curve.tolist()] * 2}} for curve in curves]
    lines[1] |= {"class_flow": [[40, 20], [10, 30]]}
    lines[2] |= {"class_flow": [[49, 1], [0, 50]]}
    return pd.DataFrame([{"stage": "search"}, *lines])


def test_every_pass_has_its_curve_at_its_frequencies() -> None:
    metrics = passes_of_two_classes()
    assert has_pass_curves(metrics)
    assert not has_pass_curves(metrics[:2])
    panels = draw_pass_curves(metrics).axes
    assert [axes.get_title(loc="left") or axes.get_title() for axes in panels] == ["class 1", "class 2"]
    drawn = [line for line in panels[1].lines if len(line.get_xdata()) == 17]
    assert len(drawn) == 3
    crossing = [np.interp(-0.5, -line.get_ydata(), line.get_xdata()) for line in drawn]
    np.testing.assert_allclose(crossing, np.array([6, 9, 12]) / 128, rtol=1e-6)


def test_particles_that_change_class_flow_between_the_bars() -> None:
    metrics = passes_of_two_classes()
    assert has_class_flow(metrics)
    assert not has_class_flow(metrics[:2])
    axes = draw_class_flow(metrics).axes[0]
    heights = [bar.get_height() for bar in axes.patches]
    # classes of 60 and 40 particles become 50 and 50, and stay so
    assert heights[:4] == [60, 40, 50, 50]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3"]
    left = [band.get_paths()[0].get_extents() for band in axes.collections]
    assert len(left) == 8
    # those that stay in the first class lie lowest, and those that left it above them
    assert left[0].y0 == 0
    assert left[1].y0 == pytest.approx(40)

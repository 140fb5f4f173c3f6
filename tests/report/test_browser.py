"""The page in a real browser: surfaces are drawn and follow slider, mouse and keys; nothing leaves the page."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from chromium import PROGRAM, Browser, browser
from fabricated_job import PIXEL_SIZE, blob_map, fabricate_job

from cryorbit.io.mrc import write_map
from cryorbit.report.live import Standing
from cryorbit.report.page import render_report, write_report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium"),
]
FIRST = "figure.surface canvas"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    job = fabricate_job(tmp_path_factory.mktemp("browser") / "job", classes=2)
    return write_report(job.path)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def shown(tab: Browser, page: Path) -> Browser:
    """The page just opened, its surfaces drawn as they are at first."""
    tab.complaints.clear()
    tab.requests.clear()
    tab.open(page)
    tab.wait_for("document.querySelectorAll('.surface:not([hidden])').length == 2")
    tab.evaluate("document.querySelectorAll('.surface button').forEach((reset) => reset.click())")
    tab.wait_for_stillness()
    return tab


def set_contour(tab: Browser, value: float) -> np.ndarray:
    """Move the first slider; returns the picture."""
    slider = "document.querySelector('.surface input')"
    tab.evaluate(f"{slider}.value = {value}; {slider}.dispatchEvent(new Event('input'))")
    tab.wait_for_stillness()
    return tab.picture(FIRST)


def middle_of_picture(tab: Browser) -> tuple[float, float]:
    tab.evaluate(f"document.querySelector('{FIRST}').scrollIntoView({{block: 'center'}})")
    box = tab.evaluate(
        f"(({{x, y, width}}) => [x, y, width])(document.querySelector('{FIRST}').getBoundingClientRect())"
    )
    return box[0] + box[2] / 2, box[1] + box[2] / 2


def opaque(picture: np.ndarray) -> float:
    """Share of the picture that the surface covers."""
    return float((picture[..., 3] > 0.5).mean())


def test_the_surface_is_drawn_and_shrinks_as_the_contour_rises(shown: Browser) -> None:
    covers = [opaque(set_contour(shown, contour)) for contour in (0.1, 0.5, 0.9)]
    assert 0.1 < covers[0] < 0.9
    assert all(higher < 0.9 * lower for lower, higher in pairwise(covers))


def test_the_outline_is_that_of_the_map(tab: Browser, tmp_path: Path) -> None:
    """A ball on the axis +x and a smaller one on +y, seen from +z."""
    grid = np.stack(np.meshgrid(*3 * [np.arange(64) - 32], indexing="ij"))
    balls = [
        np.linalg.norm(grid - np.reshape(c, (3, 1, 1, 1)), axis=0) < r for c, r in (((0, 0, 16), 8), ((0, 16, 0), 5))
    ]
    job = fabricate_job(tmp_path / "job", classes=1)
    write_map(job.path / "class_1.mrc", torch.tensor(np.any(balls, axis=0), dtype=torch.float32), PIXEL_SIZE)
    tab.open(write_report(job.path))
    tab.wait_for("!!document.querySelector('.surface:not([hidden])')")
    tab.wait_for_stillness()
    alpha = tab.picture(FIRST)[::-1, :, 3] > 0.5
    rows, columns = np.nonzero(alpha)
    side = alpha.shape[0]
    right = columns > 0.67 * side
    upper = rows > 0.67 * side
    assert right.sum() > 1.5 * upper.sum() > 0
    assert abs(rows[right].mean() / side - 0.5) < 0.02
    assert abs(columns[upper].mean() / side - 0.5) < 0.02


def test_classes_are_drawn_together_at_their_own_contours_and_from_one_side(shown: Browser) -> None:
    """Seen with the other class, the picture covers what both cover, the nearer before the farther."""
    both = "[...document.querySelectorAll('.surface canvas')]"
    alone = [shown.picture(f"figure.surface:nth-of-type({number}) canvas") for number in (1, 3)]
    shown.evaluate("document.querySelector('.surface input[type=checkbox]').click()")
    shown.wait_for_stillness()
    together = shown.picture(FIRST)
    covered = (alone[0][..., 3] > 0.5) | (alone[1][..., 3] > 0.5)
    assert shown.evaluate(f"{both}.length") == 2
    assert opaque(alone[0]) < 0.98 * covered.mean()
    assert opaque(together) == pytest.approx(covered.mean(), rel=0.1)
    blue = together[..., 2] - together[..., 0]
    solid = together[..., 3] > 0.5
    assert (blue[solid] > 0.05).any()
    assert (blue[solid] < -0.05).any()
    shown.evaluate("document.querySelector('.surface input[type=checkbox]').click()")
    shown.wait_for_stillness()
    assert np.array_equal(shown.picture(FIRST), alone[0])


def test_slices_are_those_of_the_map(tab: Browser, tmp_path: Path) -> None:
    """A ball on the axis +x, 16 voxels of 4 Å from the middle: seen in the right half, and only in slices near it."""
    grid = np.stack(np.meshgrid(*3 * [np.arange(64) - 32], indexing="ij"))
    ball = np.exp(-((grid - np.reshape((0, 0, 16), (3, 1, 1, 1))) ** 2).sum(0) / 50)
    job = fabricate_job(tmp_path / "job", classes=1)
    write_map(job.path / "class_1.mrc", torch.tensor(ball, dtype=torch.float32), PIXEL_SIZE)
    tab.open(write_report(job.path))
    tab.wait_for("!!document.querySelector('.slices:not([hidden])')")
    slider, axis = (f"document.querySelector('.slices {name}')" for name in ("input", "select"))

    def grey(across: str, part: float) -> np.ndarray:
        value = f"{slider}.value = Math.round({part} * {slider}.max)"
        tab.evaluate(f"{axis}.value = '{across}'; {value}; {slider}.dispatchEvent(new Event('input'))")
        return tab.picture("figure.slices canvas")[..., 0]

    middle = grey("z", 0.5)
    assert middle[:, middle.shape[1] // 2 + 2 :].max() > 0.9 > 0.5 > middle[:, : middle.shape[1] // 2 - 2].max()
    assert grey("z", 0.0).max() < 0.5
    assert grey("x", 0.0).max() < 0.5
    beside = grey(
        "x",
        0.5
        + 16
        * 4
        / tab.evaluate(
            "(({side, voxel_A}) => side * voxel_A)(JSON.parse(document.querySelector('.surface').dataset.map))"
        ),
    )
    assert beside.max() > 0.9
    assert float(tab.evaluate("document.querySelector('.slices output').value").split()[0]) == pytest.approx(64, abs=4)


def test_mouse_and_keys_turn_and_zoom_and_a_double_click_resets(shown: Browser) -> None:
    first = shown.picture(FIRST)
    x, y = middle_of_picture(shown)
    shown.mouse("mousePressed", x, y, clickCount=1)
    shown.mouse("mouseMoved", x + 60, y + 20)
    shown.mouse("mouseReleased", x + 60, y + 20, clickCount=1)
    shown.wait_for_stillness()
    turned = shown.picture(FIRST)
    assert np.abs(turned - first).mean() > 0.02
    shown.mouse("mouseWheel", x, y, deltaX=0, deltaY=-300)
    shown.wait_for_stillness()
    zoomed = shown.picture(FIRST)
    assert opaque(zoomed) > 1.3 * opaque(turned)
    shown.press("ArrowLeft")
    shown.wait_for_stillness()
    assert np.abs(shown.picture(FIRST) - zoomed).mean() > 0.01
    for count in (1, 2):
        shown.mouse("mousePressed", x, y, clickCount=count)
        shown.mouse("mouseReleased", x, y, clickCount=count)
    shown.wait_for_stillness()
    assert np.array_equal(shown.picture(FIRST), first)


def test_the_wheel_belongs_to_the_page_until_the_picture_is_clicked(shown: Browser) -> None:
    x, y = middle_of_picture(shown)
    before = shown.picture(FIRST), shown.evaluate("scrollY")
    shown.mouse("mouseWheel", x, y, deltaX=0, deltaY=200)
    shown.wait_for(f"scrollY > {before[1] + 50}")
    assert np.array_equal(shown.picture(FIRST), before[0])


def test_nothing_is_drawn_while_nothing_changes(shown: Browser) -> None:
    shown.evaluate(
        "window.frames_asked = 0; window.asking = requestAnimationFrame;"
        "window.requestAnimationFrame = (draw) => { frames_asked += 1; return asking(draw); }"
    )
    shown.evaluate("new Promise((done) => setTimeout(done, 500))")
    assert shown.evaluate("frames_asked") == 0
    set_contour(shown, 0.5)
    assert shown.evaluate("frames_asked") > 0


def test_what_was_turned_stays_so_when_the_page_is_loaded_again(shown: Browser, page: Path) -> None:
    contoured = set_contour(shown, 0.6)
    shown.open(page)
    shown.wait_for("document.querySelectorAll('.surface:not([hidden])').length == 2")
    shown.wait_for_stillness()
    assert np.array_equal(shown.picture(FIRST), contoured)


def test_the_contour_is_told_in_map_values_and_in_sigma(shown: Browser) -> None:
    set_contour(shown, 1.0)
    volume = blob_map(1).numpy()
    value, sigma = shown.evaluate("document.querySelector('.surface output').value.match(/[-\\d.]+/g).map(Number)")
    assert value <= volume.max()
    assert sigma == pytest.approx((value - volume.mean()) / volume.std(), abs=0.1)


def test_no_complaint_and_no_request_but_for_the_page_itself(shown: Browser, page: Path) -> None:
    set_contour(shown, 0.5)
    assert shown.complaints == []
    assert {request for request in shown.requests if not request.startswith("data:")} == {page.resolve().as_uri()}


def test_the_page_fits_a_phone(tab: Browser, page: Path) -> None:
    tab.open(page, width=390, height=844, scale=2.0)
    tab.wait_for_stillness()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_webgl_the_still_pictures_stand_alone(tab: Browser, page: Path) -> None:
    denied = "HTMLCanvasElement.prototype.getContext = () => null"
    script = tab.call("Page.addScriptToEvaluateOnNewDocument", source=denied)["identifier"]
    tab.open(page)
    tab.wait_for_stillness()
    assert tab.evaluate("document.querySelectorAll('.surface:not([hidden])').length") == 0
    assert tab.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    tab.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


def test_slices_need_no_webgl(tab: Browser, page: Path) -> None:
    denied = (
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) "
        "{ return kind === '2d' ? get.call(this, kind, ...rest) : null; }"
    )
    script = tab.call("Page.addScriptToEvaluateOnNewDocument", source=denied)["identifier"]
    tab.open(page)
    tab.wait_for("document.querySelectorAll('.slices:not([hidden])').length == 2")
    assert tab.evaluate("document.querySelectorAll('.surface:not([hidden])').length") == 0
    tab.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


def test_the_page_of_a_running_job_loads_itself_again_and_keeps_its_place(tab: Browser, tmp_path: Path) -> None:
    job = fabricate_job(tmp_path / "job", classes=1)
    standing = Standing("resolution growth", 3, 10, 60.0).render("cryorbit resume job")
    page = tmp_path / "running.html"
    page.write_text(render_report(job.path, standing))
    # the page believes that it has stood for a while, until it is told otherwise
    older = "const now = performance.now.bind(performance); performance.now = () => now() + (window.age ?? 0)"
    script = tab.call("Page.addScriptToEvaluateOnNewDocument", source=older)["identifier"]
    tab.open(page)
    tab.evaluate("scrollTo(0, 700)")
    tab.evaluate("window.first = true; window.age = 60_000")
    tab.wait_for("window.first === undefined && document.readyState === 'complete'")
    tab.wait_for("scrollY === 700")
    assert tab.evaluate("document.querySelector('.silence').hidden")
    tab.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


def test_a_page_without_news_says_so(tab: Browser, tmp_path: Path) -> None:
    job = fabricate_job(tmp_path / "job", classes=1)
    standing = Standing("resolution growth", 3, 10, 60.0).render("cryorbit resume job")
    page = tmp_path / "silent.html"
    page.write_text(
        render_report(job.path, re.sub('data-written="[^"]*"', 'data-written="2020-01-01T00:00Z"', standing))
    )
    tab.open(page)
    assert not tab.evaluate("document.querySelector('.silence').hidden")

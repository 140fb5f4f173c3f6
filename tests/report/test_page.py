"""The report: everything a job holds is on one page that needs nothing else."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from fabricated_job import PIXEL_SIZE, blob_map, fabricate_job

from cryorbit.core.errors import InputError
from cryorbit.io.job_folder import JobFolder
from cryorbit.io.mrc import write_map
from cryorbit.report.page import write_report


class _Page(HTMLParser):
    """Collects the addresses a page refers to, its headings and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.open_tags: list[str] = []
        self.headings: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "img", "br", "input"}:
            self.open_tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "srcset"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open_tags and self.open_tags[-1] == "h2":
            self.headings.append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    job = fabricate_job(tmp_path_factory.mktemp("report") / "job", classes=2)
    write_report(job.path)
    return job.path


def test_page_shows_all_that_the_job_holds(folder: Path) -> None:
    page = _Page((folder / "report.html").read_text())
    assert page.open_tags == []
    assert page.headings == [
        "Next steps",
        "Maps",
        "Resolution",
        "Do independent runs agree?",
        "View directions",
        "How sure the poses are",
        "Course of the run",
        "Particles set aside",
        "Where the time went",
        "How it was made",
    ]
    assert len(page.addresses) == 7


def test_page_needs_no_other_file(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    assert all(address.startswith("data:image/") for address in _Page(text).addresses)
    assert not re.search(r"url\(|@import|<link|https?:|fetch\(|XMLHttpRequest|import ", text)
    assert "Content-Security-Policy\" content=\"default-src 'none';" in text
    assert len(text) < 3_000_000


def test_numbers_and_words_of_the_record_are_on_the_page(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    assert "Independent runs agree to 14.1 Å" in text
    assert 'class="verdict good"' in text
    assert "13.2 Å" in text
    assert "50.0 %" in text
    assert "schedule.start" in text
    assert "constant image" in text
    assert "sha256" in text


def test_text_from_files_is_escaped(folder: Path) -> None:
    text = (folder / "report.html").read_text()
    assert "NaN &lt;b&gt;" in text
    assert "NaN <b>" not in text


def test_figures_lie_beside_the_page(folder: Path) -> None:
    names = {file.stem for file in (folder / "figures").glob("*.png")}
    assert {"map_1", "map_2", "surface_1", "fsc", "course", "view_directions", "certainty", "cross_seed"} <= names


def test_chimerax_script_opens_the_view_directions_of_a_single_map(tmp_path: Path) -> None:
    job = fabricate_job(tmp_path / "job", classes=1)
    (job.path / "angdist.bild").write_text(".color 1 0 0\n")
    write_report(job.path)
    lines = (job.path / "view.cxc").read_text().splitlines()
    assert lines.index('open "angdist.bild"') == lines.index("hide #2 models") - 1


def test_chimerax_script_opens_every_map_above_the_solvent(folder: Path) -> None:
    script = (folder / "view.cxc").read_text()
    assert re.findall(r'open "(.+)"', script) == ["class_1.mrc", "class_2.mrc"]
    levels = [float(level) for level in re.findall(r"level (\S+)", script)]
    assert all(level > 0.1 for level in levels)


def test_same_folder_gives_the_same_page(folder: Path) -> None:
    before = (folder / "report.html").read_text()
    write_report(folder)
    assert (folder / "report.html").read_text() == before


def test_what_is_missing_is_left_out(tmp_path: Path) -> None:
    job = fabricate_job(tmp_path / "job", classes=1)
    for name in ("class_1.mrc", "fsc_class_1.csv", "metrics.jsonl", "particles.star", "set_aside.star"):
        (job.path / name).unlink()
    page = _Page(write_report(job.path).read_text())
    assert page.headings == ["Maps", "Do independent runs agree?", "How it was made"]


def test_a_map_from_moments_shows_how_far_repeated_fits_differ_and_the_other_map(tmp_path: Path) -> None:
    job = fabricate_job(tmp_path / "job", classes=1)
    compared = {"map": "truth_1.mrc", "resolution_fsc05_A": 27.04, "correlation": 0.7812, "hand_flipped": True}
    counts = {"coefficients": 220, "all_moments": 156, "first_and_second": 52}
    numbers = {"resolution_A": 32.4, "finest_A": 31.6, "misfit": 1.084, "eta_px": 1.9, "density_spread": 0.5}
    starts = {"agreeing_starts": 7, "starts": 8}
    job.record(verb="moments", result={"compared": compared, "determinacy": counts, **numbers, **starts})
    (job.path / "spread.csv").write_text("frequency_per_A,random_starts,halves\n0.01,0.1,0.05\n0.03,0.9,0.6\n")
    text = write_report(job.path).read_text()
    assert {"How sure the map is", "Against truth_1.mrc"} <= set(_Page(text).headings)
    for shown in ("27.0 Å", "0.781", "mirrored", "7 of 8", "156 of 220", ">52<", "1.08", "1.9 px"):
        assert shown in text
    assert (job.path / "figures" / "spread.png").is_file()


def test_a_demonstration_shows_the_truth_beside_its_map(tmp_path: Path) -> None:
    job = fabricate_job(tmp_path / "job", classes=1)
    numbers = {"resolution_fsc05_A": 11.94, "correlation": 0.9741, "angle_median_deg": 1.24, "shift_median_A": 0.64}
    names = {"map": "simulated/truth_1.mrc", "superposed": "class_1_on_truth.mrc"}
    for name in names.values():
        write_map(job.path / name, blob_map(1), PIXEL_SIZE)
    job.record(result={"truth": {**names, **numbers, "hand_flipped": True}})
    text = write_report(job.path).read_text()
    assert "Against the truth" in _Page(text).headings
    for shown in ("11.9 Å", "0.974", "1.2°", "0.6 Å", "aligned to it, mirrored."):
        assert shown in text
    assert (job.path / "figures" / "truth.png").is_file()
    (job.path / names["map"]).unlink()
    assert "Against the truth" not in _Page(write_report(job.path).read_text()).headings


def test_a_job_that_has_just_begun_has_a_report(tmp_path: Path) -> None:
    JobFolder.create(tmp_path, verb="abinit", config={"seed": 1})
    text = write_report(tmp_path).read_text()
    assert "This job is created" in text
    assert not (tmp_path / "view.cxc").exists()


def test_a_failed_job_tells_why(tmp_path: Path) -> None:
    job = JobFolder.create(tmp_path, verb="abinit", config={})
    job.record(status="failed", error="InputError: <row> 7")
    text = write_report(tmp_path).read_text()
    assert 'class="verdict bad"' in text
    assert "InputError: &lt;row&gt; 7" in text


def test_a_folder_without_a_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no job"):
        write_report(tmp_path)


def test_metrics_with_gaps_are_drawn(tmp_path: Path) -> None:
    job = JobFolder.create(tmp_path, verb="abinit", config={})
    for iteration in range(3):
        job.write_metrics({"iteration": iteration, "log_likelihood": np.nan if iteration == 1 else -1.0})
    assert "Course of the run" in _Page(write_report(tmp_path).read_text()).headings


def test_two_starts_are_compared_in_numbers(tmp_path: Path) -> None:
    job = fabricate_job(tmp_path / "job", classes=1)
    pair = {"seeds": [0, 1], "resolution_A": [[8.0, 14.1], [14.1, 8.0]], "correlation": [[1.0, 0.97], [0.97, 1.0]]}
    job.record(result={**job.read()["result"], "cross_seed": pair})
    text = write_report(job.path).read_text()
    assert "both starts agree to</dt><dd>14.1 Å" in text
    assert not (job.path / "figures" / "cross_seed.png").exists()


def test_a_stopped_job_says_how_it_is_continued(tmp_path: Path) -> None:
    job = fabricate_job(tmp_path / "job", classes=1)
    job.record(status="stopped", result={})
    assert f"cryorbit resume {job.path}" in write_report(job.path).read_text()


def test_the_view_map_of_a_symmetric_particle_is_not_read_as_gaps(tmp_path: Path) -> None:
    job = fabricate_job(tmp_path / "job", classes=1)
    assert "views that no particle shows" in write_report(job.path).read_text()
    job.record(result={**job.read()["result"], "symmetry": "D2"})
    text = write_report(job.path).read_text()
    assert "one asymmetric unit" in text
    assert "views that no particle shows" not in text

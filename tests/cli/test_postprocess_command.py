"""``cryorbit postprocess``: the command from a folder of half-maps to the report."""

import re
from pathlib import Path

import pytest
import torch

from cryorbit.cli.main import main
from cryorbit.evaluation.radial_filter import apply_gain
from cryorbit.imaging.masks import soft_ball
from cryorbit.io.mrc import read_map, write_map

BOX, PIXEL_SIZE = 48, 2.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half-maps of a noisy ball of detail, under RELION's names."""
    generator = torch.Generator().manual_seed(20)
    path = tmp_path_factory.mktemp("relion")
    detail = 1 + torch.randn(BOX, BOX, BOX, generator=generator)
    fall = torch.exp(-0.25 * 200 * (torch.arange(BOX // 2 + 1) / (BOX * PIXEL_SIZE)) ** 2)
    signal = apply_gain(detail * soft_ball(BOX, 13, 2), fall)
    for half in (1, 2):
        noisy = signal + 0.1 * torch.randn(BOX, BOX, BOX, generator=generator)
        write_map(path / f"run_half{half}_class001_unfil.mrc", noisy, PIXEL_SIZE)
    return path


def test_folder_to_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["postprocess", str(folder)])
    said = capsys.readouterr().out
    assert re.search(r"Resolution \d\.\d\d Å", said)
    assert "B-factor -" in said
    output = folder / "postprocess"
    page = (output / "report.html").read_text()
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == [
        *(
            "Next steps",
            "Maps",
            "Resolution",
            "Local resolution",
            "Resolution by direction",
            "Sharpening",
            "How it was made",
        )
    ]
    assert "does not determine the hand" not in page
    assert "sampling factor of views</dt><dd>–" in page
    assert {"fsc.png", "guinier.png", "conical_fsc.png", "local_resolution.png"} <= {
        file.name for file in (output / "figures").iterdir()
    }
    assert "postprocess_masked.mrc" in (output / "view.cxc").read_text()


def test_two_files_a_given_b_factor_and_an_output(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    halves = [folder / f"run_half{half}_class001_unfil.mrc" for half in (1, 2)]
    main(
        [
            *("postprocess", "--half1", str(halves[0]), "--half2", str(halves[1]), "--b-factor", "-45"),
            *("-o", str(tmp_path / "out"), "--local-filter"),
        ]
    )
    assert "B-factor -45 Å², as given" in capsys.readouterr().out
    assert (tmp_path / "out" / "local_filtered.mrc").is_file()


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_symmetry_that_the_half_maps_have_not_is_told(
    symmetric: bool, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for half in (1, 2):
        volume = read_map(folder / f"run_half{half}_class001_unfil.mrc")[0]
        if symmetric:
            # of the even box the middle voxel stays where it is
            inner = volume[1:, 1:, 1:]
            turned = torch.stack([torch.rot90(inner, quarter, (1, 2)) for quarter in range(4)]).mean(0)
            volume = torch.zeros_like(volume)
            volume[1:, 1:, 1:] = turned
        write_map(tmp_path / f"half{half}.mrc", volume, PIXEL_SIZE)
    halves = [str(tmp_path / f"half{half}.mrc") for half in (1, 2)]
    words = ("--symmetry", "C4", "-o", str(tmp_path / "out"))
    main(["postprocess", "--half1", halves[0], "--half2", halves[1], *words])
    said = capsys.readouterr().out
    assert ("does not have C4 symmetry about its axes" in " ".join(said.split())) is not symmetric


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [([], "nothing to process"), (["--half1", "a.mrc"], "one half-map is missing"), (["."], "no pair of half-maps")],
)
def test_mistakes_are_told_before_a_job_is_made(
    arguments: list[str],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["postprocess", *arguments])
    assert problem in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

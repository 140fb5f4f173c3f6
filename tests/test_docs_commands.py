"""What the documentation tells people to type works: commands are run or parsed, Python is run or compiled."""

import ast
import re
import shlex
import shutil
import tomllib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import torch
from cyclopts import CycloptsError

import cryorbit as co
from cryorbit.api.recipe_table import find_recipe
from cryorbit.cli.main import main, make_app, with_command
from cryorbit.io.job_folder import JobFolder
from cryorbit.recipes.config import load_config
from cryorbit.studies.registry import REPRODUCTIONS, VERB
from documents import PAGES, ROOT, Step, blocks, inline_commands, page_name, python_blocks, steps
from phantom_sets import sharp_phantom

PIXEL_SIZE = 5.0
REQUIRED = {"particles": "particles.star", "output": "job", "maps": ("map.mrc",)}
SMALL = {file.stem: file for file in (Path(__file__).parent / "small_settings").iterdir()}
"""Settings with which every stage is passed through, by verb; given to each command that names none of its own."""

FEWER = {"-n 5000": "-n 120", "--seeds 3": "--seeds 2"}
"""What is written in the pages, and what is done in its place so that the test ends soon."""

FEWER_IN_PYTHON = {
    'search={"iterations": 80}': "**small",
    '**{"search.iterations": 80, "grow.cells": 8}': 'max_resolution=20.0, **{"search.iterations": 3}',
    '"job2", classes=3': '"job2"',
    "seeds=3": "seeds=1, **small",
    "diameter=280": "**small_refine",
    "count=5000": "count=120",
    'co.abinit(particles, "job4")': 'co.abinit(particles, "job4", **small)',
    "sample(10_000": "sample(50",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with particles, maps and a mask by the names that the pages use; the current one."""
    monkeypatch.chdir(tmp_path)
    truth = co.Volume(sharp_phantom(torch.Generator().manual_seed(3)), PIXEL_SIZE)
    for name in ("map.mrc", "reference.mrc"):
        truth.save(name)
    for seed, name in enumerate(("half1.mrc", "half2.mrc")):
        noise = torch.randn(truth.values.shape, generator=torch.Generator().manual_seed(seed))
        co.Volume(truth.values + 0.1 * noise, PIXEL_SIZE).save(name)
    with mrcfile.new("mask.mrc") as file:
        file.set_data(np.pad(np.ones((20, 20, 20), np.float32), 6))
        file.voxel_size = PIXEL_SIZE
    made = tmp_path / "made"
    co.simulate_particles(truth, made, count=120, snr=0.5, **{"microscope.particles_per_micrograph": 15})
    (made / "job.json").unlink()
    for file in made.iterdir():
        file.rename(tmp_path / file.name)
    made.rmdir()
    return tmp_path


def replaced(text: str, table: dict[str, str]) -> str:
    for old, new in table.items():
        text = text.replace(old, new)
    return text


def own_words(command: str) -> Sequence[str]:
    """Words of a command from its verb on, but those that all verbs share."""
    words = re.sub(r" --processes \d+", "", command)
    return with_command([word for word in shlex.split(words)[1:] if word not in ("-q", "-v", "--log-json")])


def carry_out(command: str) -> int:
    """Exit code of a command, given small settings if it has none; a job to be resumed is first made a stopped one."""
    words = shlex.split(replaced(command, FEWER))
    if words[1] in SMALL and "--config" not in words:
        words += ["--config", str(SMALL[words[1]])]
    if words[1] == "resume":
        JobFolder.open(Path(words[2])).record(status="stopped")
    try:
        main(words[1:])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md", "docs/own_data.md"])
def test_the_commands_of_a_tutorial_run_in_order(name: str, project: Path) -> None:
    done = 0
    for step in steps(ROOT / name):
        if step.file is not None:
            # what the page says is checked elsewhere, and fewer iterations are made
            shutil.copy(SMALL[Path(step.file).stem], project / step.file)
            continue
        assert carry_out(step.text) == 0, step.text
        done += 1
    assert done >= 2


@pytest.mark.slow
def test_the_python_of_its_page_runs_in_order(project: Path) -> None:
    shutil.copy(SMALL["abinit"], project / "abinit.toml")
    names: dict[str, Any] = {
        "small": tomllib.loads(SMALL["abinit"].read_text()),
        "small_refine": tomllib.loads(SMALL["refine"].read_text()),
    }
    for block in python_blocks(ROOT / "docs" / "python.md"):
        exec(compile(replaced(block, FEWER_IN_PYTHON), "python.md", "exec"), names)
    assert names["sharp"].status == "finished"
    assert (project / "sharpened.mrc").is_file()


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_command_of_a_page_is_one(page: Path) -> None:
    app = make_app()
    for step in steps(page):
        words = own_words(step.text)
        if step.file is not None or words[0] in ("VERB", "--install-completion"):
            continue
        try:
            app.parse_args(words, exit_on_error=False, print_error=False)
        except CycloptsError as error:
            pytest.fail(f"{step.text}: {error}")


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_settings_file_of_a_page_is_one_of_its_verb(page: Path) -> None:
    for step in steps(page):
        if step.file is None:
            continue
        name = Path(step.file).stem
        config = find_recipe(f"{VERB} {name}" if name in REPRODUCTIONS else name).config
        required = {name: value for name, value in REQUIRED.items() if name in config.model_fields}
        load_config(config, None, {**required, **tomllib.loads(step.text)})


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_option_in_the_text_of_a_page_exists(page: Path) -> None:
    app = make_app()
    common = {"--help", "--quiet", "--verbose", "--log-json", "--install-completion", "--version"}
    for command in inline_commands(page):
        words = command.split()[1:]
        options = {word.rstrip(",.") for word in re.findall(r"(?<!\S)--[a-z][\w-]*", command)} - common
        if not options:
            continue
        verb = app["mra"][words[1]] if words[0] == "mra" else app[words[0]]
        known = {name for argument in verb.assemble_argument_collection() for name in argument.names}
        assert options <= known, command


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_python_in_a_page_compiles_and_its_imports_exist(page: Path) -> None:
    for block in python_blocks(page):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    import_module(alias.name)


def test_the_batch_script_of_its_page_is_the_one_that_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "processes.md"
    command = next(step.text for step in steps(page) if "submit" in step.text and "--nodes" in step.text)
    assert carry_out(command) == 0
    assert (tmp_path / "refine.slurm.sh").read_text() in [block.text for block in blocks(page)]


@pytest.mark.parametrize(
    ("page", "phrase"),
    [
        ("tutorial.md", "the map can be trusted at low resolution."),
        ("tutorial.md", "Against the truth: resolution "),
        ("abinit.md", " or better counts as reproducible"),
        ("postprocess.md", "cryorbit: data to "),
        ("faq.md", "  fix: "),
    ],
)
def test_what_a_page_quotes_is_what_the_program_says(page: str, phrase: str) -> None:
    assert phrase in (ROOT / "docs" / page).read_text()
    assert any(phrase in file.read_text() for file in (ROOT / "src").rglob("*.py"))


def test_what_is_replaced_is_still_written() -> None:
    pages = "".join((ROOT / name).read_text() for name in ("README.md", "docs/tutorial.md", "docs/own_data.md"))
    assert [old for old in FEWER if old not in pages] == []
    python = (ROOT / "docs" / "python.md").read_text()
    assert [old for old in FEWER_IN_PYTHON if old not in python] == []


def test_commands_are_found_in_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Text `cryorbit run\nx.star --classes 2`.\n\n"
        "```sh\ncryorbit demo -o demo   # a first job\npython3 -m pip && cryorbit doctor\n```\n\n"
        '1. Then\n\n    ```toml title="abinit.toml"\n    classes = 2\n\n    [search]\n    rate = 1\n    ```\n\n'
        "```sh\ncryorbit abinit p.star \\\n    -o job\n```\n\n"
        "```text\ncryorbit prints this\n```\n\n"
        "```python\nimport cryorbit\n```\n"
    )
    found = list(steps(page))
    assert [step.text for step in found if step.file is None] == [
        "cryorbit demo -o demo",
        "cryorbit doctor",
        "cryorbit abinit p.star      -o job",
    ]
    assert [step for step in found if step.file] == [Step("classes = 2\n\n[search]\nrate = 1\n", "abinit.toml")]
    assert inline_commands(page) == ["cryorbit run x.star --classes 2"]
    assert python_blocks(page) == ["import cryorbit\n"]

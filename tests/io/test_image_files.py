"""Image files that are not where the table says, or no files: what is said names them and the fix."""

import os
from pathlib import Path

import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.io.checks import check_particles
from cryorbit.io.image_paths import near_names
from cryorbit.io.mrc import read_header, read_map, require_complete, write_map
from cryorbit.io.particles import read_particles
from cryorbit.recipes.convert import ConvertConfig
from cryorbit.recipes.convert import run as convert
from cryorbit.recipes.inspect import InspectConfig
from cryorbit.recipes.inspect import run as inspect


@pytest.mark.parametrize("near", ["a.mrcs.mrcs", "a.mrcs.mrc", "A.MRCS", "A.mrc"])
def test_a_file_of_nearly_the_name_is_named(star_set: Path, near: str) -> None:
    """3dem/relion#288: the stack's name ends in ``.mrcs.mrcs``."""
    stack = star_set.parent / "Extract" / "a.mrcs"
    stack.rename(stack.with_name(near))
    with pytest.raises(InputError, match="is not there") as caught:
        check_particles(read_particles(star_set))
    expected = f"rename the files, or correct their names in the table: there is {near} in that folder"
    assert caught.value.fix == expected
    assert caught.value.row == 1
    warnings = inspect(InspectConfig(particles=star_set)).warnings()
    assert any(expected in warning for warning in warnings)


def test_a_near_file_in_the_project_folder_is_named(star_set: Path) -> None:
    """The table lies in a job's folder; names are relative to the project's."""
    job = star_set.parent / "Refine3D" / "job001"
    job.mkdir(parents=True)
    table = star_set.rename(job / "run_data.star")
    stack = star_set.parent / "Extract" / "a.mrcs"
    stack.rename(stack.with_name("a.mrcs.mrcs"))
    with pytest.raises(InputError, match="is not there") as caught:
        check_particles(read_particles(table))
    assert f"{stack} is not there" in caught.value.problem
    assert caught.value.fix is not None
    assert "there is a.mrcs.mrcs in that folder" in caught.value.fix


def test_another_file_is_not_near(star_set: Path) -> None:
    extract = star_set.parent / "Extract"
    (extract / "a.mrcs").rename(extract / "aa.mrcs")
    (extract / "a.mrc.mrcs").mkdir()
    assert near_names(extract / "a.mrcs") == []
    assert near_names(extract / "none" / "a.mrcs") == []
    with pytest.raises(InputError) as caught:
        check_particles(read_particles(star_set))
    assert caught.value.fix is not None
    assert caught.value.fix.endswith("with --data-dir")


def test_the_first_at_separates_number_and_stack(star_set: Path) -> None:
    folder = star_set.parent / "u@h"
    (star_set.parent / "Extract").rename(folder)
    star_set.write_text(star_set.read_text().replace("@Extract/", "@u@h/"))
    particles = read_particles(star_set)
    assert particles.images.files == (folder / "a.mrcs", folder / "b.mrcs")
    check_particles(particles)


def test_a_data_folder_that_is_not_there_is_said(star_set: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: there is no such folder(.|\n)*--data-dir"):
        read_particles(star_set, star_set.parent / "nowhere")


@pytest.mark.parametrize("number", ["000", "000000", "0"])
def test_images_counted_from_0(star_set: Path, number: str) -> None:
    """3dem/relion#707."""
    star_set.write_text(star_set.read_text().replace("000001@Extract/b", f"{number}@Extract/b"))
    with pytest.raises(InputError, match=f"'{number}@Extract/b.mrcs' is not of the form") as caught:
        read_particles(star_set)
    assert caught.value.row == 21
    assert caught.value.fix is not None
    assert caught.value.fix.endswith("where they are counted from 0, add 1 to every number")


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_for_a_stack_is_refused(star_set: Path, linked: bool) -> None:
    """Who opens a pipe waits for who writes into it, for ever."""
    stack = star_set.parent / "Extract" / "b.mrcs"
    stack.unlink()
    pipe = stack.with_name("pipe") if linked else stack
    os.mkfifo(pipe)
    if linked:
        stack.symlink_to(pipe)
    with pytest.raises(InputError, match=r"b\.mrcs is a device or a pipe, not a file") as caught:
        read_particles(star_set)
    assert (caught.value.file, caught.value.row) == (star_set, 21)
    assert caught.value.fix == "give a file; what comes through a pipe is to be saved first"
    with pytest.raises(InputError, match="is a device or a pipe"):
        convert(ConvertConfig(source=star_set, target=star_set.with_name("out.star")))


def test_an_extended_header_that_was_not_copied(star_set: Path) -> None:
    """ccpem/mrcfile#51: the header of another file, and the values directly behind it."""
    stack = star_set.parent / "Extract" / "a.mrcs"
    content = bytearray(stack.read_bytes())
    content[92:96] = (1024).to_bytes(4, "little")
    stack.write_bytes(content)
    with pytest.raises(InputError, match="an extended header of 1,024 bytes, which is not there") as caught:
        check_particles(read_particles(star_set))
    assert caught.value.file == stack
    assert caught.value.fix == "set nsymbt (bytes 92 to 95 of the header) to 0, or export the stack again"
    write_map(stack.with_name("map.mrc"), torch.ones(16, 16, 16), 2.0)
    bare = bytearray(stack.with_name("map.mrc").read_bytes())
    bare[92:96] = (1024).to_bytes(4, "little")
    stack.with_name("map.mrc").write_bytes(bare)
    with pytest.raises(InputError, match="which is not there"):
        read_map(stack.with_name("map.mrc"))
    stack.write_bytes(content + bytes(1024))
    require_complete(stack, read_header(stack), "stack")
    stack.write_bytes(content[:-4])
    with pytest.raises(InputError, match="cut short"):
        require_complete(stack, read_header(stack), "stack")


def test_what_is_wrong_with_a_file_comes_with_its_fix(star_set: Path) -> None:
    stack = star_set.parent / "Extract" / "a.mrcs"
    stack.write_bytes(stack.read_bytes()[:-4])
    warnings = inspect(InspectConfig(particles=star_set)).warnings()
    assert any("Fix: copy the stack again, or extract the particles again." in warning for warning in warnings)

"""Stacks of unsigned numbers whose mode says that they are signed: named, and those of any other numbers are not."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch

from cryorbit.core.errors import InputError
from cryorbit.io.file_checks import check_files
from cryorbit.io.particles import read_particles
from cryorbit.io.wrapped_values import are_wrapped
from cryorbit.recipes.inspect import InspectConfig
from cryorbit.recipes.inspect import run as inspect
from small_sets import BOX, blob_images, write_stack


def counts(rng: np.random.Generator, mean: float, spread: float) -> np.ndarray:
    """Twenty images as a camera counts them."""
    return mean + spread * blob_images(20, rng)


@pytest.mark.parametrize(
    ("mean", "spread", "wrapped"),
    [
        (32768, 300, True),
        (32768, 8000, True),
        (33500, 400, True),
        (32000, 300, True),
        # all on one side: right, or less by one constant
        (3000, 300, False),
        (50000, 1000, False),
    ],
)
def test_unsigned_counts_read_as_signed(rng: np.random.Generator, mean: float, spread: float, wrapped: bool) -> None:
    values = counts(rng, mean, spread).clip(0, 2**16 - 1).astype(np.uint16)
    assert are_wrapped(values.view(np.int16), 2) == wrapped


@pytest.mark.parametrize(("mean", "spread"), [(0, 28), (0, 8000), (0, 30000), (500, 40), (-20000, 900), (30000, 1500)])
def test_signed_counts(rng: np.random.Generator, mean: float, spread: float) -> None:
    values = counts(rng, mean, spread).clip(-(2**15), 2**15 - 1).astype(np.int16)
    assert not are_wrapped(values, 2)


@pytest.mark.parametrize(("spread", "wrapped"), [(20, True), (28, True)])
def test_bytes(rng: np.random.Generator, spread: float, wrapped: bool) -> None:
    unsigned = counts(rng, 128, spread).clip(0, 255).astype(np.uint8)
    assert are_wrapped(unsigned.view(np.int8), 1) == wrapped
    assert not are_wrapped(counts(rng, 0, spread).clip(-128, 127).astype(np.int8), 1)


def test_the_stack_is_named_with_a_fix_that_helps(star_set: Path, rng: np.random.Generator) -> None:
    stack = star_set.parent / "Extract" / "b.mrcs"
    unsigned = counts(rng, 32768, 300).astype(np.uint16)
    write_stack(stack, unsigned.view(np.int16))
    with pytest.raises(InputError, match=r"b\.mrcs: the numbers of the stack are unsigned.*from 32,768 on") as caught:
        check_files(read_particles(star_set))
    assert caught.value.fix == "set the mode of the file, the fourth number of its header, to 6"
    assert any(
        "the numbers of the stack are unsigned" in said
        for said in inspect(InspectConfig(particles=star_set)).warnings()
    )
    with mrcfile.open(stack, "r+", permissive=True) as file:
        file.header.mode = 6
    particles = read_particles(star_set)
    assert not check_files(particles)
    assert torch.equal(particles.images.read(np.arange(20, 40)), torch.from_numpy(unsigned.astype(np.float32)))
    assert particles.box == BOX

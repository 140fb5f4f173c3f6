"""Images by index: order, many files, types, and memory that does not grow with the stack."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryorbit.core.errors import InputError
from cryorbit.io import image_stack
from cryorbit.io.image_stack import ImageStack
from small_sets import write_stack


@pytest.fixture(scope="module")
def three_stacks(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageStack, np.ndarray]:
    """Five images in each of three files, and all fifteen in the order of the stack, which mixes the files."""
    folder = tmp_path_factory.mktemp("stacks")
    images = np.random.default_rng(1).normal(size=(15, 4, 4)).astype(np.float32)
    for number in range(3):
        write_stack(folder / f"{number}.mrcs", images[5 * number : 5 * number + 5])
    order = np.random.default_rng(2).permutation(15)
    files = tuple(folder / f"{number}.mrcs" for number in range(3))
    return ImageStack(files, order // 5, order % 5, None, 4), images[order]


@settings(deadline=None, max_examples=60)
@given(indices=st.lists(st.integers(0, 14), max_size=30))
def test_images_come_in_the_order_asked_for(three_stacks: tuple[ImageStack, np.ndarray], indices: list[int]) -> None:
    stack, images = three_stacks
    read = stack.read(torch.tensor(indices, dtype=torch.long))
    assert read.dtype == torch.float32
    np.testing.assert_array_equal(read.numpy(), images[np.array(indices, dtype=int)])


def test_a_subset_reads_its_own_images(three_stacks: tuple[ImageStack, np.ndarray]) -> None:
    stack, images = three_stacks
    part = stack.subset(np.array([9, 2, 2]))
    assert len(part) == 3
    np.testing.assert_array_equal(part.read(np.array([1, 0])).numpy(), images[[2, 9]])


def test_images_that_are_kept_are_not_read_again(
    three_stacks: tuple[ImageStack, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, images = three_stacks
    sign = np.where(np.arange(15) % 2, 1, -1).astype(np.float32)
    signed = replace(stack, sign=sign)
    # room for ten images of 4 x 4 pixels
    kept = signed.keeping(10 * 64)
    opened: list[Path] = []
    read = image_stack.parse_header
    monkeypatch.setattr(image_stack, "parse_header", lambda handle, path: opened.append(path) or read(handle, path))
    everything = np.array([3, 14, 9, 3, 0])
    np.testing.assert_array_equal(kept.read(everything).numpy(), signed.read(everything).numpy())
    part = kept.subset(np.array([14, 2, 9]))
    opened.clear()
    np.testing.assert_array_equal(part.read(np.array([2, 1])).numpy(), (sign[:, None, None] * images)[[9, 2]])
    assert not opened
    np.testing.assert_array_equal(part.read(np.array([0])).numpy(), images[[14]] * sign[14])
    assert len(opened) == 1


@pytest.mark.parametrize("kind", ["i1", "i2", "f4", "u2", "f2"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_mode_becomes_float32(tmp_path: Path, kind: str, order: str) -> None:
    low = 0 if kind == "u2" else -30
    images = np.arange(low, low + 64).reshape(4, 4, 4).astype(np.dtype(kind).newbyteorder(order))
    write_stack(tmp_path / "s.mrcs", images)
    stack = ImageStack((tmp_path / "s.mrcs",), np.zeros(4, int), np.arange(4), None, 4)
    np.testing.assert_array_equal(stack.read(np.array([3, 1])).numpy(), images[[3, 1]].astype(np.float32))


def test_unsigned_values_above_the_signed_range(tmp_path: Path) -> None:
    write_stack(tmp_path / "s.mrcs", np.full((1, 2, 2), 65535, np.uint16))
    stack = ImageStack((tmp_path / "s.mrcs",), np.zeros(1, int), np.zeros(1, int), None, 2)
    assert float(stack.read(np.array([0])).min()) == 65535.0


def test_the_sign_is_applied_image_by_image(three_stacks: tuple[ImageStack, np.ndarray]) -> None:
    stack, images = three_stacks
    sign = np.where(np.arange(15) % 2, -1, 1).astype(np.float32)
    signed = ImageStack(stack.files, stack.file_index, stack.section, sign, stack.box)
    np.testing.assert_array_equal(signed.read(np.arange(4)).numpy(), images[:4] * sign[:4, None, None])


def test_a_stack_that_shrinks_gives_an_error_not_a_crash(tmp_path: Path) -> None:
    write_stack(tmp_path / "s.mrcs", np.ones((4, 8, 8), np.float32))
    stack = ImageStack((tmp_path / "s.mrcs",), np.zeros(4, int), np.arange(4), None, 8)
    content = (tmp_path / "s.mrcs").read_bytes()
    (tmp_path / "s.mrcs").write_bytes(content[: 1024 + 3 * 256 + 10])
    assert stack.read(np.array([2])).shape == (1, 8, 8)
    with pytest.raises(InputError, match=r"s\.mrcs: the file ends within"):
        stack.read(np.array([3]))


MEASURE = """
import resource, sys
import numpy as np
from pathlib import Path
from cryorbit.io.image_stack import ImageStack
stack = ImageStack((Path(sys.argv[1]),), np.zeros(1600, int), np.arange(1600), None, 256)
stack.read(np.arange(16))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for start in range(0, 1600, 16):
    stack.read(np.arange(start, start + 16))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_memory_does_not_grow_with_the_stack(tmp_path: Path) -> None:
    """Reading a stack of 400 MiB in batches of 4 MiB, in a process of its own, adds less than 32 MiB at its peak."""
    path = tmp_path / "huge.mrcs"
    write_stack(path, np.zeros((1, 256, 256), np.float32))
    header = bytearray(path.read_bytes()[:1024])
    header[8:12] = np.array(1600, "<i4").tobytes()
    with path.open("wb") as file:
        file.write(header)
        file.truncate(1024 + 1600 * 256 * 256 * 4)  # sparse: takes no space on disk
    growth = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True)
    assert float(growth.stdout) < 32

"""Streams of random numbers: the same for the same seed, name and place, and for nothing else."""

import ast
import itertools
from collections import Counter
from pathlib import Path

import torch

import cryorbit
from cryorbit.core.seeds import generator_for

SOURCE = Path(cryorbit.__file__).parent


def drawn(seed: int, stream: str, *place: int) -> int:
    """The first number of a stream."""
    return int(torch.randint(2**60, (1,), generator=generator_for(seed, stream, *place)).item())


def test_the_same_three_give_the_same_numbers_on_every_machine() -> None:
    assert drawn(3, "cells", 1, 0) == drawn(3, "cells", 1, 0)
    # by hand: printf '[3, "cells", 1, 0]' | b2sum -l 32
    assert generator_for(3, "cells", 1, 0).initial_seed() == 0xA71486AE


def test_streams_differ_by_seed_name_place_and_length() -> None:
    keys = [
        *((seed, name) for seed in (0, 1, 2**32) for name in ("a", "b", "ab", "a, 0", 'a", 0')),
        *((0, "a", *place) for place in ((0,), (0, 0), (1,), (0, 1), (1, 0), (2**32,), (2**32 + 1,), (10,), (1, 0, 0))),
        *((10, "a"), (1, "0 a"), (0, "b", 0), (0, "b", 0, 0)),
    ]
    numbers = [drawn(*key) for key in keys]
    assert len(set(keys)) == len(set(numbers)) == len(keys)


def test_many_places_of_many_streams_are_all_different() -> None:
    # by chance 1e-4 of such sets have two alike
    keys = itertools.product(range(5), ("refine", "abinit"), range(50), range(2))
    assert len({drawn(*key) for key in keys}) == 1000


def test_no_two_draws_of_the_package_share_a_stream() -> None:
    names: Counter[str] = Counter()
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "generator_for":
                stream = node.args[1]
                # a stream that places share on purpose is a constant with a name
                shared = isinstance(stream, ast.Name) and stream.id.isupper()
                assert shared or isinstance(stream, ast.Constant), f"{file}: the name of a stream is to be read here"
                names.update([str(stream.value)] if isinstance(stream, ast.Constant) else [])
    assert len(names) > 20
    assert [name for name, count in names.items() if count > 1] == []

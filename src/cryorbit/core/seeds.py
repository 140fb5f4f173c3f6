"""Random generators that are determined by a seed and a name, so that no generator's state has to be stored."""

from __future__ import annotations

import hashlib
import json

import torch


def generator_for(seed: int, stream: str, *place: int) -> torch.Generator:
    """A generator of its own for every seed, stream and place within the stream; the same again for the same three.

    The three are written down as text in which none can run over into another, and hashed: numbers alone were the same
    for two recipes that counted alike, and ``(0,)`` the same as ``(0, 0)``. torch takes 32 bits of a seed: two streams
    have the same numbers by chance once in 4e9 pairs.

    Parameters
    ----------
    seed
        The user's.
    stream
        What is drawn; a name that nothing else has.
    place
        Which of the draws: iteration, half-set, class, ...
    """
    written = json.dumps([int(seed), stream, *map(int, place)])
    digest = hashlib.blake2b(written.encode(), digest_size=4).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest))

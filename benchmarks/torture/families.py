"""The kinds of cases: each damages something in a folder and says what is then tried, and which names must be told."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cryorbit.cli.main import main
from torture.commands import command_line, run_without_work
from torture.damage import damage_bytes, damage_text, damage_value
from torture.forks import no_report
from torture.values import (
    impossible_cs,
    impossible_pixels,
    impossible_star,
    judge_map,
    judge_particles,
    judge_pixels,
    judge_settings,
)


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried after the damage.

    Attributes
    ----------
    work
        Runs in a child, in the folder of the case.
    names
        Words one of which a refusal must hold: names of the files at fault.
    label
        What was damaged, in short.
    """

    work: Callable[[], object]
    names: tuple[str, ...]
    label: str = ""


Family = Callable[[Path, random.Random], Trial]


def _changed(file: Path, draw: random.Random, as_text: bool = False) -> None:
    """Damage a file, as text or as bytes."""
    content = file.read_bytes()
    for _ in range(draw.choice((1, 1, 1, 3))):
        if as_text and draw.random() < 0.75:
            content = damage_text(content.decode(errors="surrogateescape"), draw).encode(errors="surrogatepass")
        else:
            content = damage_bytes(content, draw)
    file.write_bytes(content)


def _inspect(name: str) -> Callable[[], object]:
    return lambda: main(["inspect", name])


def star(folder: Path, draw: random.Random) -> Trial:
    """A STAR file with words, lines or bytes changed."""
    _changed(folder / "particles.star", draw, as_text=True)
    return Trial(_inspect("particles.star"), ("particles.star", "particles.mrcs"))


def star_values(folder: Path, draw: random.Random) -> Trial:
    """A STAR file with an impossible value in one row."""
    label, row = impossible_star(folder / "particles.star", draw)
    return Trial(lambda: judge_particles("particles.star", row, label), ("particles.star", "particles.mrcs"), label)


def cs(folder: Path, draw: random.Random) -> Trial:
    """A .cs file with bytes changed, most of them in its header."""
    _changed(folder / "particles.cs", draw)
    return Trial(_inspect("particles.cs"), ("particles.cs", "particles.mrcs"))


def cs_values(folder: Path, draw: random.Random) -> Trial:
    """A .cs file with an impossible value, or a field of another kind."""
    label, row = impossible_cs(folder / "particles.cs", draw)
    return Trial(lambda: judge_particles("particles.cs", row, label), ("particles.cs", "particles.mrcs"), label)


def stack(folder: Path, draw: random.Random) -> Trial:
    """An image stack with bytes changed."""
    _changed(folder / "particles.mrcs", draw)
    return Trial(_inspect("particles.star"), ("particles.mrcs", "particles.star"))


def stack_values(folder: Path, draw: random.Random) -> Trial:
    """An image stack with an impossible pixel in one image."""
    label, row = impossible_pixels(folder / "particles.mrcs", draw)
    return Trial(lambda: judge_pixels("particles.star", row, label), ("particles.mrcs", "particles.star"), label)


def volume(folder: Path, draw: random.Random) -> Trial:
    """A map with bytes changed."""
    _changed(folder / "map.mrc", draw)
    return Trial(lambda: judge_map("map.mrc", None), ("map.mrc",))


def volume_values(folder: Path, draw: random.Random) -> Trial:
    """A map with an impossible voxel."""
    label, _ = impossible_pixels(folder / "map.mrc", draw)
    return Trial(lambda: judge_map("map.mrc", label), ("map.mrc",), label)


def toml(folder: Path, draw: random.Random) -> Trial:
    """A file of settings with words, lines or bytes changed."""
    _changed(folder / "settings.toml", draw, as_text=True)
    return Trial(lambda: judge_settings("abinit", "settings.toml"), ("settings.toml",))


def toml_values(folder: Path, draw: random.Random) -> Trial:
    """A file of settings in which one setting of any verb is beyond all bounds."""
    from torture.values import impossible_settings

    verb, label = impossible_settings(folder / "settings.toml", draw)
    return Trial(lambda: judge_settings(verb, "settings.toml", label), ("settings.toml",), label)


def _resume() -> None:
    with no_report():
        main(["resume", "stopped", "-q"])


def record(folder: Path, draw: random.Random) -> Trial:
    """A job.json with a part replaced, or bytes changed."""
    file = folder / "stopped" / "job.json"
    if draw.random() < 0.75:
        changed = damage_value(json.loads(file.read_text()), draw)
        file.write_text(json.dumps(changed), errors="surrogatepass")
    else:
        _changed(file, draw, as_text=True)
    return Trial(_resume, ("job.json", "observations.npz", "stopped"))


def metrics(folder: Path, draw: random.Random) -> Trial:
    """A metrics.jsonl with lines or bytes changed: no reason to refuse a sound checkpoint."""
    _changed(folder / "stopped" / "metrics.jsonl", draw, as_text=True)
    return Trial(_resume, (), "must go on")


def checkpoint(folder: Path, draw: random.Random) -> Trial:
    """A checkpoint with bytes changed, with other content that torch reads, or of another job."""
    file = folder / "stopped" / "checkpoint" / "state.pt"
    kind = draw.choice(("bytes", "bytes", "content", "other"))
    if kind == "bytes":
        _changed(file, draw)
    elif kind == "other":
        file.write_bytes((folder / "other" / "checkpoint" / "state.pt").read_bytes())
    else:
        content = torch.load(file, weights_only=True)
        torch.save(draw.choice([{}, [1], 7, {"position": 1}, _with_nan(content)]), file)
    return Trial(_resume, ("state.pt",))


def npz(folder: Path, draw: random.Random) -> Trial:
    """Observations with bytes or arrays changed, or compressed in a way that NumPy does not read."""
    file = folder / "observations.npz"
    kind = draw.choice(("bytes", "arrays", "packed"))
    with np.load(file) as archive:
        arrays = {name: archive[name] for name in archive.files}
    if kind == "bytes":
        _changed(file, draw)
    elif kind == "arrays":
        name = draw.choice(list(arrays))
        other: list[object] = [np.nan, np.inf, -1, 0, 1e30, "x", np.zeros(0), np.zeros((2, 2), complex), 2**62]
        arrays[name] = np.asarray(draw.choice(other))
        np.savez(file, allow_pickle=False, **arrays)  # type: ignore[arg-type]
    else:
        _repack(file, draw)
    with_folder = ["mra", "solve", "observations.npz", "-o", "job", "--config", "passes.toml", "-q"]
    (folder / "passes.toml").write_text("passes = 2\n")

    def work() -> None:
        with no_report():
            main(with_folder)

    return Trial(work, ("observations.npz",))


def commands(folder: Path, draw: random.Random) -> Trial:
    """A command line with impossible paths, queries and numbers; its work is left out."""
    arguments = command_line(folder, draw)
    return Trial(lambda: run_without_work(arguments), (), " ".join(arguments)[:200])


def folders(folder: Path, draw: random.Random) -> Trial:
    """A job folder in which files are missing, or are folders, links to nowhere or devices."""
    names = (
        "job.json",
        "metrics.jsonl",
        "log.txt",
        "checkpoint",
        "checkpoint/state.pt",
        "checkpoint/lock",
        "report.html",
    )
    name = draw.choice(names)
    file = folder / "stopped" / name
    if file.is_dir():
        file.rename(folder / "taken_away")
    else:
        file.unlink(missing_ok=True)
    kind = draw.choice(("missing", "folder", "link", "file", "empty"))
    if file.parent.is_dir():
        if kind == "folder":
            file.mkdir()
        elif kind == "link":
            file.symlink_to(folder / "nowhere" / "at all")
        elif kind == "file":
            file.write_text("something else\n")
        elif kind == "empty":
            file.touch()
    return Trial(_resume, (), f"{name}: {kind}")


FAMILIES: Mapping[str, tuple[Family, int]] = {
    "STAR, text and bytes": (star, 20),
    "STAR, impossible values": (star_values, 8),
    ".cs, bytes": (cs, 8),
    ".cs, impossible values": (cs_values, 6),
    "stacks, bytes": (stack, 10),
    "stacks, impossible pixels": (stack_values, 4),
    "maps, bytes": (volume, 6),
    "maps, impossible voxels": (volume_values, 2),
    "TOML, text and bytes": (toml, 6),
    "TOML, values beyond bounds": (toml_values, 6),
    "job.json": (record, 6),
    "metrics.jsonl": (metrics, 3),
    "checkpoints": (checkpoint, 3),
    "npz": (npz, 4),
    "job folders": (folders, 2),
    "command lines": (commands, 6),
}
"""Kinds of cases and their shares, in parts of a hundred."""


def _with_nan(content: object) -> object:
    """The content with every tensor of floats full of NaN."""
    if isinstance(content, torch.Tensor) and content.is_floating_point():
        return torch.full_like(content, float("nan"))
    if isinstance(content, dict):
        return {name: _with_nan(each) for name, each in content.items()}
    if isinstance(content, list):
        return [_with_nan(each) for each in content]
    return content


def _repack(file: Path, draw: random.Random) -> None:
    """The same archive with another compression, named as one that there is not, or with a member missing."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    kind = draw.choice((zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED))
    if draw.random() < 0.3:
        members.pop(draw.choice(list(members)))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    content = packed.getvalue()
    if draw.random() < 0.5:
        method = draw.choice((1, 6, 9, 97, 98)).to_bytes(2, "little")
        content = _with_method(content, method)
    file.write_bytes(content)


def _with_method(content: bytes, method: bytes) -> bytes:
    """A zip archive whose members all say that they were compressed by another method."""
    changed, place = bytearray(content), 0
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = content.find(mark)
        while place >= 0:
            changed[place + offset : place + offset + 2] = method
            place = content.find(mark, place + 1)
    return bytes(changed)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Content of every file of the user's below a folder: all but those of jobs, links and what is no file."""
    files = (file for file in sorted(folder.iterdir()) if file.is_file() and not file.is_symlink())
    return {file.name: file.read_bytes() for file in files}

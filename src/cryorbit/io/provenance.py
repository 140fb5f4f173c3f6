"""What a result came from: the machine, the command and the input files."""

from __future__ import annotations

import hashlib
import platform
import sys
from pathlib import Path

import torch

from cryorbit.core.place import available_cores

_HASHED_SUFFIXES = {".star", ".cs"}


def command_line() -> str:
    """Return the command of this process as it was typed, without the program's folder."""
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def describe_machine(device: str = "cpu") -> dict[str, str | int]:
    """Describe the processor, the number of cores this process may use, torch and ``device``."""
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "cpu": _cpu_name(),
        "cores": available_cores(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": device,
        "device_name": _device_name(torch.device(device)),
    }


def describe_input(path: Path) -> dict[str, str | int]:
    """Absolute path and size in bytes of an input file, and the sha256 of a metadata file (STAR, .cs)."""
    entry: dict[str, str | int] = {"path": str(path.absolute()), "bytes": path.stat().st_size}
    if path.suffix.lower() in _HASHED_SUFFIXES:
        with path.open("rb") as stream:
            entry["sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
    return entry


def _cpu_name() -> str:
    """Model name of the processor, as far as the system tells it."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _device_name(device: torch.device) -> str:
    """Model name of an accelerator; for the processor its kind."""
    if device.type == "cpu":
        return "cpu"
    return str(torch.get_device_module(device).get_device_name(device))

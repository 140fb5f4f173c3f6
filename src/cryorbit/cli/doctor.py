"""The verb ``doctor``: whether this machine can run jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cryorbit.cli.options import Device

if TYPE_CHECKING:
    from rich.console import Console

    from cryorbit.recipes.doctor import Check

EXIT_UNFIT = 1
_MARKS = {"good": ("ok", "green"), "doubtful": ("warning", "yellow"), "bad": ("error", "bold red")}


def doctor(
    *,
    folder: Annotated[Path, Parameter(help="Folder in which you want to run jobs.")] = Path(),
    quick: Annotated[bool, Parameter(negative="", help="Skip the reconstruction.")] = False,
    device: Device = None,
) -> None:
    """Examine the installation, GPUs, memory and disk, and make a small reconstruction whose answer is known.

    Takes about half a minute and needs no data. The exit code is 1 if something prevents jobs from running.
    """
    from rich.console import Console

    from cryorbit.api.devices import choose_device
    from cryorbit.cli.device_checks import check_devices
    from cryorbit.recipes.config import load_config
    from cryorbit.recipes.doctor import DoctorConfig, run

    console = Console()
    levels = [_tell(check, console) for check in check_devices()]
    config = load_config(DoctorConfig, None, {"folder": folder, "device": choose_device(device), "quick": quick})
    levels += [_tell(check, console) for check in run(config)]
    if "bad" in levels:
        Console(stderr=True).print("Jobs will not run well on this machine; see the advice above.", style="bold red")
        sys.exit(EXIT_UNFIT)
    console.print("This machine is ready to run jobs.", style="bold green")


def _tell(check: Check, console: Console) -> str:
    """Print a finding and its advice; return its level."""
    from rich.text import Text

    mark, colour = _MARKS[check.level]
    console.print(Text.assemble((f"{mark:<7}", colour), f"  {check.name}: {check.finding}"), soft_wrap=True)
    if check.advice:
        console.print(Text(f"         {check.advice}"), soft_wrap=True)
    return check.level

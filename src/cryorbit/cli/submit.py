"""The verb ``submit``: a batch script that runs another verb, to check, change and submit."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import jinja2
from cyclopts import Parameter, validators
from rich.console import Console

from cryorbit.cli.processes import require_sharing
from cryorbit.core.errors import InputError
from cryorbit.io.destinations import require_new_files

TEMPLATE = Path(__file__).parent / "templates" / "slurm.sh.j2"
POSITIVE = validators.Number(gte=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Resources requested from the batch system; a template uses the same names."""

    nodes: Annotated[int, Parameter(help="Number of machines.", validator=POSITIVE)] = 1
    processes: Annotated[int, Parameter(name="--per-node", help="Processes on each machine.", validator=POSITIVE)] = 1
    cores: Annotated[int, Parameter(help="Cores per process.", validator=POSITIVE)] = 8
    gpus: Annotated[
        int,
        Parameter(name="--gpus-per-process", help="GPUs per process, 0 or 1.", validator=validators.Number(gte=0)),
    ] = 0
    time: Annotated[str | None, Parameter(help="Time limit, for example 12:00:00. Default: the partition's.")] = None
    memory: Annotated[
        str | None,
        Parameter(
            name="--node-memory",
            help="Memory per machine with its unit; 64GB is written 64G. Default: SLURM's.",
        ),
    ] = None
    partition: Annotated[str | None, Parameter(help="Partition. Default: SLURM's.")] = None
    account: Annotated[str | None, Parameter(help="Account. Default: SLURM's.")] = None


LITTLE = Resources()
"""What stands for resources that were not given."""


def submit(
    *command: Annotated[str, Parameter(help="Command to run, starting with its verb.", allow_leading_hyphen=True)],
    slurm: Annotated[
        bool, Parameter(negative="", help="Write a script for SLURM, the only batch system supported.")
    ] = False,
    resources: Annotated[Resources, Parameter(name="*")] = LITTLE,
    template: Annotated[
        Path | None, Parameter(help="Template of the script (Jinja). Default: the one of cryorbit.")
    ] = None,
    script: Annotated[Path | None, Parameter(help="Script to write; must not exist. Default: VERB.slurm.sh.")] = None,
    send: Annotated[bool, Parameter(negative="", help="Submit the script with sbatch.")] = False,
) -> None:
    """Write a batch script that runs a command on a cluster, and show it.

    For example: cryorbit submit --slurm --nodes 2 --per-node 4 refine particles.star --map class_1.mrc -o job
    """
    if not slurm:
        raise InputError("no batch system is named", fix="add --slurm")
    if not command:
        raise InputError(
            "there is no command to run", fix="write it last: cryorbit submit --slurm refine particles.star ..."
        )
    if command[0].startswith("-"):
        raise InputError(f"`cryorbit submit` has no option {command[0]}", fix="`cryorbit submit --help` lists them")
    verb, count = command[0], resources.nodes * resources.processes
    require_sharing(verb, count)
    script = script or Path(f"{verb}.slurm.sh")
    require_new_files(script)
    words = shlex.join(["cryorbit", *_with_threads(command, resources.cores)])
    values = {"name": verb, "log": f"{script.stem}-%j.log", "command": words, **asdict(resources)}
    text = _rendered(template or TEMPLATE, values)
    script.write_text(text, encoding="utf-8")
    console = Console()
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    last = _sent(script) if send else f"check the script, then submit it: sbatch {script}"
    console.print(last, markup=False, soft_wrap=True)


def _with_threads(command: tuple[str, ...], cores: int) -> list[str]:
    """The command with as many threads as each process has cores, unless it says how many."""
    said = any(word == "--threads" or word.startswith("--threads=") for word in command)
    return [*command] if said else [*command, "--threads", str(cores)]


def _rendered(template: Path, values: dict[str, object]) -> str:
    """The script; ``InputError`` if the template cannot be read, or names what there is not."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    try:
        return environment.from_string(template.read_text()).render(values)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=template, fix="check the path") from error
    except (jinja2.TemplateError, UnicodeDecodeError) as error:
        known = ", ".join(values)
        raise InputError(f"is not a valid template: {error}", file=template, fix=f"use the names {known}") from error


def _sent(script: Path) -> str:
    """What sbatch answers; ``InputError`` if it is not there or refuses the script."""
    program = shutil.which("sbatch")
    if program is None:
        raise InputError("sbatch was not found", file=script, fix="submit the script on a machine of the cluster")
    answer = subprocess.run([program, str(script)], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise InputError(f"sbatch refused it: {answer.stderr.strip()}", file=script, fix="change the script")
    return answer.stdout.strip()

"""The command ``cryorbit``: its verbs and how it reports errors."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from typing import Annotated, NoReturn

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.text import Text

from cryorbit import __version__
from cryorbit.cli.machine_faults import ProcessLostError, machine_fault
from cryorbit.cli.options import RUNNING
from cryorbit.cli.plain_text import write_plainly
from cryorbit.cli.processes import EXIT_LOST, require_sharing, run_processes
from cryorbit.cli.usage_errors import usage_error
from cryorbit.cli.voice import Voice, speaking
from cryorbit.core.errors import InputError
from cryorbit.core.place import place_of_process

EXIT_USAGE = 2

_VERBS = {
    "run": "From particle images to a refined, sharpened map: all stages in one command.",
    "demo": "Simulate images of a known map, reconstruct it and compare: needs no data.",
    "abinit": "Make initial maps from particle images of unknown pose.",
    "postprocess": "Sharpen a map and measure its resolution from half-maps.",
    "reconstruct": "Make a map from particle images of known pose.",
    "refine": "Refine a map and the poses to the highest resolution that the images allow.",
    "classify": "Sort particles into classes, each with a starting map.",
    "resume": "Continue a job that was stopped or killed.",
    "jobs": "List the jobs in a folder and below it.",
    "show": "Print the summary of a job again.",
    "open": "Open the report of a job in the browser.",
    "clean": "Remove the checkpoints of finished jobs.",
    "submit": "Write a batch script that runs a command on a cluster.",
    "doctor": "Test this machine with a small reconstruction whose answer is known.",
    "inspect": "Check a particle set: files, optics, contrast, noise, diameter.",
    "convert": "Convert particle sets between RELION's and cryoSPARC's files.",
    "resample": "Change the pixel size or the box of maps or particle images.",
    "flip": "Flip the hand of maps and of the poses that belong to them.",
    "simulate": "Simulate particle images of known maps.",
    "compare": "Align a map to another and compare them.",
    "evaluate": "Compare a job's maps and poses with the truth.",
    "optimise": "Maximise the likelihood of particle images with an optimiser of your choice.",
    "moments": "Make an initial map from moments of the images, without estimating poses.",
    "mra": "Multireference alignment: a signal from noisy windows of shifted copies.",
    "settings": "List the settings of a verb, with their defaults.",
    "reproduce": "Recompute published tables and figures and compare them with the published numbers.",
}


def make_app() -> App:
    """Build the command; a verb's module is imported when the verb is used."""
    app = App(
        name="cryorbit",
        help="From particle images of unknown pose to three-dimensional maps.",
        version=__version__,
        help_format="plaintext",
        exit_on_error=False,
        print_error=False,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    # threads that wait for work by spinning take a third more CPU time and save next to none; read when torch loads
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for verb, summary in _VERBS.items():
        app.command(f"cryorbit.cli.{verb}:{verb}", name=verb, help=summary)
    app.register_install_completion_command(name="--install-completion")
    app.meta.default(partial(_launch, app))
    return app


def _launch(
    app: App,
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    processes: Annotated[
        int | None,
        Parameter(
            help="Processes on this machine that share the work; each gets an equal share of the cores. Default: 1.",
            group=RUNNING,
        ),
    ] = None,
    voice: Annotated[Voice | None, Parameter(name="*")] = None,
) -> object:
    """Run a verb in the voice that was asked for, in as many processes."""
    if processes is not None and place_of_process().size == 1:
        require_sharing(tokens[0] if tokens else None, processes)
        if processes > 1:
            sys.exit(run_processes([*tokens, *_spoken(voice or Voice())], processes))
    with speaking(voice or Voice()):
        return app(with_command(tokens))


def _describe(command: App) -> None:
    """Give the help of a verb its whole description: the list of verbs has one line of each."""
    if command.default_command is not None:
        text = inspect.getdoc(command.default_command) or ""
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def with_command(tokens: Sequence[str]) -> Sequence[str]:
    """The tokens, with what `submit` is to run set apart from its own options: from the first verb on."""
    if tokens[:1] not in (("submit",), ["submit"]) or "--" in tokens:
        return tokens
    start = next((number for number, token in enumerate(tokens) if number and token in _VERBS), len(tokens))
    return [*tokens[:start], "--", *tokens[start:]]


def _spoken(voice: Voice) -> list[str]:
    """The options of a voice as they are typed."""
    return [f"--{field.name.replace('_', '-')}" for field in fields(voice) if getattr(voice, field.name)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; what the user can fix ends with exit code 2 and no traceback."""
    write_plainly()
    app = make_app()
    tokens = sys.argv[1:] if arguments is None else arguments
    if tokens and tokens[0] in _VERBS and {"--help", "-h"} & set(tokens):
        _describe(app[tokens[0]])
    try:
        app.meta(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _tell(usage_error(error, app))
    except InputError as error:
        _tell(error)
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        told = machine_fault(error)
        if told is None:
            raise
        _tell(told)


def _tell(error: InputError) -> NoReturn:
    Console(stderr=True).print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
    sys.exit(EXIT_LOST if isinstance(error, ProcessLostError) else EXIT_USAGE)

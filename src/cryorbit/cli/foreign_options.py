"""Options that people know from RELION, cryoSPARC and cryoDRGN, and what stands for them here."""

from __future__ import annotations

import difflib
from collections.abc import Collection

OURS = {
    "--ref": ("--map",),
    "--reference": ("--map", "--reference"),
    "--o": ("--output",),
    "--out": ("--output",),
    "--outdir": ("--output",),
    "--k": ("--classes",),
    "--abinit-k": ("--classes",),
    "--nr-classes": ("--classes",),
    "--num-classes": ("--classes",),
    "--j": ("--threads",),
    "--nr-threads": ("--threads",),
    "--num-threads": ("--threads",),
    "--nr-procs": ("--processes",),
    "--nr-mpi": ("--processes",),
    "--gpu": ("--device",),
    "--gpus": ("--device",),
    "--num-gpus": ("--processes",),
    "--angpix": ("--pixel-size",),
    "--apix": ("--pixel-size",),
    "--new-box": ("--box",),
    "--ini-high": ("--initial-resolution",),
    "--refine-res-init": ("--initial-resolution",),
    "--max-res": ("--max-resolution", "--resolution"),
    "--sym": ("--symmetry",),
    "--particle-diameter": ("--diameter",),
    "--mask-diameter": ("--diameter",),
    "--solvent-mask": ("--mask",),
    "--random-seed": ("--seed",),
    "--scratch-dir": ("--scratch",),
    "--datadir": ("--data-dir",),
    "--ind": ("--subset",),
    "--uninvert-data": ("--no-invert",),
    "--bfactor": ("--b-factor",),
    "--adhoc-bfac": ("--b-factor",),
    "--locres": ("--local-filter",),
    "--num-epochs": ("--epochs",),
    "--nr-iter": ("--epochs",),
    "--iter": ("--epochs",),
}
"""Names of the same option here; the first that the verb has."""

_FIRST = "name the input file first, without {option}: cryorbit {verb} FILE ..."
_SETTINGS = "`cryorbit settings {verb}` lists what can be set with --config in place of {option}"
_ENDS = "leave {option} out: the job ends by itself"
_PIXELS = "leave {option} out: the pixel size is read from the input"
ADVICE = {
    "--i": _FIRST,
    "--k": "give one --map for each class in place of {option}",
    "--nr-classes": "give one --map for each class in place of {option}",
    "--iter": _ENDS,
    "--nr-iter": _ENDS,
    "--tau2-fudge": "leave {option} out: the prior is estimated from the images",
    "--angpix": _PIXELS,
    "--apix": _PIXELS,
    "--continue": "use `cryorbit resume JOB_FOLDER` in place of {option}",
    "--split-random-halves": "leave {option} out: half-sets are always kept apart",
    "--auto-bfac": "leave {option} out: the B-factor is fitted unless --b-factor is given",
    **dict.fromkeys(("--healpix-order", "--offset-range", "--offset-step"), _SETTINGS),
    **dict.fromkeys(
        (
            *("--auto-refine", "--firstiter-cc", "--zero-mask", "--flatten-solvent", "--norm", "--scale", "--pad"),
            *("--oversampling", "--grad", "--denovo-3dref", "--pool", "--dont-combine-weights-via-disc", "--lane"),
            "--preread-images",
        ),
        "leave {option} out: there is nothing to set",
    ),
}
"""What to do where there is no option of the same meaning."""


def fix_for_unknown(option: str, verb: str, known: Collection[str]) -> str:
    """Say what to write in place of ``option``, which ``cryorbit VERB`` does not have; ``known`` are those it has."""
    plain = option.lower().replace("_", "-")
    same = next((each for each in OURS.get(plain, ()) if each in known), None)
    if same:
        return f"{option} is {same} here"
    if plain in ADVICE:
        return ADVICE[plain].format(option=option, verb=verb)
    bare = {each.lstrip("-"): each for each in sorted(known)}
    nearest = difflib.get_close_matches(plain.lstrip("-"), bare, n=1)
    return f"did you mean {bare[nearest[0]]}?" if nearest else f"`cryorbit {verb} --help` lists the options"

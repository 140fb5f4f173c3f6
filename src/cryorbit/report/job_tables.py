"""Small tables of the report: where the time went, the defocus of the particles, what was warned of."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

_WARNED = "  WARNING  "
_LISTED = 20
_UM_A = 1e-4


def stage_times(metrics: pd.DataFrame) -> list[dict[str, object]]:
    """Iterations of each stage of a job and the seconds they took, in the order in which the stages began."""
    if metrics.empty or not {"stage", "seconds"} <= set(metrics):
        return []
    stages = metrics.groupby("stage", sort=False)["seconds"].agg(["size", "sum"])
    return [
        {"stage": name, "iterations": int(row["size"]), "seconds": float(row["sum"])} for name, row in stages.iterrows()
    ]


def pruning_table(metrics: pd.DataFrame) -> list[dict[str, float]]:
    """What branch and bound kept at each stage of its last search of each part; nothing where it never searched."""
    if "pruning" not in metrics:
        return []
    searches = metrics["pruning"].dropna()
    return [] if searches.empty else list(searches.iloc[-1])


def defocus_table(particles: pd.DataFrame | None) -> list[dict[str, object]]:
    """Defocus of the particles of each optics group: lowest, median, highest, and the median astigmatism, um."""
    if particles is None or not {"rlnDefocusU", "rlnDefocusV"} <= set(particles):
        return []
    first, second = (particles[f"rlnDefocus{axis}"].astype(float) * _UM_A for axis in "UV")
    table = pd.DataFrame({"defocus": (first + second) / 2, "astigmatism": (first - second).abs()})
    groups = particles["rlnOpticsGroup"] if "rlnOpticsGroup" in particles else pd.Series(1, index=particles.index)
    return [
        {
            "group": name,
            "particles": len(rows),
            "lowest": rows["defocus"].min(),
            "median": rows["defocus"].median(),
            "highest": rows["defocus"].max(),
            "astigmatism": rows["astigmatism"].median(),
        }
        for name, rows in table.groupby(groups)
    ]


def read_warnings(folder: Path) -> list[str]:
    """What ``log.txt`` of a job warns of, each once, the latest ``20``."""
    log = folder / "log.txt"
    if not log.exists():
        return []
    lines = log.read_text(errors="replace").splitlines()
    warnings = dict.fromkeys(line.partition(_WARNED)[2] for line in lines if _WARNED in line)
    return list(warnings)[-_LISTED:]

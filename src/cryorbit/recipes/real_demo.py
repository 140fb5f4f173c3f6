"""A first look at real data: particles of apoferritin that come with the package, for the recipe ``run``.

Nothing is known of the truth, so nothing is compared with one. The job is what a user's own data would give: what the
demo does is to lay the particles into its folder.
"""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

from cryorbit.io.atomic import atomic_path

PARTICLES = "apoferritin_demo_4A"
"""1,270 particles in boxes of 60 pixels of 4 A."""
COARSE_PARTICLES = "apoferritin_demo"
"""The same particles in boxes of 40 pixels of 6 A."""
SYMMETRY = "O"
FOLDER = "real"


def copy_particles(name: str, folder: Path) -> Path:
    """Copy packaged particles and what is known of them; the table of particles in its new place.

    A job refers to its images by their place: in its own folder they outlive another version of the package.

    Parameters
    ----------
    name
        One of those of this module.
    folder
        Where to; made if it is not there.
    """
    data = files("cryorbit") / "data"
    sources = {each: data / name / each for each in ("particles.mrcs", "particles.star")}
    for target, source in {**sources, "README.md": data / "README.md"}.items():
        with atomic_path(folder / target) as temporary, source.open("rb") as original, temporary.open("wb") as copy:
            shutil.copyfileobj(original, copy)
    return folder / "particles.star"

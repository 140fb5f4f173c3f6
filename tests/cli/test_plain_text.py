"""Where the encoding has no Å, the letter stands for it, and nothing fails."""

import os
import subprocess
import sys


def test_ascii_output_has_letters_in_place_of_signs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cryorbit", "settings", "simulate"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
        timeout=120,
    )
    said = done.stdout.decode("ascii")
    assert "micrographs, A," in " ".join(said.split())


def test_utf_8_output_keeps_the_signs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cryorbit", "settings", "simulate"],
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert "micrographs, Å," in " ".join(done.stdout.decode().split())

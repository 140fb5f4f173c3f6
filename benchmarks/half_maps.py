"""Fourier shell correlation of half-maps without spherical averages: any hollow shell agrees with any other."""

from __future__ import annotations

from pathlib import Path

import mrcfile
import numpy as np

EDGE_A = 12.0
"""Width of the soft edge of the sphere within which maps are compared."""


def read_map(path: Path) -> tuple[np.ndarray, float]:
    """A map in float64 and the size of its voxels, A."""
    with mrcfile.open(path, permissive=True) as file:
        return np.asarray(file.data, np.float64), float(file.voxel_size.x)


def without_spherical_average(volume: np.ndarray, pixel_size: float, radius_A: float) -> np.ndarray:
    """The map minus its mean over each sphere about the centre of the box, within a soft sphere."""
    centred = np.indices(volume.shape) - volume.shape[0] // 2
    distance = pixel_size * np.sqrt((centred**2).sum(0))
    shell = np.rint(distance / pixel_size).astype(int).ravel()
    mean = np.bincount(shell, volume.ravel()) / np.maximum(np.bincount(shell), 1)
    inside = np.clip(0.5 - (distance - radius_A) / EDGE_A, 0, 1)
    return (volume - mean[shell].reshape(volume.shape)) * inside


def structure_fsc(first: Path, second: Path, resolutions_A: list[float], radius_A: float) -> list[float]:
    """Correlation of two maps at some resolutions, spherical averages taken out; NaN beyond Nyquist."""
    (a, pixel_size), (b, _) = read_map(first), read_map(second)
    spectra = [np.fft.fftn(without_spherical_average(v, pixel_size, radius_A)) for v in (a, b)]
    size = len(a)
    axis = np.fft.fftfreq(size, 1 / size)
    shell = np.rint(np.sqrt(sum(k**2 for k in np.meshgrid(axis, axis, axis, indexing="ij")))).astype(int).ravel()

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(shell, values.ravel())

    cross = summed((spectra[0] * spectra[1].conj()).real)
    fsc = cross / np.sqrt(summed(abs(spectra[0]) ** 2) * summed(abs(spectra[1]) ** 2))
    numbers = [round(size * pixel_size / resolution) for resolution in resolutions_A]
    return [float(fsc[number]) if number <= size // 2 else float("nan") for number in numbers]

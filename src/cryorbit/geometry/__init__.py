"""Rotations, point groups, grids and quadratures on SO(3), shift grids."""

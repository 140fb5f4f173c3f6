"""Unitary transforms, half-disc coefficients, shells, interpolation and its adjoint."""

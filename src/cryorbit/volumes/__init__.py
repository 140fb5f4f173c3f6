"""Representations of the unknown volume."""

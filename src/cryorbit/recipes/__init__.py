"""Workflows: one file each, a config and a run function made of a few named stages."""

"""Alignment, FSC and pose errors."""

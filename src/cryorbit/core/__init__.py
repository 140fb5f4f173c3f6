"""Nouns, conventions and errors shared by every floor."""

"""The forward model: slices, CTF, shifts, masks and noise as linear maps with exact adjoints."""

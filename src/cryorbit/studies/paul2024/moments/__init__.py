"""Moments of images, and how networks invert them: what chapters 2 and 3 of Paul (2024) share."""

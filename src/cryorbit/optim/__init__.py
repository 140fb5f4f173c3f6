"""Optimisers on a finite sum; they know nothing of images."""

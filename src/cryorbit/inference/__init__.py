"""The E-step and what is built on it: statistics, M-step, noise model, candidates."""

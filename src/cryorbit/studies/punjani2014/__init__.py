"""Punjani & Brubaker (2014): seven stochastic optimisers from a random start."""

"""Toader, Brubaker & Lederman (2025): condition numbers and preconditioned stochastic gradients in known poses."""

"""Signals by which a job is asked to stop."""

from __future__ import annotations

import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, *((signal.SIGUSR1,) if hasattr(signal, "SIGUSR1") else ()))
"""Ctrl-C, and what batch systems send; SLURM can send any before the time is over."""

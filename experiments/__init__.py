"""Declare experiments, and run them from the command line or from Python; README.md has a map of the modules."""

from experiments.api import findings, run, sweep

__all__ = ["findings", "run", "sweep"]

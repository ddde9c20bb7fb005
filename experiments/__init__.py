"""The declared experiments, the command line, and the Python API; README.md has a map of the modules."""

from experiments.api import findings, run, sweep

__all__ = ["findings", "run", "sweep"]

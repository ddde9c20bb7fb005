"""The declared experiments, the command line, and the Python interface; README.md says what is where."""

from experiments.api import findings, run, sweep

__all__ = ["findings", "run", "sweep"]

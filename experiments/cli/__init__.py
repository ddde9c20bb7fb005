"""Provide the `harness` command."""

from experiments.cli.app import main

__all__ = ["main"]

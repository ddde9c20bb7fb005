"""Searching: spaces, Optuna studies, the sweep's coordinator and the executors."""

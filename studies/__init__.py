"""Searching: what a sweep does, Optuna's studies, the coordinator, executors; README.md says what is where."""

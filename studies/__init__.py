"""Searching: spaces, Optuna studies, the sweep's coordinator and the executors.

`definition` is what a sweep does and finds; `sweep` coordinates it; `search` is one optimizer's study, asked and
told, and `trials` decides which trial trains next; `jobs` keeps slices in flight on an executor of `executors`.
A worker knows neither Optuna nor MLflow. `progress` reckons the time left, `forecast` the time before it begins.
"""

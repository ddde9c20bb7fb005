"""Describe each parameter of `run` and `sweep` in one place, for the options of the commands and for Python.

Each text is the beginning of a sentence; the option's help and the argument's docstring complete it.
`tests/experiments/test_parameters.py` checks that the help, the docstrings, the documents and the fields of a sweep's
file begin with these texts.
"""

_BOTH = {
    "fast": "Use faster arithmetic, which changes the last bits",
    "data_dir": "A folder with the dataset in torchvision's layout",
    "device": "The device to train on",
    "quiet": "Show no progress",
    "as_json": "Print one JSON document on stdout",
}
RUN = _BOTH | {
    "experiment": "A declared run, or the path of a TOML or Python file",
    "settings": "Config values",
    "seed": "The seed of the run",
    "epochs": "The number of epochs",
    "resume": "Resume a run that was stopped",
}
SWEEP = _BOTH | {
    "experiment": "A declared sweep, or the path of a TOML or Python file",
    "optimizers": "The optimizers to compare",
    "settings": "Config values of every run, which are not searched",
    "search": "Values to search",
    "name": "The sweep's name in MLflow",
    "save": "Save the resulting sweep definition as a TOML file",
    "fresh": "Start a new sweep instead of resuming a stopped one",
    "epochs": "Epochs of a trial that is not pruned, and of a final",
    "budget": "Epochs of all trials of an optimizer together",
    "trials": "The budget in unpruned trials; pruning allows more",
    "sampler": "How trials are drawn",
    "pruning": "Stop the worse trials early, at the rungs",
    "no_pruning": "Train every trial to its end",
    "asynchronous": "Judge each trial at once; results depend on timing",
    "seeds": "Finals per winner",
    "replicates": "Whole searches per optimizer",
    "margin": "The difference in accuracy that matters to nobody",
    "until": "Train until each pair is decided within this margin",
    "time_limit": "Stop after 90s, 10m or 2h and report the results so far",
    "workers": "The number of workers; by default one per core",
    "slice_seconds": "Seconds per slice; it changes no result",
    "executor": "Where slices run: inline, local or ray",
    "ray_address": "The address of a Ray cluster's head",
    "storage": "A database for Optuna's studies",
    "dry_run": "Print the plan and the expected time; record nothing",
}

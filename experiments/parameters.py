"""What the parameters of `run` and `sweep` say, once for the command line's options and for Python's arguments.

Each text is the beginning of a sentence, which the option's help and the documentation of the argument end.
`tests/experiments/test_parameters.py` holds both, the documents and the fields of a sweep's file against it.
"""

_BOTH = {
    "fast": "Use faster arithmetic, which changes the last bits",
    "data_dir": "A folder with the dataset in torchvision's layout",
    "quiet": "Show no progress",
    "as_json": "Print one JSON document on stdout",
}
RUN = _BOTH | {
    "experiment": "A declared run, or the path of a TOML or Python file",
    "settings": "Values by config key",
    "seed": "The seed of the run",
    "epochs": "How many epochs it trains",
    "resume": "Go on with a run that was stopped",
    "device": "Where it trains",
}
SWEEP = _BOTH | {
    "experiment": "A declared sweep, or the path of a TOML or Python file",
    "optimizers": "Which optimizers are compared",
    "settings": "Values of every run by config key, not searched",
    "search": "What each study searches",
    "name": "What the sweep is called in MLflow",
    "save": "Write what results as a sweep's TOML file",
    "fresh": "Begin anew instead of going on with what was stopped",
    "epochs": "Epochs of a trial that is not pruned, and of a final",
    "budget": "Epochs of all trials of an optimizer together",
    "trials": "The budget in whole trials; pruning makes more of it",
    "sampler": "How trials are drawn",
    "pruning": "Stop the worse trials early, at the rungs",
    "no_pruning": "Train every trial to its end",
    "asynchronous": "Judge trials as they come; timing decides what is tried",
    "seeds": "Finals of each winner",
    "replicates": "Whole searches of each optimizer",
    "margin": "The difference in accuracy that matters to nobody",
    "until": "Go on until each pair is decided within so many points",
    "time_limit": "Stop after 90s, 10m or 2h, and report what there is",
    "device": "Where every run trains",
    "workers": "Slices that train at a time; by default one a core",
    "slice_seconds": "Seconds of a slice; changes no number",
    "executor": "Where slices run: inline, local or ray",
    "ray_address": "The address of a Ray cluster's head",
    "storage": "A database for Optuna's studies",
    "dry_run": "Say what it would do, and for how long; keep nothing",
}

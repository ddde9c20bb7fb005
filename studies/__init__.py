"""Search hyperparameters: a sweep's definition, Optuna studies, coordinator and executors; README.md has a map."""

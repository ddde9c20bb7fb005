"""Search one optimizer's hyperparameters; only this package imports Optuna."""

"""The search of one optimizer's hyperparameters: all that knows Optuna."""

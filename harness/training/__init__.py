"""The training of one config: data, networks, optimizers, the loop, and its state. It knows no MLflow."""

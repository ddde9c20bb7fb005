"""Train one config: data, networks, optimizers, the loop, and the state. This package does not use MLflow."""

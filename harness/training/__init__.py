"""The training of one config: data, networks, optimizers, the loop, and the state that it leaves. It knows no MLflow."""

"""A run of my own network on my own bars."""

from harness.config import RunConfig, with_settings

base = with_settings(
    RunConfig(),
    {
        "dataset.name": "bars:bars",
        "dataset.train_size": 120,
        "dataset.validation_size": 60,
        "dataset.test_size": 60,
        "model.name": "bars:Net",
        "batch_size": 10,
        "threads": 1,
        "epochs": 2,
    },
)
run = with_settings(
    base,
    {"optimizer.name": "adam", "optimizer.lr": 0.05, "schedule.name": "cosine", "gradient_clip_norm": 1.0},
)

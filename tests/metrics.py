"""The part of a run's metrics that must repeat bit by bit: all of it but the durations."""


def numbers(metrics):
    """The epochs as plain values."""
    return [each.model_dump(exclude={"train_seconds", "evaluate_seconds", "images_per_second"}) for each in metrics]

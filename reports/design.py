"""Say in words what a sweep or single run was declared to do: optimizers, budget, finals and data."""

from studies.definition import SweepDefinition


def design(definition: SweepDefinition, single: bool, things: str) -> str:
    """Return sentences on what was declared; `things` are `images` or `rows`."""
    finals, data = _count(definition.final_epochs, "epoch"), _data(definition, things)
    if single:
        return f"{definition.base.optimizer.name}, {finals}, seed {definition.base.seed}. {data}"
    several = definition.replicates > 1
    up_to = "up to " if len(definition.looks_at) > 1 else ""  # a sweep may be decided at an earlier look
    replicates, per = (f" in {up_to}{definition.replicates} replicates", " per replicate") if several else ("", "")
    seeds = f"{'' if several else up_to}{_count(len(definition.final_seeds), 'fresh seed')}"
    return (
        f"{_count(len(definition.optimizers), 'optimizer')}{replicates}. Each optimizer: "
        f"{_count(definition.budget, 'epoch')} of trials{per}, up to {_count(definition.trial_epochs, 'epoch')} per "
        f"trial; finals of {finals} on {seeds}{per}. {data} "
        "Validation selected the winners; only finals were measured on the test set."
    )


def epoch_size(definition: SweepDefinition) -> int | None:
    """Return the training images of an epoch; None if they differ between the runs."""
    sizes = {definition.images(name, 1) for name in definition.optimizers}
    searched = any("dataset.train_size" in definition.searched(name) for name in definition.optimizers)
    return None if searched or len(sizes) > 1 else sizes.pop()


def _data(definition: SweepDefinition, things: str) -> str:
    """Name the dataset, and the number of training images of the base and of each variant with another number."""
    base = definition.base.dataset
    sizes = {name: definition.images(name, 1) for name in definition.optimizers}
    others = [f"{name} ({size:,})" for name, size in sizes.items() if size != base.train_size]
    of_variants = f" Variants with another number: {', '.join(others)}." if others else ""
    return f"Dataset: {base.name}, {base.train_size:,} training {things}.{of_variants}"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"

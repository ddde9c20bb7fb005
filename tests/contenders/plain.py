"""The chapter's loop as a person writes it. Variant: how many workers load the images."""

from pathlib import Path

from tests.chapter import run_chapter
from tests.contenders import THREADS, Timed


def run(folder: Path, epochs: int, variant: str) -> list[Timed]:
    return [
        Timed(epoch.train_seconds + epoch.evaluate_seconds, epoch.correct / 10_000)
        for epoch in run_chapter(folder, epochs, THREADS, int(variant))
    ]

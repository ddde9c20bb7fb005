"""A user's own module, written into the project's folder, so that a test may edit it as a user does."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.config import RunConfig, with_settings
from harness.provenance.origin import remembered_splits

KIT = """
import json
import multiprocessing
import random
import sys
from pathlib import Path

import torch
from torch import nn

from kit_parts.width import WIDTH


def points(by: str = "nothing"):
    images = torch.rand(120, 6, 6, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor(json.loads(Path("labels.json").read_text()))
    places = list(range(120))
    if by == "random":
        random.shuffle(places)
    elif by == "torch":
        places = torch.randperm(120)
    elif by == "hash":
        places.sort(key=lambda place: hash(str(place)))
    elif by == "failing" and "pytest" not in sys.modules:
        print("this is not shown")
        raise LookupError("not here")
    elif by == "worker" and multiprocessing.parent_process():
        places.reverse()
    elif by == "repeats":
        images[60:] = images[:60]
    elif by == "threads":
        images += torch.get_num_threads()
    return images[places], labels


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layers = nn.Linear(36, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 3), nn.LogSoftmax(dim=1)
        self.layers = nn.Sequential(nn.Flatten(), *layers)

    def forward(self, images):
        return self.layers(images)
"""


@dataclass(frozen=True)
class Kit:
    """The file of own parts, a file that it imports, and the file that its data are read from."""

    module: Path
    imported: Path
    labels: Path
    config: RunConfig

    def mend_labels(self) -> None:
        """Write other labels."""
        self.labels.write_text(str([(place + 1) % 3 for place in range(120)]))

    def edit_imported(self, text: str) -> None:
        """Write the imported file, and import the parts anew, as the next process does."""
        self.imported.write_text(text)
        forget()


def forget() -> None:
    """Make this process import the parts anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("kit", "kit_parts")]:
        del sys.modules[name]


@pytest.fixture
def kit(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    (project / "kit_parts").mkdir()
    imported = project / "kit_parts" / "width.py"
    imported.write_text("WIDTH = 4\n")
    (project / "kit.py").write_text(KIT)
    (project / "labels.json").write_text(str([place % 3 for place in range(120)]))
    monkeypatch.syspath_prepend(project)
    remembered_splits.cache_clear()
    settings = {
        "dataset.name": "kit:points",
        "dataset.train_size": 60,
        "dataset.validation_size": 30,
        "dataset.test_size": 30,
        "model.name": "kit:Net",
        "threads": 1,
        "epochs": 2,
    }
    config = with_settings(RunConfig(), settings)
    yield Kit(project / "kit.py", imported, project / "labels.json", config)
    forget()

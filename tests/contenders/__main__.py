"""Run one contender: `python -m tests.contenders MODULE VARIANT FOLDER EPOCHS`. Prints its epochs as JSON."""

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

module, variant, folder, epochs = sys.argv[1:]
timed = importlib.import_module(f"tests.contenders.{module}").run(Path(folder), int(epochs), variant)
print(json.dumps([asdict(epoch) for epoch in timed]))

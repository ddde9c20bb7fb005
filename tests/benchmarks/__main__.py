"""Run the benchmarks named on the command line, or all; one in which something must be better stops no other."""

import importlib
import os
import pkgutil
import sys

from tests import benchmarks

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # some of them import MLflow themselves
names = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__")
failed = False
for name in sys.argv[1:] or names:
    module = importlib.import_module(f"tests.benchmarks.{name}")
    print(f"## {name}: {module.main.__doc__}", flush=True)
    try:
        module.main()
    except AssertionError as error:
        print(f"{name}: {error}", file=sys.stderr, flush=True)
        failed = True
sys.exit(failed)

"""Run the benchmarks named on the command line, or all."""

import importlib
import pkgutil
import sys

from tests import benchmarks

names = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__")
for name in sys.argv[1:] or names:
    module = importlib.import_module(f"tests.benchmarks.{name}")
    print(f"## {name}: {module.main.__doc__}", flush=True)
    module.main()

"""`python -m harness` is the `harness` command, which a package above this one has: found as it is installed."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:  # the current folder is first here, and last for the command: it hides no module
        sys.path.append(sys.path.pop(0))
    from importlib.metadata import distribution

    commands = distribution("optimizer-harness").entry_points.select(group="console_scripts")
    sys.exit(commands["harness"].load()())

"""The default sweep beside the usual Optuna and MLflow example: what each tries in the same time, and finds."""

import tempfile
from pathlib import Path

from scipy import stats

from tests.contenders.record import contend, record
from tests.contenders.sweeps import (
    Sweeps,
    best_finals,
    default_sweep,
    finals,
    require_small_workers,
    table,
    times_as_many,
)
from tests.mnist_folder import write_mnist

ROUNDS = 2  # each of other seeds, so that the finals are not of one lucky or unlucky search
PLAIN = "optuna-plain"
LEAST = {"float32": 7.0, "fast": 10.0}  # times as many configurations a second


def main() -> None:
    """one replicate of `make sweep` against one Optuna study with a plain loop, in the same time"""
    measured: Sweeps = {}
    with tempfile.TemporaryDirectory() as folder:
        write_mnist(Path(folder))

        def sweep(name: str, module: str, variant: str) -> None:
            measured.setdefault(name, []).extend(contend(module, variant, Path(folder), default_sweep().final_epochs))
            print(f"{name}: {measured[name][-1]}", flush=True)

        for seed in range(ROUNDS):
            for precision in LEAST:
                sweep(precision, "our_sweep", f"{seed} {precision} 2")
            sweep(PLAIN, "optuna_plain", f"{round(measured['float32'][-1]['seconds'])} {seed}")

    ratios = times_as_many(measured, LEAST, PLAIN)
    record("default_sweep", measured, ratios, LEAST, table(measured, ratios, "times as many"))
    require_small_workers(measured)
    for precision in LEAST:
        ours, plain = measured[precision], measured[PLAIN]
        best = best_finals(ours), best_finals(plain)
        worse = {
            "best winner": stats.ttest_ind(*best, equal_var=False, alternative="less"),
            # by ranks: a mean would be that of an optimizer which the example hardly tried
            "winners": stats.mannwhitneyu(finals(ours), finals(plain), alternative="less"),
        }
        for whose, test in worse.items():
            print(f"{precision}: finals of the {whose} worse than optuna-plain's, p {test.pvalue:.3f}", flush=True)
            assert test.pvalue > 0.05, f"{precision}: finals of the {whose} are worse, p {test.pvalue:.3f}"

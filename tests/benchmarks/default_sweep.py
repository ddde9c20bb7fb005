"""The default sweep beside the usual Optuna and MLflow example: seconds until the winners are known."""

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
    times_sooner,
)
from tests.mnist_folder import write_mnist

ROUNDS = 2  # each of other seeds, so that the finals are not of one lucky or unlucky search
PLAIN = "optuna-plain"
LEAST = {"float32": 3.5, "fast": 5.0}


def main() -> None:
    """`make sweep`, its first replicate, against one Optuna study with a plain loop and as many configurations"""
    measured: Sweeps = {}
    with tempfile.TemporaryDirectory() as folder:
        write_mnist(Path(folder))

        def sweep(name: str, module: str, variant: str) -> None:
            measured.setdefault(name, []).extend(contend(module, variant, Path(folder), default_sweep().final_epochs))
            print(f"{name}: {measured[name][-1]}", flush=True)

        for seed in range(ROUNDS):
            for precision in LEAST:
                sweep(precision, "our_sweep", f"{seed} {precision} 2")
            sweep(PLAIN, "optuna_plain", f"{measured['float32'][-1]['configurations']} {seed}")

    ratios = times_sooner(measured, LEAST, PLAIN)
    record("default_sweep", measured, ratios, LEAST, table(measured, ratios))
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

"""What a person says of a declared sweep: optimizers, settings, spaces, finals, replicates, a margin, a deadline."""

import json
import signal

import pytest

from experiments import catalog
from experiments.adjusting import Adjustments, adjusted, name_of, redeclared, seconds_of
from experiments.saving import save_sweep
from experiments.spaces import SHARED, SPACES, shared_space
from harness.errors import BadInputError
from studies.space import Choice, Range
from tests import tiny

DECAY = Range(low=1e-5, high=1e-1, log=True)


def changed(**said):
    return adjusted(tiny.definition(), Adjustments(**said))


def test_no_adjustments_change_nothing():
    assert changed() == tiny.definition()
    assert Adjustments().words == []


def test_adjustments_are_in_the_definition_and_in_the_command_that_resumes():
    said = Adjustments(trials=10, replicates=3, margin=0.1, sampler="prior", no_pruning=True, asynchronous=True)
    definition = adjusted(tiny.definition(), said)
    assert (definition.budget, definition.replicates, definition.margin) == (20, 3, 0.1)
    assert (definition.sampler, definition.pruning, definition.asynchronous) == ("prior", False, True)
    assert said.words == [
        *("--trials", "10", "--replicates", "3", "--margin", "0.1", "--sampler", "prior"),
        *("--no-pruning", "--async"),
    ]


def test_the_device_applies_to_all_runs_and_an_unavailable_one_is_refused():
    definition = changed(device="cpu", fast=True)
    assert (definition.base.device, definition.base.memory_format) == ("cpu", "channels_last")
    assert Adjustments(device="cpu").words == ["--device", "cpu"]
    with pytest.raises(BadInputError, match="device 'cuda:99' is not available"):
        changed(device="cuda:99")


def test_added_optimizers_get_default_spaces_and_declared_spaces_are_kept():
    declared = tiny.definition()
    now = redeclared(declared, Adjustments(optimizers=("adam", "rmsprop", "pytorch_optimizer:Lion")))
    assert now.optimizers == ("adam", "rmsprop", "pytorch_optimizer:Lion")
    assert now.spaces["adam"] == declared.spaces["adam"]
    assert now.spaces["rmsprop"] == SPACES["rmsprop"]
    assert now.spaces["pytorch_optimizer:Lion"]["optimizer.lr"].start == 1e-4
    assert "sgd" not in now.spaces
    assert now.space == declared.space


def test_a_setting_applies_to_every_run_and_is_not_searched_any_more():
    declared = catalog.load_sweep("smoke").sweep
    settings = {"batch_size": 64, "model.dropout": [0.0, 0.1], "optimizer.weight_decay": 1e-4}
    now = redeclared(declared, Adjustments(settings=settings))
    assert now.space.keys() == SHARED.keys() - {"batch_size", "model.dropout.0", "model.dropout.1"}
    for name in declared.optimizers:
        config = now.example(name)
        assert (config.batch_size, config.model.dropout, config.optimizer.weight_decay) == (64, (0.0, 0.1), 1e-4)
        assert config.optimizer.name == name


def test_a_setting_of_the_optimizer_applies_to_variants_too():
    variants = catalog.load_sweep("activations").sweep
    now = redeclared(variants, Adjustments(settings={"optimizer.eps": 1e-4}))
    assert {now.example(name).optimizer.eps for name in now.optimizers} == {1e-4}
    assert [now.example(name).model.activation for name in now.optimizers] == list(now.optimizers)


def test_an_added_dimension_is_searched_for_every_optimizer():
    searched = {"optimizer.weight_decay": DECAY, "model.dropout": Choice(choices=(0.0, 0.3))}
    now = redeclared(tiny.definition(), Adjustments(search=searched))
    for name in now.optimizers:
        assert now.searched(name)["optimizer.weight_decay"] == DECAY
        assert now.searched(name)["model.dropout"] == Choice(choices=(0.0, 0.3))
        assert "optimizer.lr" in now.searched(name)


def test_fields_of_the_old_network_are_not_searched_for_another_network():
    declared = catalog.load_sweep("smoke").sweep
    model = {"model.name": "tests.own.shapes:Small", "model.width": 4}
    now = redeclared(declared, Adjustments(settings=model, search={"model.classes": Choice(choices=(10, 11))}))
    assert [key for key in now.space if key.startswith("model.")] == ["model.classes"]


def test_the_default_space_fits_the_dataset_and_the_network():
    declared = catalog.load_sweep("optimizers").sweep
    now = redeclared(declared, Adjustments(settings={"dataset.name": "wine", "model.name": "mlp"}))
    assert now.base.dataset.train_size == 88
    assert now.space == shared_space(now.base)
    assert now.spaces == declared.spaces
    assert redeclared(declared, Adjustments(settings={"dataset.name": "digits"})).space == declared.space
    said = {"model.name": "mlp", "model.dropout": 0.1}
    assert redeclared(declared, Adjustments(settings=said)).space.keys() == {"batch_size", "model.activation"}


def test_declared_dimensions_are_kept_on_another_dataset_and_a_grid_gets_no_dimensions():
    sizes = Choice(choices=(10, 20))
    declared = redeclared(catalog.load_sweep("smoke").sweep, Adjustments(search={"batch_size": sizes}))
    few = {"dataset.name": "digits", "dataset.train_size": 40, "dataset.validation_size": 10}
    assert redeclared(declared, Adjustments(settings=few)).space["batch_size"] == sizes
    grid = catalog.load_sweep("learning-rate").sweep
    assert redeclared(grid, Adjustments(settings={"model.name": "mlp"})).space == {}


def test_epochs_apply_to_trials_and_finals_and_the_number_of_trials_stays_the_same():
    now = redeclared(tiny.definition(), Adjustments(epochs=4))
    assert (now.trial_epochs, now.final_epochs, now.budget) == (4, 4, 16)
    assert adjusted(now, Adjustments(budget=12)).budget == 12


def test_a_warm_up_may_be_as_long_as_the_epochs_that_are_given_with_it():
    warm_up = {"schedule.name": "cosine", "schedule.warm_up_epochs": 3}
    now = redeclared(tiny.definition(), Adjustments(settings=warm_up, epochs=4))
    assert (now.example("adam").epochs, now.example("adam").schedule.warm_up_epochs) == (4, 3)
    with pytest.raises(BadInputError, match=r"schedule.warm_up_epochs 3.0: expected 0 to epochs \(2\)"):
        redeclared(tiny.definition(), Adjustments(settings=warm_up, epochs=2))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"settings": {"epochs": 3}}, "epochs 3 is set for every run, but trials and finals have epochs of their"),
        ({"search": {"optimizer.lr": DECAY}, "settings": {"optimizer.lr": 0.1}}, "search 'optimizer.lr' is also set"),
        ({"optimizers": ("adm",)}, "did you mean 'adam'"),
        ({"settings": {"batch_sise": 1}}, "setting 'batch_sise' is unknown"),
        ({"search": {"epochs": DECAY}}, "epochs can't be searched"),
        ({"search": {"optimizer.betas.0": DECAY}}, "space of 'sgd': setting 'optimizer.betas.0' is unknown"),
        ({"budget": 4, "trials": 2}, "budget 4 is given together with"),
    ],
)
def test_contradictory_or_unknown_adjustments_are_refused_in_one_line(said, message):
    with pytest.raises(BadInputError) as caught:
        adjusted(redeclared(tiny.definition(), Adjustments(**said)), Adjustments(**said))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_same_adjustments_give_the_same_name_and_others_give_another_name():
    def named(**said):
        adjustments = Adjustments(**said)
        return name_of("tiny", tiny.definition(), redeclared(tiny.definition(), adjustments), adjustments)

    one = {"settings": {"batch_size": 64}}
    assert named() == named(seeds=5, replicates=3) == "tiny"
    assert named(**one) == named(**one, seeds=5) != named(settings={"batch_size": 32})
    assert named(**one).startswith("tiny-")
    assert named(**one, name="mine") == "mine"


def test_adjustments_are_written_as_options_of_the_command():
    said = Adjustments(
        optimizers=("adam", "sgd"), settings={"model.dropout": [0, 0.1]}, search={"optimizer.lr": DECAY}, name="mine"
    )
    assert said.words == [
        *("--optimizers", "adam,sgd"),
        *("--set", "model.dropout=[0, 0.1]", "--search", "optimizer.lr=log(1e-05, 0.1)", "--name", "mine"),
    ]


@pytest.mark.parametrize("name", ["smoke", "optimizers", "activations", "null"])
def test_a_saved_file_declares_the_same_sweep(name, tmp_path):
    declared = catalog.load_sweep(name)
    said = Adjustments(settings={"batch_size": 64}, search={"optimizer.weight_decay": DECAY}, margin=0.1)
    definition = adjusted(redeclared(declared.sweep, said), said)
    path = tmp_path / "mine.toml"
    save_sweep(path, declared, definition)
    assert catalog.load_sweep(str(path)).sweep == definition
    with pytest.raises(BadInputError, match="already exists"):
        save_sweep(path, declared, definition)
    with pytest.raises(BadInputError, match=r"ends with \.toml"):
        save_sweep(tmp_path / "mine.json", declared, definition)
    with pytest.raises(BadInputError, match="can't be written"):
        save_sweep(tmp_path / "none" / "mine.toml", declared, definition)


@pytest.mark.parametrize(("count", "seeds"), [(1, (1,)), (2, (1, 2)), (5, (1, 2, 3, 4, 5))])
def test_added_finals_use_the_seeds_after_the_declared_ones(count, seeds):
    assert changed(seeds=count).final_seeds == seeds


def test_looks_are_cut_or_extended_to_the_number_of_finals():
    looks = tiny.definition().model_copy(update={"final_seeds": tuple(range(1, 9)), "looks": (4, 8)})
    assert adjusted(looks, Adjustments(seeds=16)).looks_at == (4, 8, 16)
    assert adjusted(looks, Adjustments(seeds=6)).looks_at == (4, 6)
    assert adjusted(looks, Adjustments(replicates=3, seeds=2)).looks_at == (3,)


def test_until_a_margin_sets_the_looks_and_the_largest_number_of_finals():
    finals = changed(until=0.2)
    assert (finals.margin, finals.looks_at, len(finals.final_seeds)) == (0.2, (8, 16, 32), 32)
    several = changed(until=0.2, replicates=3)
    assert (several.margin, several.looks_at, several.replicates) == (0.2, (3, 6, 12), 12)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_a_duration_is_in_seconds_minutes_or_hours(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["10", "0m", "m", "ten minutes", "-5m"])
def test_an_invalid_duration_is_refused(text):
    with pytest.raises(BadInputError, match="such as 90s"):
        seconds_of(text)


@pytest.mark.slow
def test_a_sweep_stops_at_its_time_limit_with_a_report_and_can_be_resumed(sweep):
    stopped = sweep("--for", "9s", "--slice-seconds", "0.1", "--trials", "400", "--json", TINY_IMAGES="800")
    printed = stopped.end_with(0)
    assert "the time limit is reached" in printed
    assert "run the same command again to resume the sweep" in printed
    assert json.loads(printed[printed.index("\n{") + 1 :])["outcome"] == "killed"


@pytest.mark.slow
def test_ctrl_c_ends_the_sweep_with_a_report_of_its_results_so_far(sweep):
    started = sweep("--trials", "400", TINY_IMAGES="800")
    started.wait_for("epoch ", times=3)
    started.signal_group(signal.SIGINT)
    printed = started.end_with(130)
    assert "No final has completed, so there is no answer" in printed
    assert "report: " in printed

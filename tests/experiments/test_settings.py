"""What is typed after --set is a literal of JSON or of Python, or else text."""

import pytest

SMALL = ("--data-dir", "data", "--set", "dataset.train_size=320", "--set", "dataset.validation_size=160")
OWN = ("run", "chapter", "--epochs", "1", *SMALL, "--set", "model.name=tests.own.signatures:Annotated")


def said(settings: dict[str, str]) -> list[str]:
    return [word for key, text in settings.items() for word in ("--set", f"{key}={text}")]


def test_json_and_python_literals_become_values_and_text_fields_keep_text(harness_json, data):
    texts = {"hidden": "False", "tag": "32", "limit": "None", "either": '"3"', "sizes": "(3, 4)", "drop": "1e-3"}
    found = harness_json(*OWN, *said({f"model.{key}": text for key, text in texts.items()}))["config"]["model"]
    meant = {"hidden": False, "tag": "32", "limit": None, "either": "3", "sizes": [3, 4], "drop": 1e-3}
    assert {key: found[key] for key in meant} == meant
    texts = {"hidden": "true", "tag": '"32"', "limit": "null", "either": "3", "sizes": "[3]", "mode": "sum"}
    found = harness_json(*OWN, *said({f"model.{key}": text for key, text in texts.items()}))["config"]["model"]
    meant = {"hidden": True, "tag": "32", "limit": None, "either": 3, "sizes": [3], "mode": "sum"}
    assert {key: found[key] for key in meant} == meant


@pytest.mark.long
def test_false_in_python_and_in_json_train_the_same(harness_json, data):
    adam = {"optimizer.name": "torch.optim:Adam"}
    numbers = [
        harness_json(*OWN, *said(adam | {"model.hidden": false, "optimizer.amsgrad": amsgrad}))["state_hash"]
        for false, amsgrad in (("False", "False"), ("false", "false"), ("True", "False"), ("False", "True"))
    ]
    assert numbers[0] == numbers[1]
    assert len({*numbers}) == 3


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("model.hidden", "no"),
        ("model.hidden", '"False"'),
        ("model.drop", "None"),
        ("model.drop", '"0.5"'),
        ("model.width", "8.5"),
        ("optimizer.lr", "True"),
        ("batch_size", "true"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name_in_one_line(harness, data, key, text):
    result = harness(*OWN, *said({key: text}))
    assert result.returncode == 2
    assert key.rpartition(".")[2] in result.stderr
    assert len(result.stderr.splitlines()) == 1

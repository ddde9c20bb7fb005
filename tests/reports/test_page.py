"""The report is one self-contained page that shows what MLflow recorded and claims no more."""

import csv
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from harness.records import Divergence
from reports.caveats import caveats
from reports.contents import contents
from reports.figures.svg import FORMATS
from reports.page import build_report, note
from reports.shown_tables import shown_tables
from reports.tables import epochs_frame, runs_frame
from studies.replicates import confirming
from tests.reports.sweeps import CHILDREN, changed, mistakes, run, source
from tests.tiny import one_figure

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def report():
    """Return the report of the small sweep, drawn once for all tests that read it."""
    return build_report(source())


def rows(files, name):
    return list(csv.DictReader(io.StringIO(files[f"tables/{name}.csv"].decode())))


def test_summary_counts_finals_and_outcomes_best_first():
    said = contents(source())
    assert said.summary["optimizer"].tolist() == ["adam", "sgd"]
    assert said.summary["mean"].round(4).tolist() == [0.965, 0.915]
    assert said.summary["diverged"].tolist() == [1, 0]
    assert said.tables["winners"]["validation_accuracy"].tolist() == [0.8, 0.7]


def test_every_section_of_a_sweep_is_on_the_page_with_its_figures_in_words(report):
    page = report.files["report.html"].decode()
    sections = re.findall("<h2>(.*?)</h2>", page)
    assert sections == [
        "Final accuracy",
        "Convergence",
        "Time and cost",
        "Tuning",
        "Winners",
        "What the models get wrong",
        "How it was made",
    ]
    for name, picture in contents(source()).pictures.items():
        assert len(picture.finding) > 30, name
        assert picture.finding.replace("'", "&#39;") in page, name
    pictures = len(contents(source()).pictures)
    assert page.count('role="img"') == pictures >= 13
    assert page.count("<svg") - page.count('<svg class="chip"') == 2 * pictures
    for final in (each for each in CHILDREN if each.tags["harness.stage"] == "final"):
        assert f"harness reproduce {final.run_id}" in page
    markdown = report.files["report.md"].decode()
    assert [line[3:] for line in markdown.splitlines() if line.startswith("## ")] == sections
    for picture in re.findall(r"\(figures/(.*)-page\.svg\)", markdown):
        assert f"figures/{picture}-page.svg" in report.files


@pytest.mark.long
def test_hostile_names_are_escaped_wherever_they_appear():
    hostile = '<script>alert("1")</script> | \U0001f525 `' + "x" * 300
    definition = changed(optimizers=("sgd", "adam", hostile))
    tags = {"mlflow.source.git.commit": hostile, "harness.torch": hostile}
    children = [*CHILDREN, run(hostile, "trial", 0, [0.6]), run(hostile, "final", 1, [0.5])]
    files = build_report(source(children, definition, **tags)).files
    page = files["report.html"].decode()
    assert page.count("<script") == 1, "the page's own"
    assert page.count("&lt;script&gt;") > 5
    assert "src=" not in page
    text = [line for line in files["report.md"].decode().splitlines() if not line.startswith("    ")]  # less code
    assert not any("<script" in line.replace(r"\<script", "") for line in text)
    assert not any("<script" in content.decode() for name, content in files.items() if name.endswith(".svg"))
    assert all(re.fullmatch(r"[a-z/.-]+", name) for name in files)


def test_a_subset_is_marked_on_page_figures_and_every_row(report):
    assert "Subset." in report.files["report.html"].decode()
    tables = [content.decode().splitlines() for name, content in report.files.items() if name.endswith(".csv")]
    assert all(line.endswith(",True") for table in tables for line in table[1:])
    assert len(tables) == 10


def digests():
    """Return the digest of each file of the report."""
    return {
        name: hashlib.sha256(content).hexdigest() for name, content in build_report(source(), FORMATS).files.items()
    }


PRINT_DIGESTS = "import json; from tests.reports.test_page import digests; print(json.dumps(digests()))"


@pytest.mark.slow
def test_same_data_give_the_same_bytes_in_any_process():
    another = subprocess.Popen(
        [sys.executable, "-c", PRINT_DIGESTS],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1"},  # this one's is random
        stdout=subprocess.PIPE,
    )
    here = digests()
    assert json.loads(another.communicate()[0]) == here
    assert {name.rpartition(".")[2] for name in here} == {"html", "md", "json", "csv", "svg", "png", "pdf"}


def test_the_page_is_small(report):
    assert len(report.files["report.html"]) < 3e6


def test_the_json_document_follows_its_schema_and_agrees_with_the_page(report):
    document = json.loads(report.files["report.json"])
    jsonschema.validate(document, json.loads(report.files["report.schema.json"]))
    assert tuple(document["answer"]) == report.answer
    adam, sgd = document["optimizers"]["adam"], document["optimizers"]["sgd"]
    assert (round(adam["mean"], 4), adam["seeds"], adam["trials"]) == (0.965, 2, 2)
    assert (adam["outcomes"], adam["epochs_spent"]) == ({"completed": 1, "diverged": 1}, 3)
    assert (adam["best"], adam["best_validation_accuracy"]) == ({"optimizer.lr": 0.1, "batch_size": 32}, 0.7)
    assert adam["edges"] == "optimizer.lr 0.1, widen above"
    assert adam["ci"][0] < adam["mean"] < adam["ci"][1]
    assert (sgd["final_seeds"], sgd["finals"], sgd["selected_mean"]) == ([1, 2], [0.91, 0.92], 0.915)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document | {"answer": None}, json.loads(report.files["report.schema.json"]))


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("killed", "The sweep ended as killed"),
        ("failed", "The sweep ended as failed"),
        (None, "The sweep has not ended"),
    ],
)
def test_a_sweep_that_is_not_complete_says_so(outcome, words):
    unfinished = source(CHILDREN[:2])
    tags = {key: value for key, value in unfinished.sweep.tags.items() if key != "harness.outcome"}
    unfinished.sweep.tags.clear()
    unfinished.sweep.tags.update(tags | ({"harness.outcome": outcome} if outcome else {}))
    with one_figure():
        page = build_report(unfinished).files["report.html"].decode()
    assert "Not complete." in page
    assert words in page


def without(measures, child):
    return [name for name in list(child.history) if name.startswith(measures)]


def missing(*measures):
    children = [run("adam", "trial", 0, [0.7, 0.8]), run("adam", "final", 1, [0.9, 0.95])]
    for child in children:
        for name in [each for each in child.history if each.startswith(measures)]:
            del child.history[name]
    return children


@pytest.mark.slow
@pytest.mark.parametrize(
    "children",
    [
        [],
        [run("adam", "trial", 0, [0.7])],
        [run("adam", "trial", 0, [])],
        [run("adam", "trial", 0, [0.7]), run("adam", "final", 1, [0.9])],
        [run("adam", "trial", number, [], "diverged") for number in range(3)],
        [run("adam", "trial", 0, [0.7]), run("adam", "final", 1, [], "diverged")],
        [run(name, "final", 1, [0.9]) for name in ("adam", "sgd")],
        missing("validation", "seconds"),
        missing("test"),
        missing("train", "validation", "test", "seconds"),
    ],
    ids=[
        "nothing yet",
        "one trial",
        "no epoch",
        "one optimizer, trial, epoch and seed",
        "all diverged",
        "diverged final",
        "no trial",
        "no validation, no durations",
        "no test accuracy",
        "no metric at all",
    ],
)
def test_incomplete_data_still_give_a_page(children):
    files = build_report(source(children)).files
    assert "<h1>" in files["report.html"].decode()
    assert files["report.md"].startswith(b"# ")
    jsonschema.validate(json.loads(files["report.json"]), json.loads(files["report.schema.json"]))


@pytest.mark.long
def test_a_resumed_sweep_is_running_everywhere():
    stopped = source(CHILDREN, **{"harness.outcome": "killed"})
    with one_figure():
        files = build_report(replace(stopped, sweep=replace(stopped.sweep, status="RUNNING"))).files
    assert "The sweep has not ended" in files["report.html"].decode()
    assert json.loads(files["report.json"])["outcome"] == "running"
    assert "; it has not ended yet;" in json.loads(files["report.json"])["answer"][1]


def test_finals_of_an_earlier_winner_count_only_as_compute():
    superseded = run("adam", "final", 1, [0.99, 0.99])
    superseded.params["optimizer.lr"] = "0.05"
    earlier = replace(superseded, run_id="earlier")
    said = contents(source([*CHILDREN, earlier]))
    assert said.finals == contents(source()).finals
    assert (said.computed.compute.runs, said.computed.compute.epochs) == (
        len(CHILDREN) + 1,
        contents(source()).computed.compute.epochs + 2,
    )


@pytest.mark.parametrize(
    ("completed", "confirm", "said"),
    [
        (1, False, "No search completed more than one trial."),
        (2, False, "Since it is the best of up to 2, it is likely to be too high"),
        (
            2,
            True,
            "Since it is the best of up to 2, it is likely to be too high",
        ),  # of so few trials no winner is confirmed
    ],
)
def test_a_winners_validation_accuracy_is_called_too_high_only_if_it_is_the_best_of_several(completed, confirm, said):
    children = [run("adam", "trial", number, [0.7 + number / 100]) for number in range(completed)]
    tables = shown_tables(contents(source(children, changed(confirm=confirm))))
    assert said in tables["winners"].note


def test_winners_are_said_to_be_confirmed_on_more_seeds_only_once_they_are():
    children = [run("adam", "trial", number, [0.7 + number / 100]) for number in range(20)]
    definition = changed(confirm=True, budget=20)
    assert confirming(definition)
    before = shown_tables(contents(source(children, definition)))["winners"].note
    assert before.endswith("it is likely to be too high; the test accuracy of the finals is not.")
    again = run("adam", "confirmation", 19, [0.8])
    after = shown_tables(contents(source([*children, again], definition)))["winners"].note
    assert after.startswith("The best trials of each search were trained again on more seeds.")


def test_a_running_final_is_in_no_mean_and_reaches_no_target():
    running = replace(run("adam", "final", 3, [0.99]), status="RUNNING")
    said = contents(source([*CHILDREN, running]))
    assert said.finals == contents(source()).finals
    assert "3" not in said.tables["targets"]["seed"].tolist()


def ended(child, outcome, **tags):
    return replace(child, tags=child.tags | {"harness.outcome": outcome} | tags)


@pytest.mark.long
def test_the_causes_of_incomplete_trials_and_finals_are_reported():
    batch = "ValueError: Expected more than 1 value\nper channel, got [1, 20] in /home/me/study/net.py"
    where = Divergence(epoch=2, step=7, split="train").model_dump_json()
    children = [
        run("sgd", "trial", 0, [0.8]),
        *(ended(run("adam", "trial", number, []), "failed", **{"harness.error": batch}) for number in (0, 1)),
        ended(run("adam", "trial", 2, []), "failed", **{"harness.error": "KeyError: 'x'"}),
        ended(run("adam", "trial", 3, []), "diverged", **{"harness.divergence": where}),
        ended(run("adam", "trial", 4, [0.7]), "completed", **{"harness.error": "KeyError: 'before it went on'"}),
        *(run("sgd", "final", seed, [0.5, 0.90 + seed / 100]) for seed in (1, 2)),
        ended(run("adam", "final", 1, []), "diverged", **{"harness.divergence": where}),
        ended(run("adam", "final", 2, []), "failed"),
    ]
    with one_figure():
        report = build_report(source(children))
    short = "ValueError: Expected more than 1 value per channel, got [1, 20] in net.py"
    not_finite = "the train loss is not finite at epoch 2, step 7"
    failures = [(row["stage"], row["outcome"], row["cause"], row["runs"]) for row in rows(report.files, "failures")]
    assert failures == [
        ("trial", "failed", short, "2"),
        ("trial", "failed", "KeyError: 'x'", "1"),
        ("final", "diverged", not_finite, "1"),
        ("final", "failed", "", "1"),
    ]
    assert json.loads(report.files["report.json"])["failures"][0]["cause"] == short
    assert f"3 trials failed and used up budget (most often {short})" in report.answer[1]
    assert f"nothing is claimed about adam, since finals did not complete ({not_finite})" in report.answer[1]
    page = report.files["report.html"].decode()
    assert page.count(short) == 1 + 1  # in the answer, and in the table of failures
    assert "before it went on" not in page
    assert "not recorded" in page


def test_finals_that_are_equal_to_the_last_digit_are_found_alone_and_together():
    def children(losses):
        found = []
        for name, of_seeds in losses.items():
            for seed, loss in enumerate(of_seeds):
                final = run(name, "final", seed, [0.9])
                final.history["test/loss"] = {1: loss}
                found.append(final)
        return found

    def found(**losses):
        made = children(losses)
        runs = runs_frame(made, epochs_frame(made))
        return [(each.optimizers, each.seeds) for each in caveats(runs, {}, list(losses)).equal]

    assert found(adam=[0.1, 0.2], sgd=[0.3, 0.4]) == []  # of equal accuracy, as of small test sets
    assert found(adam=[0.1], sgd=[0.1]) == []  # one seed says nothing
    assert found(adam=[0.1, 0.1, 0.1], sgd=[0.3, 0.4, 0.5]) == [(("adam",), 3)]
    assert found(adam=[0.1, 0.2], sgd=[0.1, 0.2], lion=[0.1, 0.2, 0.3]) == [(("adam", "sgd", "lion"), 2)]
    assert found(adam=[0.1, 0.2], sgd=[0.2, 0.1]) == []
    assert found(adam=[float("nan")] * 2, sgd=[float("nan")] * 2) == []


def test_the_majority_is_the_most_frequent_class_of_the_test_set():
    confusion = ((1, 2, 0), (0, 0, 0), (1, 1, 0))
    counted = mistakes(2).model_copy(update={"confusion": confusion, "class_names": tuple("abc")})
    runs = runs_frame([], epochs_frame([]))
    assert caveats(runs, {"final": counted}, []).majority == ("a", 0.6)
    assert caveats(runs, {}, []).majority is None


def test_a_winner_at_the_edge_of_its_range_is_marked_wherever_its_result_appears(report):
    by_name = report.summary.set_index("optimizer")
    assert by_name["edges"].to_dict() == {"adam": "optimizer.lr 0.1, widen above", "sgd": ""}
    assert "not fully tuned, since the best value is at the edge of its range: adam" in report.answer[1]
    page = report.files["report.html"].decode()
    assert re.search(r'<th scope="row">(<svg.*?</svg>)?adam\*</th>', page)
    assert re.search(r'<th scope="row">(<svg.*?</svg>)?sgd</th>', page)
    assert rows(report.files, "winners")[1]["edges"] == "optimizer.lr 0.1, widen above"


def test_last_and_selected_epoch_are_separate_and_seconds_are_over_all_finals():
    sliding = run("adam", "final", 3, [0.9, 0.99, 0.5])
    sliding.history["test/accuracy"] = {1: 0.8, 2: 0.85, 3: 0.6}
    other = run("adam", "final", 4, [0.9, 0.9, 0.9])
    slow = run("adam", "final", 1, [0.9, 0.9, 0.9])
    slow.history["seconds/train"] = dict.fromkeys((1, 2, 3), 2.5)
    said = contents(source([run("adam", "trial", 0, [0.7]), sliding, other, slow]))
    (kept,) = said.tables["runs"][said.tables["runs"]["seed"] == "3"].to_dict("records")
    assert (kept["test_accuracy"], kept["selected_epoch"], kept["selected_test_accuracy"]) == (0.6, 2, 0.85)
    adam = said.summary.set_index("optimizer").loc["adam"]
    assert adam["train_seconds"] == pytest.approx((0.5 + 0.5 + 2.5) / 3)
    assert round(adam["selected_mean"], 4) == round((0.85 + 0.9 + 0.9) / 3, 4)


def test_the_description_in_mlflow_holds_the_answer_once_however_often_it_is_written(report):
    once = note("what it was before", report)
    assert report.answer[0] in once.replace("\\", "")
    assert "| adam\\* | 1 | 96.50 |" in once
    assert once.endswith("what it was before")
    assert note(once, report) == once

"""What a model gets wrong is kept with every run that saw the test set, agrees with it, and outlives a crash."""

import base64
import json
from collections import Counter
from hashlib import sha256

import pytest
import torch

from harness.config import DATASETS, RunConfig, with_settings
from harness.records import MISTAKES_ARTIFACT, Mistake, Mistakes
from harness.run import begin_run, checkpoint_folder, complete_run, resume_run
from harness.training.checkpoint import load_latest
from harness.training.data import load_splits
from harness.training.images import Split
from harness.training.mistakes import find_mistakes
from tests.memory_tracker import MemoryTracker


class Stopped(Exception):  # noqa: N818
    pass


class LosesMistakes(MemoryTracker):
    """Stop once when the mistakes are about to be stored."""

    lost = False

    def log_artifact(self, run_id, name, content):
        if name == MISTAKES_ARTIFACT and not self.lost:
            self.lost = True
            raise Stopped
        super().log_artifact(run_id, name, content)


def complete(config: RunConfig, tracker: MemoryTracker, data):
    return complete_run(begin_run(config, tracker, "tiny", data), tracker, data)


def recorded(tracker: MemoryTracker, run_id: str) -> Mistakes:
    return Mistakes.model_validate_json(tracker.runs[run_id].artifacts[MISTAKES_ARTIFACT])


def test_a_matrix_that_does_not_fit_into_memory_is_left_out():
    labels = torch.tensor([0, 199_999])
    outputs = torch.zeros(2, 200_000)
    assert find_mistakes(outputs, Split(torch.zeros(2, 8), labels), tuple(map(str, range(200_000)))) is None


@pytest.mark.long
def test_the_mistakes_of_a_run_agree_with_its_accuracy_and_its_test_set(config: RunConfig, data):
    tracker = MemoryTracker()
    record = complete(with_settings(config, {"epochs": 2, "evaluation_batch_size": 100}), tracker, data)
    mistakes = recorded(tracker, record.run_id)
    test = load_splits(config.dataset, "cpu", data).test

    assert mistakes.class_names == DATASETS["mnist"].class_names
    assert sum(mistakes.confusion[label][label] for label in range(10)) / len(test) == record.epochs[-1].test_accuracy
    assert [sum(row) for row in mistakes.confusion] == torch.bincount(test.labels, minlength=10).tolist()
    wrong = Counter((each.ground_truth, each.prediction) for each in mistakes.most_confident)
    assert all(truth != prediction for truth, prediction in wrong)
    assert all(count <= mistakes.confusion[truth][prediction] for (truth, prediction), count in wrong.items())
    assert len(mistakes.most_confident) == 20
    assert {each.index for each in mistakes.most_confident} <= set(mistakes.wrong)
    assert len(mistakes.wrong) == len(test) - sum(mistakes.confusion[label][label] for label in range(10))
    for each in mistakes.most_confident:
        assert base64.b64decode(each.pixels) == bytes(test.images[each.index].flatten().tolist())
        assert each.ground_truth == test.labels[each.index]


def test_the_most_confident_mistakes_come_first_and_ties_are_in_image_order():
    probabilities = torch.tensor([[0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.7, 0.3], [0.1, 0.9], [0.7, 0.3]])
    split = Split(
        torch.arange(6, dtype=torch.uint8).reshape(6, 1, 1).expand(6, 28, 28), torch.tensor([0, 0, 0, 1, 1, 1])
    )
    mistakes = find_mistakes(probabilities.log(), split, ("a", "b"))
    assert mistakes.confusion == ((1, 2), (2, 1))
    assert [each.index for each in mistakes.most_confident] == [1, 2, 3, 5]
    assert [each.prediction for each in mistakes.most_confident] == [1, 1, 0, 0]
    assert [each.probability for each in mistakes.most_confident] == pytest.approx([0.8, 0.7, 0.7, 0.7])
    assert base64.b64decode(mistakes.most_confident[1].pixels) == bytes([2]) * 28 * 28


def test_mistakes_keep_pixels_and_shape_of_images_and_older_mistakes_have_mnists_shape():
    images = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5).to(torch.uint8)
    wrong = torch.tensor([[0.1, 0.9], [0.2, 0.8]]).log()
    labels = torch.tensor([0, 0])
    colour, grey, rows = (
        find_mistakes(wrong, Split(each, labels), ("a", "b")).most_confident[0]
        for each in (images, images[:, 0], images[:, 0, 0].float())
    )
    assert (colour.shape, base64.b64decode(colour.pixels)) == (
        (4, 5, 3),
        images[0].permute(1, 2, 0).numpy().tobytes(),
    )
    assert (grey.shape, base64.b64decode(grey.pixels)) == ((4, 5), images[0, 0].numpy().tobytes())
    assert (rows.shape, rows.pixels) == ((), "")
    before = {key: each for key, each in grey.model_dump().items() if key != "shape"}
    assert Mistake.model_validate(before).shape == (28, 28)


@pytest.mark.parametrize(("outputs", "names", "label"), [(4, 2, 1), (2, 4, 1), (2, 2, 2)])
def test_outputs_names_and_labels_that_do_not_match_are_refused(outputs, names, label):
    split = Split(torch.zeros(1, 28, 28, dtype=torch.uint8), torch.tensor([label]))
    with pytest.raises(ValueError, match="as many outputs as names"):
        find_mistakes(torch.zeros(1, outputs), split, tuple(map(str, range(names))))


def test_predictions_outside_the_classes_of_the_data_are_counted_separately():
    said = torch.eye(4)[[3, 0, 1]].log()  # the last of four for the first of two
    split = Split(torch.zeros(3, 28, 28, dtype=torch.uint8), torch.tensor([0, 0, 1]))
    assert find_mistakes(said, split, tuple("abcd")).confusion == ((1, 0, 0, 1), (0, 1, 0, 0), (0,) * 4, (0,) * 4)


def test_only_the_twenty_most_confident_mistakes_are_kept():
    probabilities = torch.linspace(0.51, 0.99, 30)
    split = Split(torch.zeros(30, 28, 28, dtype=torch.uint8), torch.ones(30, dtype=torch.int64))
    mistakes = find_mistakes(torch.stack([probabilities, 1 - probabilities], dim=1).log(), split, ("a", "b"))
    assert [each.index for each in mistakes.most_confident] == list(range(29, 9, -1))
    assert mistakes.confusion == ((0, 0), (30, 0))


@pytest.mark.long
def test_a_run_stopped_before_its_mistakes_were_stored_stores_them_on_resume(config: RunConfig, data):
    config = with_settings(config, {"epochs": 2})
    alone, stopped = MemoryTracker(), LosesMistakes()
    expected = complete(config, alone, data)
    run = begin_run(config, stopped, "tiny", data)
    with pytest.raises(Stopped):
        complete_run(run, stopped, data)
    assert MISTAKES_ARTIFACT not in stopped.runs[run.run_id].artifacts
    complete_run(resume_run(run.run_id, stopped, data), stopped, data)
    assert recorded(stopped, run.run_id) == recorded(alone, expected.run_id)


def test_a_run_whose_checkpoint_is_from_before_mistakes_were_kept_ends_without_them(config: RunConfig, data):
    tracker = LosesMistakes()
    run = begin_run(with_settings(config, {"epochs": 1}), tracker, "tiny", data)
    with pytest.raises(Stopped):
        complete_run(run, tracker, data)
    forget_mistakes(checkpoint_folder(run.run_id))
    record = complete_run(resume_run(run.run_id, tracker, data), tracker, data)
    assert record.outcome == "completed"
    assert MISTAKES_ARTIFACT not in tracker.runs[run.run_id].artifacts


def forget_mistakes(folder):
    """Rewrite the checkpoint as it was written before."""
    (path,) = folder.glob("*.checkpoint")
    metrics, _, state = path.read_bytes().partition(b"\n")[2].partition(b"\n")
    values = json.loads(metrics)
    assert values.pop("mistakes")
    body = json.dumps(values).encode() + b"\n" + state
    path.write_bytes(sha256(body).hexdigest().encode() + b"\n" + body)
    assert load_latest(folder).epochs


def test_a_run_that_diverged_has_no_mistakes(config: RunConfig, data):
    tracker = MemoryTracker()
    wild = {"optimizer.name": "sgd", "optimizer.lr": 1e6, "optimizer.weight_decay": 1.0, "epochs": 1}
    record = complete(with_settings(config, wild), tracker, data)
    assert record.outcome == "diverged"
    assert MISTAKES_ARTIFACT not in tracker.runs[record.run_id].artifacts

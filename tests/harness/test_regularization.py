"""Label smoothing, gradient clipping and augmentation do what they say, and are off by default."""

import pytest
import torch
from torch.nn import functional as F

from harness.config import AugmentationConfig, DatasetConfig, RunConfig, with_settings
from harness.training.augmentation import build_augmentation
from harness.training.data import load_splits
from harness.training.evaluation import evaluate
from harness.training.images import Splits, normalize
from harness.training.loop import initial_state, train_epoch
from tests.metrics import in_slices, numbers
from tests.training import train_epochs

EVERYTHING = {
    "optimizer.name": "adam",
    "schedule.name": "cosine",
    "schedule.warm_up_epochs": 0.5,
    "label_smoothing": 0.1,
    "gradient_clip_norm": 1.0,
    "augmentation.rotation": 10.0,
    "augmentation.translation": 0.1,
    "augmentation.scale": 0.1,
    "augmentation.horizontal_flip": 0.5,
    "epochs": 4,
}


@pytest.fixture(scope="module")
def smaller() -> Splits:
    """Return training images for three batches, of which the last is not full."""
    return load_splits(DatasetConfig(train_size=150, validation_size=50), "cpu")


@pytest.mark.long
@pytest.mark.parametrize("more", [{}, {"schedule.name": "one-cycle"}, {"schedule.name": "step"}], ids=str)
def test_a_run_with_all_regularization_gives_the_same_results_in_slices(smaller, config: RunConfig, more):
    settings = {key: value for key, value in EVERYTHING.items() if not (more and key.startswith("schedule"))}
    config = with_settings(config, settings | more)
    whole = train_epochs(config, initial_state(config), smaller, 4, ["validation"])
    state, metrics = in_slices(config, smaller, 4, ["validation"])
    assert state.hash() == whole.state.hash()
    assert numbers(metrics) == numbers(whole.metrics)


@pytest.mark.long
@pytest.mark.parametrize("key", [key for key in EVERYTHING if key not in ("optimizer.name", "epochs")])
def test_each_setting_changes_the_trained_weights(small, config: RunConfig, key):
    plain = train_epochs(config, initial_state(config), small, 1, [])
    config = with_settings(config, {key: 0.01 if key == "gradient_clip_norm" else EVERYTHING[key]})
    other = train_epochs(config, initial_state(config), small, 1, [])
    assert not torch.equal(other.state.model["conv1.weight"], plain.state.model["conv1.weight"])


class Recorder(torch.optim.SGD):
    """Keeps the norm of all gradients of every step."""

    norms: list[float]

    def step(self, closure=None):
        gradients = [each.grad.flatten() for group in self.param_groups for each in group["params"]]
        self.norms.append(float(torch.cat(gradients).norm()))
        super().step(closure)


def test_gradients_are_clipped_to_the_norm(small, config: RunConfig):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10), torch.nn.LogSoftmax(dim=1))
    optimizer = Recorder(model.parameters(), lr=0.1)
    norms = {}
    for limit in (0.0, 0.25):
        optimizer.norms = []
        train_epoch(model, optimizer, small.train, with_settings(config, {"gradient_clip_norm": limit}))
        norms[limit] = max(optimizer.norms)
    assert norms[0.0] > 0.26
    assert norms[0.25] == pytest.approx(0.25, rel=1e-4)


def test_the_smoothed_loss_is_cross_entropy_with_smoothing_and_evaluation_is_not_smoothed(small, config: RunConfig):
    config = with_settings(config, {"label_smoothing": 0.2, "batch_size": 640, "epochs": 1})
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10), torch.nn.LogSoftmax(dim=1))
    still = torch.optim.SGD(model.parameters(), lr=1e-30)
    losses = train_epoch(model, still, small.train, config).losses
    outputs = model(normalize(small.train.images[:], config.dataset)).detach()
    by_hand = 0.8 * F.nll_loss(outputs, small.train.labels) - 0.2 * outputs.mean()
    assert losses.tolist() == pytest.approx([float(by_hand)], rel=1e-5)
    assert evaluate(model, small.train, config)[0] == pytest.approx(float(F.nll_loss(outputs, small.train.labels)))


def test_each_image_is_augmented_differently_and_the_same_seed_repeats_it(small):
    augment = build_augmentation(AugmentationConfig(rotation=15, translation=0.1, scale=0.1, horizontal_flip=0.5))
    same = small.train.images[:1].expand(8, -1, -1)
    torch.manual_seed(1)
    once = augment(same)
    torch.manual_seed(1)
    assert torch.equal(augment(same), once)
    assert (once.shape, once.dtype) == (same.shape, torch.uint8)
    assert len({each.numpy().tobytes() for each in once}) == 8
    assert not torch.equal(augment(same), once)


@pytest.mark.parametrize(
    "kind", [{"rotation": 15}, {"translation": 0.2}, {"scale": 0.3}, {"horizontal_flip": 1}], ids=str
)
def test_each_kind_of_augmentation_alone_changes_images(small, kind):
    images = small.train.images[:8]
    assert not torch.equal(build_augmentation(AugmentationConfig(**kind))(images), images)


def test_a_flip_without_other_augmentation_only_mirrors_the_image(small):
    augment = build_augmentation(AugmentationConfig(horizontal_flip=1.0))
    assert torch.equal(augment(small.train.images[:4]), small.train.images[:4].flip(-1))


def test_no_augmentation_is_built_by_default():
    assert build_augmentation(AugmentationConfig()) is None

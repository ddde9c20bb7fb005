"""Parts of a user's own, for the tests of them."""

# settings of a run with a dataset, a model and an optimizer of a user's own
PARTS = {
    "dataset.name": "tests.own.shapes:bars",
    "dataset.train_size": 240,
    "dataset.validation_size": 80,
    "dataset.test_size": 80,
    "model.name": "tests.own.shapes:Small",
    "model.width": 16,
    "optimizer.name": "pytorch_optimizer:Lion",  # with a None among its defaults
    "optimizer.betas.0": 0.8,
}

"""Read a dataset that scikit-learn contains, and draw its test part."""

import functools

import torch

from harness.config import DATASETS
from harness.config.registry import DatasetName, ScikitLearn
from harness.training.images import Split, divided

TEST_SEED = 0  # decides the test part, which is the same for all runs


@functools.cache
def read_scikit_learn(name: DatasetName) -> tuple[Split, Split]:
    """Return the training and the test part: images uint8 (n, height, width), or rows float32 (n, features)."""
    # imported here, because scikit-learn takes a second and most runs do not need it
    from sklearn import datasets

    known = DATASETS[name]
    source = known.source
    assert isinstance(source, ScikitLearn), "of another library"
    found = getattr(datasets, source.name)()
    values, labels = torch.from_numpy(found.data), torch.from_numpy(found.target).to(torch.int64)
    if source.scale is not None:
        values = (values * source.scale).round().to(torch.uint8).reshape(-1, *known.shape[1:])
    images = values if source.scale is not None else values.to(torch.float32)
    return divided(Split(images, labels), known.test_images, TEST_SEED)


def scikit_learn_source(name: DatasetName) -> str:
    """Return the loader that a dataset comes from, as `module:name`."""
    return f"sklearn.datasets:{DATASETS[name].source.name}"

"""Provide the chapter's network to the tests of the harness, since a small one hides faults of images and kernels."""

import pytest

from harness.config import RunConfig


@pytest.fixture
def config(of_convnet: RunConfig) -> RunConfig:
    return of_convnet

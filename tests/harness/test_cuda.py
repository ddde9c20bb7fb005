"""On a CUDA device a run repeats, is sliced and is moved bit by bit, and agrees with the CPU within tolerance."""

import pytest
import torch

from harness.config import OPTIMIZER_CONFIGS, DatasetConfig, RunConfig, with_settings
from harness.provenance.environment import environment
from harness.training.data import load_splits
from harness.training.determinism import isolated
from harness.training.devices import resolve_device
from harness.training.loop import initial_state
from harness.training.state import RunState
from tests.metrics import numbers
from tests.training import train_epochs

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


@pytest.fixture(scope="module")
def splits():
    return load_splits(DatasetConfig(train_size=640, validation_size=320), "cuda")


@pytest.fixture
def cuda_config(config: RunConfig) -> RunConfig:
    return with_settings(config, {"device": "cuda"})


@pytest.mark.parametrize("name", OPTIMIZER_CONFIGS)
def test_slices_through_bytes_equal_one_run(splits, cuda_config, name):
    config = with_settings(cuda_config, {"optimizer.name": name})
    whole = train_epochs(config, initial_state(config), splits, 3, ["validation"])
    state, metrics = initial_state(config), ()
    for _ in range(3):
        ended = train_epochs(config, RunState.from_bytes(state.to_bytes()), splits, 1, ["validation"])
        state, metrics = ended.state, metrics + ended.metrics
    assert state.hash() == whole.state.hash()
    assert numbers(metrics) == numbers(whole.metrics)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_a_run_repeats_bit_by_bit_whatever_the_generators_were(splits, cuda_config, precision, memory_format):
    config = with_settings(cuda_config, {"precision": precision, "memory_format": memory_format})
    hashes = set()
    for seed in (1, 2):
        torch.cuda.manual_seed(seed)
        hashes.add(train_epochs(config, initial_state(config), splits, 2, ["test"]).state.hash())
    assert len(hashes) == 1


def test_it_starts_from_the_cpus_weights_and_ends_near_the_cpus_loss(splits, small, config, cuda_config):
    on_cpu, on_gpu = initial_state(config), initial_state(cuda_config)
    assert all(torch.equal(on_cpu.model[name], weight) for name, weight in on_gpu.model.items())
    config, cuda_config = (with_settings(each, {"model.dropout": [0, 0]}) for each in (config, cuda_config))
    expected = train_epochs(config, initial_state(config), small, 1, ["validation"]).metrics[0]
    actual = train_epochs(cuda_config, initial_state(cuda_config), splits, 1, ["validation"]).metrics[0]
    assert actual.train_loss == pytest.approx(expected.train_loss, rel=0.05)
    assert actual.validation_loss == pytest.approx(expected.validation_loss, rel=0.25)


def test_what_is_not_deterministic_is_refused_by_name(cuda_config):
    with isolated(cuda_config), pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
        torch.nn.functional.adaptive_avg_pool2d(
            torch.ones(1, 1, 4, 4, device="cuda", requires_grad=True), 3
        ).sum().backward()


def test_the_device_is_found_and_recorded():
    assert resolve_device("auto") == "cuda"
    assert resolve_device("cuda:0") == "cuda:0"
    assert environment()["gpus"][0] == torch.cuda.get_device_name(0)

"""The networks are the chapter's and a plain one, made for their images, in the memory format that they are given."""

import pytest
import torch
from torch import nn

from harness.config import RunConfig, with_settings
from harness.training.networks import new_model
from tests import chapter


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gradients_have_the_memory_format_of_the_model_and_images(config: RunConfig, memory_format):
    model = new_model(config).to(memory_format=memory_format)
    formats = []
    model.dropout1.register_full_backward_hook(lambda *hooked: formats.append(hooked[2][0]))
    images = torch.rand(4, 1, 28, 28).to(memory_format=memory_format)
    model(images).sum().backward()
    (gradient,) = formats
    assert gradient.is_contiguous(memory_format=memory_format)


def test_the_network_on_mnist_has_the_chapters_initial_weights_bit_by_bit():
    torch.manual_seed(0)
    theirs = chapter.ConvNet()
    torch.manual_seed(0)
    ours = new_model(RunConfig())
    pairs = list(zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True))
    assert len(pairs) == 8
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize(
    ("dataset", "features"), [("digits", 128), ("usps", 1_152), ("mnist", 4_608), ("svhn", 6_272)]
)
def test_the_convnet_fits_the_image_size_and_classes_of_each_dataset(dataset, features):
    config = with_settings(RunConfig(), {"dataset.name": dataset})
    model = new_model(config)
    assert (model.conv1.in_channels, model.linear1.in_features) == (config.dataset.known.shape[0], features)
    assert model.linear2.out_features == len(config.dataset.known.class_names)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "sigmoid"])
def test_the_mlp_equals_plain_torch_layers_bit_by_bit(activation):
    settings = {"dataset.name": "digits", "model.name": "mlp", "model.hidden": [20, 10], "model.dropout": 0.3}
    config = with_settings(RunConfig(), settings | {"model.activation": activation})
    kinds = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}

    def hidden(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Linear(inputs, outputs), kinds[activation](), nn.Dropout(0.3)]

    torch.manual_seed(0)
    theirs = nn.Sequential(nn.Flatten(), *hidden(64, 20), *hidden(20, 10), nn.Linear(10, 10), nn.LogSoftmax(dim=1))
    images = torch.randn(6, 1, 8, 8)
    their_outputs = theirs(images)
    torch.manual_seed(0)
    ours = new_model(config)
    images = torch.randn(6, 1, 8, 8)
    assert torch.equal(ours(images), their_outputs)
    assert torch.equal(ours.eval()(images), theirs.eval()(images))

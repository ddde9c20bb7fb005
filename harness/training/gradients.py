"""Compute the gradients of a batch: operation by operation, or by replaying one CUDA graph."""

from collections.abc import Callable

import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F  # noqa: N812

from harness.config import AugmentationConfig, OwnConfig, RunConfig
from harness.training.augmentation import build_augmentation
from harness.training.evaluation import forward
from harness.training.images import Split
from harness.training.networks import gives_logits
from harness.training.optimizers import needs_closure

Gradients = Callable[[Tensor], tuple[Tensor, Tensor]]
EAGER_STEPS = 3  # steps before the capture, in which torch and cuDNN set up what they can't set up during a capture


def gradients_of(model: nn.Module, optimizer: optim.Optimizer, data: Split, config: RunConfig) -> Gradients:
    """Return a function that computes the gradient of each parameter for a batch, given its indices (n,) in `data`.

    The function returns the mean loss () and the number of correct images (), both on the device of the data. These
    tensors are valid until its next call.
    """
    augment = build_augmentation(config.augmentation)

    def compute(batch: Tensor) -> tuple[Tensor, Tensor]:
        images, labels = data.images[batch], data.labels[batch]
        outputs = forward(model, augment(images) if augment else images, config)
        loss = _training_loss(outputs, labels, config)
        optimizer.zero_grad()
        loss.backward()
        if config.gradient_clip_norm:
            nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip_norm)
        return loss.detach(), (outputs.detach().argmax(dim=1) == labels).sum()

    is_replayed = is_captured(config, optimizer)
    return _Replayed(compute, tuple(model.parameters()), config.batch_size) if is_replayed else compute


def is_captured(config: RunConfig, optimizer: optim.Optimizer) -> bool:
    """Return whether gradients are replayed as a CUDA graph: on CUDA, if only our code and torch's compute them.

    A graph would repeat what the user's own code did once, even if it depends on a random draw or a value.
    Augmentation draws random numbers on the CPU, and a closure must draw the same numbers again; a graph can do
    neither.
    """
    owns = isinstance(config.model, OwnConfig) or isinstance(config.optimizer, OwnConfig)
    varies = owns or needs_closure(optimizer) or config.augmentation != AugmentationConfig()
    return config.device.startswith("cuda") and not varies


class _Replayed:
    """Compute the gradients of whole batches with one launch of a CUDA graph, bit-identical to `compute`.

    A step of a small network has about sixty kernels; the host needs more time to launch them than the GPU to run
    them. The optimizer's step is not in the graph, because it uses numbers of the host that change from step to step.
    """

    def __init__(self, compute: Gradients, parameters: tuple[nn.Parameter, ...], size: int) -> None:
        self.compute, self.parameters, self.size = compute, parameters, size
        self.eager_steps = EAGER_STEPS
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        if self.eager_steps > 0 or len(batch) != self.size:
            self.eager_steps -= 1
            return self.compute(batch)
        self.graph = self.graph or self._captured(batch)
        self.batch.copy_(batch)
        # a smaller batch in between has replaced the parameters' gradients
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        self.graph.replay()
        return self.result

    def _captured(self, batch: Tensor) -> torch.cuda.CUDAGraph:
        """Record the operations of `compute` without running them, and the tensors that will hold their results."""
        self.batch, graph = batch.clone(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=torch.cuda.Stream()):
            self.result = self.compute(self.batch)
        self.gradients = [parameter.grad for parameter in self.parameters]
        return graph


def _training_loss(outputs: Tensor, labels: Tensor, config: RunConfig) -> Tensor:
    """Return the mean loss over the batch.

    Cross-entropy also works on log-probabilities, because log_softmax does not change them.
    """
    if config.label_smoothing or gives_logits(config.model):
        return F.cross_entropy(outputs, labels, label_smoothing=config.label_smoothing)
    return F.nll_loss(outputs, labels)

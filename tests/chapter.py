"""The chapter's program as a person would type it: torchvision and torch, nothing of ours but a data folder."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn, optim
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.cn1 = nn.Conv2d(1, 16, 3, 1)
        self.cn2 = nn.Conv2d(16, 32, 3, 1)
        self.dp1 = nn.Dropout2d(0.10)
        self.dp2 = nn.Dropout(0.25)
        self.fc1 = nn.Linear(4608, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.cn1(x))
        x = F.relu(self.cn2(x))
        x = F.max_pool2d(x, 2)
        x = torch.flatten(self.dp1(x), 1)
        x = self.dp2(F.relu(self.fc1(x)))
        return F.log_softmax(self.fc2(x), dim=1)


@dataclass
class Epoch:
    losses: list[float]
    test_loss: float
    correct: int
    train_seconds: float
    evaluate_seconds: float


def read(folder: Path) -> tuple[datasets.MNIST, datasets.MNIST]:
    """The images to train and to test on, of the MNIST in `folder`, in torchvision's layout."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1302,), (0.3069,))])
    return tuple(datasets.MNIST(folder, train=train, transform=transform) for train in (True, False))


def run_chapter(folder: Path, epochs: int, threads: int, workers: int = 0, device: str = "cpu") -> list[Epoch]:
    """Seed 0, Adadelta 0.5, batches of 32 and 500, the images loaded by so many workers."""
    images_to_train, images_to_test = read(folder)
    train = DataLoader(images_to_train, batch_size=32, shuffle=True, num_workers=workers)
    test = DataLoader(images_to_test, batch_size=500, num_workers=workers)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = ConvNet().to(device)
    optimizer = optim.Adadelta(model.parameters(), lr=0.5)
    done = []
    for _ in range(epochs):
        started = time.perf_counter()
        losses = []
        model.train()
        for images, labels in train:
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            loss = F.nll_loss(model(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        train_seconds = time.perf_counter() - started
        started = time.perf_counter()
        model.eval()
        test_loss, correct = 0.0, 0
        with torch.no_grad():
            for images, labels in test:
                images, labels = images.to(device), labels.to(device)
                predicted = model(images)
                test_loss += F.nll_loss(predicted, labels, reduction="sum").item()
                correct += int((predicted.argmax(dim=1) == labels).sum())
        evaluate_seconds = time.perf_counter() - started
        done.append(Epoch(losses, test_loss / len(test.dataset), correct, train_seconds, evaluate_seconds))
    torch.set_num_threads(before)
    return done

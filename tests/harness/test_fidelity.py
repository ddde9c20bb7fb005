"""A run equals the plain PyTorch loop of the chapter, loss by loss and bit by bit."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from harness.config import RunConfig
from harness.data import Split, normalize
from harness.model import ConvNet
from harness.optimizers import build_optimizer
from harness.state import capture, restore
from harness.training import advance, initial_state, train_epoch


class ChapterNet(nn.Module):
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


class PlainDataset(Dataset):
    def __init__(self, split: Split):
        self.split = split
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1302,), (0.3069,))])

    def __len__(self):
        return len(self.split)

    def __getitem__(self, index):
        return self.transform(self.split.images[index].numpy()), int(self.split.labels[index])


def chapter_losses(train: Split, test: Split, epochs: int) -> list[list[float]]:
    torch.manual_seed(0)
    model = ChapterNet()
    optimizer = torch.optim.Adadelta(model.parameters(), lr=0.5)
    losses = []
    for _ in range(epochs):
        losses.append([])
        model.train()
        for images, labels in DataLoader(PlainDataset(train), batch_size=32, shuffle=True):
            loss = F.nll_loss(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
        model.eval()
        with torch.no_grad():
            for images, _ in DataLoader(PlainDataset(test), batch_size=500):
                model(images)
    return losses


def test_every_loss_of_two_epochs_equals_the_chapters_loop(small, config: RunConfig):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        expected = chapter_losses(small.train, small.validation, epochs=2)

        state = initial_state(config)
        actual = []
        for _ in range(2):
            model = ConvNet(config.model)
            optimizer = build_optimizer(config.optimizer, model.parameters())
            restore(state, config, model, optimizer)
            losses, _, _ = train_epoch(model, optimizer, small.train, config)
            torch.empty((), dtype=torch.int64).random_()
            actual.append(losses.tolist())
            state = capture(config, state.epoch + 1, model, optimizer)
    torch.set_num_threads(threads)
    assert actual == expected
    assert advance(config, initial_state(config), small, 2, ["test"]).state.hash() == state.hash()


def test_normalize_equals_torchvision_bit_by_bit(small):
    plain = PlainDataset(small.train)
    assert torch.equal(normalize(small.train.images[:50]), torch.stack([plain[index][0] for index in range(50)]))

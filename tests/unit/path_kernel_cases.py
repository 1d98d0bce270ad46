"""What tests of several files about the same need."""

import torch
from torch import nn

from neighborhoods.networks.architectures import fully_connected

OPTIMISERS = [{}, {"batch_size": 8}, {"momentum": 0.9, "weight_decay": 0.02}, {"momentum": 0.9, "batch_size": 7}]


def data(n=12, features=3, classes=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, features, generator=generator, dtype=torch.float64)
    return x, torch.randint(classes, (n,), generator=generator)


def network(hidden=(6, 5), features=3, classes=2, seed=0):
    torch.manual_seed(seed)
    return fully_connected((features,), hidden, classes).double()


def smooth(features=3, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(features, 4), nn.Tanh(), nn.Linear(4, 4), nn.Softplus(), nn.Linear(4, 2)).double()


class Shared(nn.Module):
    """The same layer twice."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.last = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.last(torch.tanh(self.inner(torch.tanh(self.inner(x)))))


def largest(difference):
    return float(difference.detach().abs().max())

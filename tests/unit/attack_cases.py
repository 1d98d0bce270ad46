"""What tests of several files about the same need."""

import torch
from torch import nn

CLASSES = 5
STEPS = {"epsilon": 0.1, "step_size": 0.02, "steps": 8}
SETTINGS = {
    "fgsm": {"epsilon": 0.1},
    "fgm_l2": {"epsilon": 0.6},
    "igsm": STEPS,
    "bim": STEPS,
    "mifgsm": STEPS,
    "pgd": STEPS,
    "rfgsm": {"epsilon": 0.1, "step_size": 0.04},
    "rfgsm_iterated": STEPS,
    "apgd_ce": {"epsilon": 0.1, "steps": 8},
    "apgd_dlr": {"epsilon": 0.6, "steps": 8, "norm": "l2"},
    "cw": {"c": 1.0, "adam_steps": 30, "search_steps": 3},
    "deepfool": {},
    "jsma": {"pixel_share": 0.6},
    "lbfgs": {"c": 0.01, "max_steps": 30},
}


class Negative(nn.Module):
    """A network all of whose logits are negative."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x) - 1000.0


def linear(classes=CLASSES, scale=40.0, seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, classes)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    return model


class Flat(nn.Module):
    """Logits without gradient."""

    def forward(self, x):
        return x.flatten(1)[:, :CLASSES] * 0.0 + torch.arange(CLASSES, 0, -1).to(x)


class Broken(nn.Module):
    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, x):
        return self.output(x)

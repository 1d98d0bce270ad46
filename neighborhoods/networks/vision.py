"""The one place where torchvision is imported."""

from types import ModuleType

import torch

# The schemas of operators that torchvision's compiled part would register; nothing here calls them.
_SCHEMAS = {name: "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for name in ("nms", "qnms")}


def torchvision_models() -> ModuleType:
    """`torchvision.models`, also beside a CPU build of torch.

    torchvision's Linux wheel is linked against CUDA. Beside a CPU build of torch its compiled part does not load, and
    its Python part then fails over an operator of detection networks that nobody defined; with a schema in its place
    everything but detection works.

    Raises:
        RuntimeError: torchvision cannot be imported for another reason.
    """
    try:
        from torchvision import models
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name, schema in _SCHEMAS.items():
            torch.library.define(f"torchvision::{name}", schema)
        from torchvision import models
    return models


def imagenet_classes() -> list[str]:
    """Names of the 1000 classes of ImageNet-1k, in the order of their numbers."""
    return list(torchvision_models().get_model_weights("vgg16").DEFAULT.meta["categories"])

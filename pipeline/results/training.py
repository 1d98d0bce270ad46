"""What training epoch by epoch stores of its epochs."""

from collections.abc import Mapping

import numpy as np

from pipeline.store import Writer

CROSS_ENTROPY = ("mean cross-entropy of the images trained on", "nat")
L1 = ("mean absolute difference from the target logits, over classes and images trained on", "1")
KL = ("mean over images trained on of T^2 times the divergence from the teacher's softmax at temperature T", "nat")
HISTORY = {
    "l1": L1,
    "kl": KL,
    "train_accuracy": ("share of correct images of those trained on", "1"),
    "validation_accuracy": ("share of correct validation images after the epoch", "1"),
    "test_accuracy": ("share of correct test images after the epoch", "1"),
    "learning_rate": ("learning rate", "1"),
}


def put_history(file: Writer, history: Mapping[str, np.ndarray], loss: tuple[str, str] = CROSS_ENTROPY) -> None:
    """Store numbers of each epoch [epochs] below history/.

    Args:
        history: by name, `loss` or one of HISTORY.
        loss: description and units of what was minimized.
    """
    for name, values in history.items():
        description, units = loss if name == "loss" else HISTORY[name]
        file.put(f"history/{name}", values, description, ("epoch",), units)

"""Lines that are to cross decision boundaries: between natural images, and from these to adversarial ones."""

from torch import Tensor

from neighborhoods.boundary import logits_in_batches
from neighborhoods.sampling import Classifier


def natural_lines(
    model: Classifier, x: Tensor, label: Tensor, lines: int, *, batch_size: int = 4096
) -> tuple[Tensor, Tensor]:
    """Lines between correctly classified images of different classes, each image in one line only.

    Args:
        model: images [B, ...] to logits [B, classes]. x: images in random order [n, ...]. label: true classes [n].
        lines: at most.

    Returns:
        Start and end of each line [lines, ...]; images of which the model errs are left out.
    """
    right = logits_in_batches(model, x, batch_size).argmax(1) == label.to(x.device)
    rows = right.nonzero()[:, 0]
    half = len(rows) // 2
    first, second = rows[:half], rows[half : 2 * half]
    differ = (label.to(x.device)[first] != label.to(x.device)[second]).nonzero()[:lines, 0]
    return x[first[differ]], x[second[differ]]

"""Images nearest by the cosine of their logits, and how alike they look (Seguin, section 4.3 and figure B.3)."""

from dataclasses import dataclass

import torch
from torch import Tensor

# Distances of a block of queries to all images take this many values at most.
VALUES = 2**24


@dataclass(frozen=True)
class Nearest:
    """The images nearest to each query.

    Attributes:
        index: [query, neighbour], nearest first. cosine: of their logits [query, neighbour].
        same_class: share of them that have the query's class [query].
        log_distance: ln of their mean pixel distance to the query over that of the other images of the query's class
            [query]; below 0 they look more like it than its class does. nan where the class has no others, or the
            nearest are the same image again.
    """

    index: Tensor
    cosine: Tensor
    same_class: Tensor
    log_distance: Tensor


def nearest_by_logits(logits: Tensor, x: Tensor, label: Tensor, query: Tensor, count: int) -> Nearest:
    """The `count` nearest of all images, other than the query itself, by the cosine of their logits.

    Args:
        logits: [image, class]. x: images [image, ...]. label: classes [image]. query: positions among them [query].
        count: neighbours of each.

    Raises:
        ValueError: fewer images than that, besides the query.
    """
    if not 0 < count < len(x):
        raise ValueError(f"expected 1 to {len(x) - 1} neighbours among {len(x)} images, found {count}")
    direction = torch.nn.functional.normalize(logits.double(), dim=1)
    pixels = x.flatten(1).double()
    parts = []
    for rows in query.split(max(1, VALUES // len(x))):
        cosine = direction[rows] @ direction.T
        itself = torch.arange(len(x), device=x.device) == rows[:, None]
        # Stable: equal cosines in the order of the images, on any machine.
        order = cosine.masked_fill(itself, -torch.inf).argsort(dim=1, descending=True, stable=True)[:, :count]
        alike = label == label[rows][:, None]
        others = alike & ~itself
        usual = (torch.cdist(pixels[rows], pixels) * others).sum(1) / others.sum(1)
        # By differences: a product of matrices leaves equal images apart by its rounding, of which this takes the ln.
        near = torch.linalg.vector_norm(pixels[order] - pixels[rows][:, None], dim=2).mean(1)
        ratio = (near / usual).log()
        share = alike.gather(1, order).double().mean(1)
        parts.append((order, cosine.gather(1, order), share, ratio.where(ratio.isfinite(), torch.nan)))
    return Nearest(*(torch.cat(part) for part in zip(*parts, strict=True)))

"""When the sum of kernel machines over the steps is one kernel machine (Bell, section 17.3; equations 48 to 75, 100).

It is where each training point's coefficients keep their sign, and more simply where they do not change at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from neighborhoods.path_kernel.kernel_machine import coefficients, path_kernel
from neighborhoods.path_kernel.path import Path, train_path
from neighborhoods.statistics.intervals import Estimate, share


@dataclass(frozen=True)
class Signs:
    """Coefficients of N training points over a path.

    Attributes:
        changing: share of the points of which a coefficient takes both signs, with its Clopper-Pearson interval.
        drift: largest |a_{i,s} - a_{i,0}| over all points, steps and outputs, in units of the largest |a_{i,0}|; 0
            where the coefficients are constant in s.
    """

    changing: Estimate
    drift: float


def signs(coefficients: Tensor, confidence: float = 0.95) -> Signs:
    """Signs of the coefficients a_{i,s} of every step and training point, as `path_kernel.coefficients` gives them.

    Args:
        coefficients: [S, N, K]. Zeros have no sign.

    Raises:
        ValueError: no steps or points.
    """
    if coefficients.ndim != 3 or 0 in coefficients.shape:
        raise ValueError(f"expected coefficients [S, N, K] of steps and points, found {tuple(coefficients.shape)}")
    both = ((coefficients > 0).any(0) & (coefficients < 0).any(0)).any(1)
    drift = (coefficients - coefficients[0]).abs().max() / coefficients[0].abs().max()
    return Signs(share(both.cpu().numpy(), confidence), float(torch.nan_to_num(drift)))


@dataclass(frozen=True)
class Case:
    """A loss and the outputs that its coefficients belong to.

    Attributes:
        loss, outputs: as for `train_path` and `coefficients`.
        single: one output, a sigmoid's logit or a number to fit, for two classes.
        collapses: whether the coefficients are said to be constant in s (equation 100).
    """

    loss: str
    outputs: str
    single: bool = False
    collapses: bool = False

    @property
    def name(self) -> str:
        """Name of the results."""
        return f"{self.loss}-{self.outputs}" + ("-single" if self.single else "")


CASES = (
    Case("cross_entropy", "log_softmax", collapses=True),
    Case("cross_entropy", "logits"),
    Case("binary_cross_entropy", "probabilities", single=True),
    Case("squared_error", "logits"),
    Case("squared_error", "logits", single=True),
)


def signs_of(
    case: Case, model: nn.Module, x: Tensor, y: Tensor, *, learning_rate: float, steps: int
) -> tuple[Signs, Path]:
    """Train by a case's loss and look at the signs of the coefficients.

    Args:
        model: start of the training, with one output where the case has a single one. x, y: training points, labels.

    Returns:
        The signs, and the path.

    Raises:
        ValueError: a case of a single output with labels other than 0 and 1.
    """
    if case.single and not bool(torch.isin(y, torch.tensor([0, 1])).all()):
        raise ValueError(f"expected labels 0 and 1 for one output, found up to {int(y.max())}")
    targets = y[:, None].double() if case.single and case.loss == "squared_error" else y
    path = train_path(model, x, targets, learning_rate=learning_rate, steps=steps, loss=case.loss)
    return signs(coefficients(model, path, outputs=case.outputs)), path


@dataclass(frozen=True)
class Gaps:
    """Largest |y_0(x) + sum_i k(x, x_i) a_{i,0} - y_S(x)|: errors of one machine with the first step's coefficients.

    Attributes:
        whole: k is the kernel summed over the steps, all K x K entries of it. diagonal: without those across classes,
            as equation 102 has it.
    """

    whole: float
    diagonal: float


def single_machine_gaps(case: Case, model: nn.Module, path: Path, queries: Tensor) -> Gaps:
    """How far one kernel machine is from the trained network's outputs on queries [Q, ...]."""
    result = path_kernel(model, path, queries, outputs=case.outputs, kernel=True)
    if result.kernel is None:
        raise ValueError("expected a kernel, found none")
    first = coefficients(model, path, outputs=case.outputs)[0]
    sums = (torch.einsum(products, result.kernel, first) for products in ("qnkl,nl->qk", "qnkk,nk->qk"))
    return Gaps(*(float((result.start + each - result.network).abs().max()) for each in sums))

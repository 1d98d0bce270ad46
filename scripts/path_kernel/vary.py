"""Vary what the path kernel hangs on: quadrature, step size, and the loss whose derivatives are its coefficients."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from neighborhoods.images import to_samples
from neighborhoods.networks.architectures import build
from neighborhoods.path_kernel.convergence import Rule, by_step_size, order_of, residual_of
from neighborhoods.path_kernel.kernel_machine import path_kernel
from neighborhoods.path_kernel.path import train_path
from neighborhoods.path_kernel.signs import CASES, signs_of, single_machine_gaps
from neighborhoods.statistics.intervals import summarize
from pipeline.results.shared import put_summary, read_path, read_split
from pipeline.store import Provenance, Writer, writing


def vary(
    *,
    data: str,
    path: str,
    output: str,
    train_samples: int,
    steps: int,
    queries: int,
    nodes: Sequence[int],
    tolerances: Sequence[float],
    factors: Sequence[float],
    seed: int,
    provenance: Provenance,
) -> None:
    """Write residuals by rule and by step size, signs of the coefficients by loss and outputs, and errors as printed.

    All paths start like the recorded one, or with as many outputs as the loss takes, and are trained on the first of
    its training points.
    """
    train, test = read_split(data, "train"), read_split(data, "test")
    stored = read_path(path)
    rows = stored.rows[:train_samples]
    x, y = to_samples(train.images[rows]), torch.tensor(train.labels[rows])
    points = to_samples(test.images[test.order[:queries]])
    model = build(**stored.settings).double()
    torch.nn.utils.vector_to_parameters(torch.tensor(stored.weights[0]), model.parameters())
    run = train_path(model, x, y, learning_rate=stored.learning_rate, steps=steps, loss=stored.loss)
    rules = [Rule(name, count) for name in ("left", "midpoint", "gauss") for count in nodes]
    rules += [Rule("adaptive", 2, tolerance) for tolerance in tolerances]
    found = [residual_of(model, run, points, rule) for rule in rules]
    sizes, residual = by_step_size(
        model, x, y, points, learning_rate=stored.learning_rate, steps=steps, factors=tuple(factors), loss=stored.loss
    )
    with writing(output, provenance) as file:
        file.put("rule", [rule.name for rule in rules], "quadrature of a step", ("rule",))
        file.put("nodes", [rule.nodes for rule in rules], "nodes, or pieces, of a step", ("rule",))
        text = "bound asked of the adaptive rule; infinite for the others"
        file.put("tolerance", [rule.tolerance for rule in rules], text, ("rule",), "logit")
        values = torch.stack([part.residual for part in found])
        file.put("residual", values, "|kernel machine - network| of each query", ("rule", "query"), "logit")
        evaluations = torch.stack([part.evaluations for part in found]) / steps
        file.put("evaluations", evaluations, "derivatives a step and query", ("rule", "query"))
        for number, values_of in enumerate(values):
            _put_geometric(file, f"by_rule/{number}", values_of)
        file.put("step_size", sizes, "learning rate; learning rate times steps is the same", ("size",))
        text = "|kernel machine - network| with one node at the start of each step"
        file.put("step_residual", residual, text, ("size", "query"), "logit")
        for number, values_of in enumerate(residual):
            _put_geometric(file, f"by_step/{number}", values_of)
        order = order_of(sizes, residual)
        file.put("order", order, "exponent p of residual ~ step size^p", ("query",))
        put_summary(file, "order_summary", asdict(summarize(order.numpy())), "exponent", "1")
        for part, mode in (("printed", "symmetric"), ("corrected", "path")):
            machine = path_kernel(model, run, x[:queries], mode=mode)
            error = (machine.prediction - machine.network).abs().amax(1)
            file.put(f"equation_14/{part}", error, f"|{part} - network| of training points", ("query",), "logit")
        _put_signs(file, stored.settings, x, y, points, stored.learning_rate, steps, seed)


def _put_geometric(file: Writer, name: str, residual: torch.Tensor) -> None:
    logs = np.log(np.maximum(residual.numpy(), np.finfo(float).tiny))
    put_summary(file, name, asdict(summarize(logs)), "ln of the residual", "ln logit")


def _put_signs(
    file: Writer,
    settings: dict[str, Any],
    x: torch.Tensor,
    y: torch.Tensor,
    points: torch.Tensor,
    learning_rate: float,
    steps: int,
    seed: int,
) -> None:
    # One output tells two classes apart, not more.
    cases = [case for case in CASES if not case.single or settings["classes"] == 2]
    file.put("signs/cases", [case.name for case in cases], "loss and outputs", ("case",))
    for case in cases:
        torch.manual_seed(seed)
        fresh = build(**{**settings, "classes": 1 if case.single else settings["classes"]}).double()
        found, run = signs_of(case, fresh, x, y, learning_rate=learning_rate, steps=steps)
        group = f"signs/{case.name}"
        for key, value in asdict(found.changing).items():
            file.put(f"{group}/{key}", value, f"{key} of the share of training points whose coefficient turns", ())
        file.put(f"{group}/drift", found.drift, "largest change of a coefficient, over the largest at the start", ())
        gaps = single_machine_gaps(case, fresh, run, points) if case.collapses else None
        text = "|outputs of one kernel machine with the first coefficients - network's|, largest; nan if not asked"
        unit = "ln of a probability"
        file.put(f"{group}/gap", gaps.whole if gaps else math.nan, text, (), unit)
        if gaps:
            file.put("equation_102/printed", gaps.diagonal, "the same without the kernel across classes", (), unit)
            file.put("equation_102/corrected", gaps.whole, "the same with the whole kernel", (), unit)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        vary(
            data=snakemake.input.data,
            path=snakemake.input.path,
            output=snakemake.output[0],
            provenance=run.provenance,
            **run.settings,
        )

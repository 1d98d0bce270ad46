"""Times of a forward pass on one processor core, from which `pipeline.costs.workload` prices jobs.

Run as `python -m benchmarks.network_passes > pipeline/costs/passes.json`. Seconds of a call with B images are modelled
as layers * c_layer + B * (dense * c_dense + conv * c_conv + values * c_value), the counts of
`pipeline.costs.network_work`, with coefficients of the least squared relative error that are not negative.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls

from neighborhoods.networks.architectures import build
from pipeline.costs.network_work import pass_work
from pipeline.running.usage import cpu_model

# Entries of `models`, shape of an image, and sizes of the batch.
SMALL, PHOTOS = (1, 32, 256), (1, 8)
NETWORKS: dict[str, tuple[dict[str, Any], tuple[int, ...], tuple[int, ...]]] = {
    "linear": ({"architecture": "fully_connected", "hidden": []}, (1, 28, 28), SMALL),
    "FC 100-20": ({"architecture": "fully_connected", "hidden": [100, 20]}, (1, 28, 28), SMALL),
    "FC 200-200": ({"architecture": "fully_connected", "hidden": [200, 200]}, (1, 28, 28), SMALL),
    "FC 1000-1000": ({"architecture": "fully_connected", "hidden": [1000, 1000]}, (1, 28, 28), SMALL),
    "C-4": ({"architecture": "bell_cnn", "channels": 4}, (1, 28, 28), SMALL),
    "C-32": ({"architecture": "bell_cnn", "channels": 32}, (1, 28, 28), SMALL),
    "strided CNN 8": ({"architecture": "strided_cnn", "channels": 8}, (1, 28, 28), SMALL),
    "strided CNN 32": ({"architecture": "strided_cnn", "channels": 32}, (3, 32, 32), SMALL),
    "CIFAR ResNet-20": ({"architecture": "cifar_resnet", "depth": 20}, (3, 32, 32), SMALL),
    "CIFAR ResNet-18": ({"architecture": "cifar_resnet18"}, (3, 32, 32), PHOTOS),
    "AlexNet": ({"architecture": "torchvision", "name": "alexnet"}, (3, 224, 224), PHOTOS),
    "ResNet-50": ({"architecture": "torchvision", "name": "resnet50"}, (3, 224, 224), PHOTOS),
    "EfficientNet-lite0": ({"architecture": "efficientnet_lite0"}, (3, 224, 224), PHOTOS),
}
SECONDS = 0.5
NOISE_VALUES = 2**20


def cpu_seconds(function: Callable[[], Any]) -> float:
    """Median processor seconds of a call, of as many as fit into `SECONDS`, at least three."""
    function()
    times: list[float] = []
    while len(times) < 3 or sum(times) < SECONDS:
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return float(np.median(times))


def main() -> None:
    """Measure, fit, and write JSON to stdout."""
    torch.set_num_threads(1)
    rows, measured, names = [], [], []
    for name, (model, shape, sizes) in NETWORKS.items():
        classes = 1000 if math.prod(shape) > 10**5 else 10
        settings = {key: value for key, value in model.items() if key != "architecture"}
        network = build(shape, classes, architecture=model["architecture"], **settings).eval()
        work = pass_work(model, shape, classes)
        for size in sizes:
            x = torch.rand(size, *shape)
            with torch.inference_mode():
                measured.append(cpu_seconds(lambda network=network, x=x: network(x)))  # type: ignore[misc]
            rows.append([work.layers, size * work.dense, size * work.conv, size * work.values])
            names.append(f"{name}, {size}")
    work_of, seconds = np.array(rows), np.array(measured)
    scale = work_of.max(0)
    found, _ = nnls(work_of / scale / seconds[:, None], np.ones(len(seconds)))
    coefficients = found / scale
    errors = seconds / (work_of @ coefficients)
    noise = cpu_seconds(lambda: torch.randn(NOISE_VALUES)) / NOISE_VALUES
    keys = ("layer_s", "dense_s", "conv_s", "value_s")
    document = {
        "written_by": "python -m benchmarks.network_passes",
        "cpu": cpu_model(),
        "date": datetime.now(UTC).date().isoformat(),
        **{key: float(f"{value:.3g}") for key, value in zip(keys, coefficients, strict=True)},
        "noise_s": float(f"{noise:.3g}"),
        "spread": float(f"{np.exp(np.sqrt(np.mean(np.log(errors) ** 2))):.3g}"),
        "measured_over_modelled": {name: round(float(error), 2) for name, error in zip(names, errors, strict=True)},
    }
    json.dump(document, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()

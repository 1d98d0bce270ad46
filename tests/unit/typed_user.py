"""Code of a library's user, for `mypy` alone: it sees the package's types, and an ignored line without a mistake fails."""

from typing import assert_type

import numpy as np
import torch

import neighborhoods as nb
from neighborhoods.path_kernel.kernel_machine import path_kernel
from neighborhoods.persistence.measure import Persistence, persistence

model = nb.fully_connected((4,), [3], 2)
images, labels = np.ones((2, 4)), torch.tensor([0, 1])

assert_type(persistence(model, images), Persistence)
assert_type(nb.boundary_distance(model, torch.ones(2, 4)).summary().mean, float)
assert_type(nb.share([True, False]), nb.Estimate)
assert_type(nb.attack("pgd", model, images, labels)[1], nb.Verdict)
assert_type(nb.class_manifolds(model, images, labels)["input"].geometry, nb.ManifoldGeometry | None)
path = nb.train_path(model, images, labels, learning_rate=0.1, steps=2)
assert_type(path_kernel(model, path, images), nb.PathKernel)

nb.persistance  # type: ignore[attr-defined]  # noqa: B018
persistence(model, 3)  # type: ignore[arg-type]
persistence(model, images, gama=0.7)  # type: ignore[call-arg]
nb.boundary_tilt(images, images)  # type: ignore[call-arg]

"""Measurements on the geometry of adversarial examples, for any network, data and attack.

Modules and names are imported when they are first used: importing the package alone must not cost torch's
import. A module and the function of the same name are told apart by their place: `neighborhoods.persistence`
is the module, `neighborhoods.persistence.persistence` the function.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_MODULES = (
    "adaptive",
    "allocation",
    "apgd",
    "assignment",
    "asymmetry",
    "attack_contract",
    "attacks",
    "boundary",
    "boundary_angles",
    "boundary_evidence",
    "boundary_lines",
    "boundary_spectra",
    "bracketing",
    "claims",
    "clusters",
    "concentration",
    "cones",
    "connectedness",
    "convex_hull",
    "crossings",
    "delaunay",
    "detection",
    "distance",
    "dropout",
    "evidence",
    "factories",
    "flatness",
    "folding",
    "gaussian_process",
    "gradient_steps",
    "growth",
    "images",
    "incidence",
    "inference",
    "influence",
    "integration",
    "interpolated_weights",
    "jacobians",
    "jsma",
    "junctions",
    "kernel_convergence",
    "kernel_evidence",
    "kernel_geometry",
    "kernel_signs",
    "layers",
    "layerwise",
    "lbfgs",
    "level_sets",
    "loss_gradients",
    "low_discrepancy",
    "manifold_capacity",
    "manifold_centers",
    "manifold_points",
    "manifolds",
    "means",
    "minimal_norm",
    "moving",
    "networks",
    "noise",
    "nonnegative",
    "normals",
    "outliers",
    "path",
    "path_geometry",
    "path_kernel",
    "persistence",
    "photo_evidence",
    "photo_networks",
    "principal",
    "probit",
    "quadrature",
    "robust_training",
    "sampling",
    "search",
    "sensitivity",
    "sensitivity_evidence",
    "sequential",
    "spectra",
    "statistics",
    "support_vectors",
    "tilting",
    "tilting_evidence",
    "trace_kernel",
    "training",
    "vision",
    "voronoi",
    "wedges",
    "zoo",
)
_HOMES = {
    "persistence_of_gammas": "persistence",
    "stability": "persistence",
    "stability_curve": "persistence",
    "auroc": "detection",
    "boundary_distance": "distance",
    "face_number": "cones",
    "igsm": "attacks",
    "verify": "attacks",
    "fully_connected": "networks",
    "bell_cnn": "networks",
    "train": "training",
    "train_path": "path",
    "clopper_pearson": "statistics",
    "summarize": "statistics",
}
__all__ = ["__version__", *_MODULES, *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"neighborhoods.{name}")
    if name in _HOMES:
        return getattr(import_module(f"neighborhoods.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'neighborhoods' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

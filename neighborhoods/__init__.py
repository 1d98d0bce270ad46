"""Measurements on the geometry of adversarial examples, for any network, data and attack.

What is named here is the public interface; further functions are in the modules. Modules and names are imported when
they are first used: importing the package alone must not cost torch's import. A module and the function of the same
name are told apart by their place: `neighborhoods.persistence` is the module, `neighborhoods.persistence.persistence`
the function; so it is with `path_kernel`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # For editors and type checkers, which do not see what is imported later.
    from neighborhoods.attack_contract import AttackError as AttackError
    from neighborhoods.attack_contract import Verdict as Verdict
    from neighborhoods.attacks import attack as attack
    from neighborhoods.attacks import igsm as igsm
    from neighborhoods.attacks import verify as verify
    from neighborhoods.cones import face_number as face_number
    from neighborhoods.detection import Auroc as Auroc
    from neighborhoods.detection import DetectionRate as DetectionRate
    from neighborhoods.detection import auroc as auroc
    from neighborhoods.detection import detection_rate as detection_rate
    from neighborhoods.detection import roc_curve as roc_curve
    from neighborhoods.distance import Distance as Distance
    from neighborhoods.distance import boundary_distance as boundary_distance
    from neighborhoods.integration import PathKernel as PathKernel
    from neighborhoods.manifold_layers import LayerAnalysis as LayerAnalysis
    from neighborhoods.manifold_layers import class_manifolds as class_manifolds
    from neighborhoods.manifolds import ManifoldGeometry as ManifoldGeometry
    from neighborhoods.manifolds import mftma as mftma
    from neighborhoods.networks import bell_cnn as bell_cnn
    from neighborhoods.networks import fully_connected as fully_connected
    from neighborhoods.path import train_path as train_path
    from neighborhoods.persistence import Persistence as Persistence
    from neighborhoods.persistence import Stability as Stability
    from neighborhoods.persistence import persistence_of_gammas as persistence_of_gammas
    from neighborhoods.persistence import stability as stability
    from neighborhoods.persistence import stability_curve as stability_curve
    from neighborhoods.statistics import Difference as Difference
    from neighborhoods.statistics import Estimate as Estimate
    from neighborhoods.statistics import Ratio as Ratio
    from neighborhoods.statistics import Summary as Summary
    from neighborhoods.statistics import clopper_pearson as clopper_pearson
    from neighborhoods.statistics import difference as difference
    from neighborhoods.statistics import rank_correlation as rank_correlation
    from neighborhoods.statistics import ratio as ratio
    from neighborhoods.statistics import share as share
    from neighborhoods.statistics import summarize as summarize
    from neighborhoods.tilting import Tilt as Tilt
    from neighborhoods.tilting import boundary_tilt as boundary_tilt
    from neighborhoods.training import accuracy as accuracy
    from neighborhoods.training import predict as predict
    from neighborhoods.training import train as train

__version__ = "0.1.0"

_MODULES = (
    "adaptive",
    "allocation",
    "apgd",
    "assignment",
    "asymmetry",
    "attack_contract",
    "attacks",
    "augmentation",
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
    "confidence_ranks",
    "connectedness",
    "convex_hull",
    "crossed",
    "crossings",
    "delaunay",
    "detection",
    "distance",
    "distillation",
    "dropout",
    "epochs",
    "evidence",
    "factories",
    "flatness",
    "folding",
    "gap_dependence",
    "gaussian_process",
    "gradient_steps",
    "growth",
    "images",
    "incidence",
    "inference",
    "influence",
    "inputs",
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
    "logit_evidence",
    "logit_expansion",
    "logit_model",
    "logit_model_evidence",
    "logit_response",
    "logits",
    "loss_gradients",
    "low_discrepancy",
    "manifold_capacity",
    "manifold_centers",
    "manifold_evidence",
    "manifold_layers",
    "manifold_points",
    "manifolds",
    "means",
    "minimal_norm",
    "modes",
    "moving",
    "nearest_logits",
    "network_pairs",
    "networks",
    "noise",
    "nonnegative",
    "normals",
    "odi",
    "outliers",
    "overlap",
    "path",
    "path_geometry",
    "path_kernel",
    "persistence",
    "persistence_evidence",
    "photo_evidence",
    "photo_networks",
    "principal",
    "printed_evidence",
    "probit",
    "quadrature",
    "robust_training",
    "robustness",
    "sampling",
    "schedules",
    "search",
    "seed_accuracies",
    "sensitivity",
    "sensitivity_evidence",
    "sequential",
    "spectra",
    "statistics",
    "strided",
    "student_evidence",
    "support_vectors",
    "tilting",
    "tilting_evidence",
    "trace_kernel",
    "training",
    "vision",
    "voronoi",
    "wedges",
    "wrong_answers",
    "zoo",
)
_HOMES = {
    "AttackError": "attack_contract",
    "Verdict": "attack_contract",
    "attack": "attacks",
    "igsm": "attacks",
    "verify": "attacks",
    "face_number": "cones",
    "Auroc": "detection",
    "DetectionRate": "detection",
    "auroc": "detection",
    "detection_rate": "detection",
    "roc_curve": "detection",
    "Distance": "distance",
    "boundary_distance": "distance",
    "PathKernel": "integration",
    "LayerAnalysis": "manifold_layers",
    "class_manifolds": "manifold_layers",
    "ManifoldGeometry": "manifolds",
    "mftma": "manifolds",
    "bell_cnn": "networks",
    "fully_connected": "networks",
    "train_path": "path",
    "Persistence": "persistence",
    "Stability": "persistence",
    "persistence_of_gammas": "persistence",
    "stability": "persistence",
    "stability_curve": "persistence",
    "Difference": "statistics",
    "Estimate": "statistics",
    "Ratio": "statistics",
    "Summary": "statistics",
    "clopper_pearson": "statistics",
    "difference": "statistics",
    "rank_correlation": "statistics",
    "ratio": "statistics",
    "share": "statistics",
    "summarize": "statistics",
    "Tilt": "tilting",
    "boundary_tilt": "tilting",
    "accuracy": "training",
    "predict": "training",
    "train": "training",
}
__all__ = ["__version__", *_HOMES]


# Hidden from type checkers, which would take any name for one of the package.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"neighborhoods.{name}")
        if name in _HOMES:
            return getattr(import_module(f"neighborhoods.{_HOMES[name]}"), name)
        raise AttributeError(f"module 'neighborhoods' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *_MODULES]
